import pytest

from sweeper.engine.options import DeviceOptions
from sweeper.engine.ray import plan as planning
from sweeper.engine.ray.cluster import Node
from sweeper.errors import UsageError
from tests.engine.ray.fake_cluster import FakeCluster


@pytest.fixture
def planned(monkeypatch):
    """Plans for a cluster of these nodes, given as (CPUs, GPUs)."""

    def plan(*nodes, most_jobs=1000, **options):
        fake = FakeCluster(*(Node(str(number), str(number), *offered) for number, offered in enumerate(nodes)))
        fake.alive = fake.alive if nodes else []
        monkeypatch.setattr(planning, "cluster", fake)
        return planning.plan(DeviceOptions(engine="ray", ray_address="head:6390", **options), most_jobs)

    return plan


def test_all_cpus_of_the_cluster_train_unless_said_otherwise(planned):
    assert planned((0, 0), (2, 0), (4, 0)).devices == ("cpu",) * 6
    assert planned((2, 0), jobs=16).devices == ("cpu",) * 16  # ten wait for nodes
    assert planned((2, 0), jobs=16, most_jobs=3).devices == ("cpu",) * 3
    execution = planned((2, 0))
    assert (execution.engine, execution.threads, execution.layout, execution.worker_memory) == (
        "ray", 1, "channels_last", None,
    )  # fmt: skip


def test_gpus_train_where_there_are_any(planned):
    assert planned((8, 2), (8, 1)).devices == ("cuda",) * 3
    assert planned((8, 2), device="cpu").devices == ("cpu",) * 8
    shared = planned((8, 2), jobs_per_gpu=4)
    assert (shared.devices, shared.at_once, shared.graphs, shared.tunes_concurrency) == (("cuda",) * 2, 4, True, False)
    assert planned((8, 2), jobs_per_gpu=0).tunes_concurrency
    assert planned((8, 2), jobs_per_gpu=4, most_jobs=3).at_once == 2


@pytest.mark.parametrize(
    ("nodes", "options", "words"),
    [
        ([(0, 0)], {}, r"has no CPU yet: add nodes, or say how many to wait for \(--jobs\)"),
        ([], {}, r"has no CPU yet"),
        ([(8, 0)], {"device": "cuda"}, "has no GPU yet"),
        ([(8, 0)], {"device": "cuda:0"}, "must be auto, cpu or cuda, got cuda:0"),
        ([(8, 0)], {"device": "mps"}, "must be auto, cpu or cuda, got mps"),
        ([(8, 0)], {"jobs_per_gpu": 2}, "can share a CUDA device only, got cpu"),
        ([(8, 1)], {"jobs_per_gpu": 2, "jobs": 2}, "give one of --jobs and --jobs-per-gpu"),
        ([(8, 0)], {"worker_memory": 1 << 20}, "must be at least 1.25 GiB"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(planned, nodes, options, words):
    with pytest.raises(UsageError, match=words):
        planned(*nodes, **options)


def test_jobs_may_wait_for_a_cluster_without_nodes(planned):
    assert planned((0, 0), jobs=4).devices == ("cpu",) * 4
    assert planned(jobs=4, device="cuda").devices == ("cuda",) * 4
