import pytest
from safetensors.numpy import save_file

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.base import BatchesDone, Died, Failure, Lost
from sweeper.engine.execution import Execution
from sweeper.engine.job import InitialWeights, TrialJob, TrialResult
from sweeper.engine.local.worker import WorkerSetup
from sweeper.engine.ray import environment, nodes, pool, weights
from sweeper.engine.ray.actor import Reply
from sweeper.engine.ray.cluster import Node, NodeLost, NotCreated, Trouble
from sweeper.engine.ray.pool import RayPool
from sweeper.errors import SweeperError
from sweeper.events import Note
from tests.engine.fakes import metrics
from tests.engine.ray.fake_cluster import SOFTWARE, FakeCluster, contact


@pytest.fixture
def cluster(monkeypatch):
    fake = FakeCluster(Node("id-a", "a", 1, 0), Node("id-b", "b", 1, 0))
    for module in (pool, nodes, weights):
        monkeypatch.setattr(module, "cluster", fake)
    monkeypatch.setattr(environment, "software", lambda: SOFTWARE)
    return fake


@pytest.fixture
def start(cluster, tmp_path):
    """Starts a pool with so many actors."""

    def started(n_actors=1, per_process=1, device="cpu", required=""):
        setup = WorkerSetup(images_folder=tmp_path, n_classes=2, scalings=[], threads=1, layout="channels_last")
        execution = Execution(
            (device,) * n_actors,
            1,
            "channels_last",
            at_once=per_process,
            engine="ray",
            required_processor=required,
        )
        return RayPool(setup, execution, ["images"], tmp_path)

    return started


def placed(engine, cluster, number=-1, node="id-a"):
    """Gives an actor a place, and lets it load its data."""
    actor = cluster.actors[number]
    actor.last("contact").ends(contact(node))
    assert engine.wait(0) == []
    actor.last("begin").ends(Reply())
    assert engine.wait(0) == []
    return actor


def job(tmp_path, **others):
    configuration = Configuration(ConvNetConfig(), TrainConfig())
    return TrialJob(0, configuration, 3, 5, tmp_path / "store" / "trial-0", "data", **others)


def test_worker_takes_no_job_before_its_actor_has_a_place_and_its_data(start, cluster):
    engine = start(2)
    assert [engine.at_once(index) for index in range(2)] == [0, 0]
    actor = cluster.actors[0]
    actor.last("contact").ends(contact())
    engine.wait(0)
    assert (engine.at_once(0), engine.place(0)) == (0, "a")
    actor.last("begin").ends(Reply())
    engine.wait(0)
    assert [engine.at_once(index) for index in range(2)] == [1, 0]
    assert [engine.place(index) for index in range(2)] == ["a", ""]


def test_files_of_an_epoch_are_in_the_store_before_its_message_comes(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply([metrics(1, 0.5)], {"checkpoint.safetensors": b"one"}, b"a line\n"))
    [(index, message)] = engine.wait(0)
    assert (index, message.epoch) == (0, 1)
    assert job(tmp_path).checkpoint.read_bytes() == b"one"
    assert engine.log(0).read_text() == "a line\n"
    assert engine.wait(0) == []  # nothing more until it is answered
    engine.answer(0, proceed=True)
    actor.last("answer").ends(Reply([TrialResult(None)], {"model.safetensors": b"weights"}))
    assert engine.wait(0) == [(0, TrialResult(None))]
    assert job(tmp_path).weights.read_bytes() == b"weights"


def test_what_is_not_to_be_answered_is_followed_by_the_next_message(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply([Note("set aside")]))
    assert engine.wait(0) == [(0, Note("set aside"))]
    actor.last("receive").ends(Reply([BatchesDone(1, 2, 3)]))
    assert engine.wait(0) == [(0, BatchesDone(1, 2, 3))]
    actor.last("receive").ends(Reply([metrics(1, 0.5)]))
    assert [message.epoch for _, message in engine.wait(0)] == [1]


def test_job_of_a_lost_node_resumes_elsewhere_from_the_checkpoint_in_the_store(start, cluster, tmp_path):
    engine = start()
    first = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    first.last("train").ends(Reply([metrics(1, 0.5)], {"checkpoint.safetensors": b"one"}))
    engine.wait(0)
    engine.answer(0, proceed=True)
    first.last("answer").ends(NodeLost("its node has died", planned=True))
    assert engine.wait(0) == [(0, Lost("a", planned=True))]
    assert first.killed, "it may only be out of reach"
    assert engine.at_once(0) == 0
    second = placed(engine, cluster, node="id-b")
    assert second is not first
    engine.train(0, job(tmp_path))
    assert second.last("train").arguments[2] == {"checkpoint.safetensors": b"one"}
    assert engine.place(0) == "b"


def test_late_answer_of_an_actor_that_was_replaced_is_not_heard(start, cluster, tmp_path):
    engine = start()
    first = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    assert engine.kill(0, "silent") == {0: Died(None, hung="silent")}
    first.last("train").ends(Reply([metrics(1, 0.5)], {"checkpoint.safetensors": b"late"}))
    first.last("watch").ends(Trouble("killed"))
    assert engine.wait(0) == []
    assert not job(tmp_path).checkpoint.exists()


def test_silence_of_a_node_that_has_left_the_cluster_is_a_loss_and_no_death(start, cluster, tmp_path):
    engine = start()
    placed(engine, cluster)
    engine.train(0, job(tmp_path))
    cluster.alive = [node for node in cluster.alive if node.name != "a"]
    assert engine.kill(0, "silent") == {0: Lost("a")}


def test_silence_of_a_node_that_cannot_be_reached_is_a_loss_and_no_death(start, cluster, tmp_path):
    engine = start()
    placed(engine, cluster)
    engine.train(0, job(tmp_path))
    cluster.cut_off = {"a"}  # its head finds that out later than the dispatcher loses patience
    assert engine.kill(0, "silent") == {0: Lost("a")}


def test_death_of_an_actor_counts_for_its_trial_but_not_if_it_had_none(start, cluster, tmp_path):
    engine = start()
    for _ in range(3):
        placed(engine, cluster).last("watch").ends(Trouble("killed"))
        assert engine.wait(0) == [(0, Lost("a"))]
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("watch").ends(Trouble("killed"))
    actor.last("train").ends(Trouble("killed"))
    assert engine.wait(0) == [(0, Died(None))]


def test_death_before_the_data_are_loaded_is_one_of_the_start(start, cluster):
    engine = start()
    cluster.actors[-1].last("contact").ends(NotCreated("No module named 'sweeper'"))
    [(_, died)] = engine.wait(0)
    assert died.is_startup_failure
    assert "No module named 'sweeper'" in engine.log(0).read_text()


def test_machine_on_which_no_actor_can_be_made_is_not_used_and_the_others_go_on(start, cluster, monkeypatch):
    cluster.alive = [Node("id-a", "a", 1, 0, "10.0.0.1"), Node("id-b", "b", 4, 0, "10.0.0.2")]
    engine = start(5)
    placed(engine, cluster, 0)
    for actor in cluster.actors[1:5]:
        actor.last("contact").ends(NotCreated("No module named 'sweeper'", address="10.0.0.2"))
    assert engine.wait(0) == []
    assert [actor.avoid for actor in cluster.actors[5:]] == [("id-b",)] * 4
    assert engine.at_once(0) == 1
    monkeypatch.setattr(pool, "WAITING_SECONDS", 0.0)
    assert engine.waiting().endswith("; b is not used: No module named 'sweeper'")
    cluster.actors[5].last("contact").ends(NotCreated("No module named 'torch'", address="10.0.0.1"))
    with pytest.raises(
        SweeperError, match="no node of the Ray cluster can be used: a is not used: No module named 'to"
    ):
        engine.wait(0)


def test_node_that_is_lost_before_its_actor_is_ready_is_no_news(start, cluster):
    engine = start()
    cluster.actors[-1].last("contact").ends(NodeLost("its node has died"))
    assert engine.wait(0) == []
    assert len(cluster.actors) == 2


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ({"software": {**SOFTWARE, "torch": "1"}}, "its torch is 1, here it is 2"),
        ({"processor": "y"}, "its processor is y, and the trainings began on x"),
        # Another version of sweeper, which says what this one does not know.
        ({"software": {**SOFTWARE, "sweeper": "9"}, "memory": 1}, "its sweeper is 9, here it is 1"),
    ],
)
def test_node_that_would_compute_otherwise_is_not_used_and_said(start, cluster, monkeypatch, difference, words):
    engine = start(2)
    placed(engine, cluster, 0)
    cluster.actors[1].last("contact").ends(contact("id-b", **difference))
    assert engine.wait(0) == []
    assert cluster.actors[1].killed
    assert cluster.actors[2].avoid == ("id-b",)
    assert engine.at_once(1) == 0
    monkeypatch.setattr(pool, "WAITING_SECONDS", 0.0)
    cluster.busy = 1
    assert engine.waiting() == f"Waiting for 1 CPU in the Ray cluster, 1 of 1 busy; b is not used: {words}"


def test_node_that_trains_nothing_does_not_decide_the_kind_of_the_others(start, cluster):
    cluster.alive.append(Node("id-c", "c", 1, 0))
    engine = start(3)
    kinds = {"id-a": "y", "id-b": "x", "id-c": "y"}
    for actor, (node, kind) in zip(cluster.actors, kinds.items(), strict=True):
        actor.last("contact").ends(contact(node, processor=kind))
    assert engine.wait(0) == []
    full, first, second = cluster.actors
    full.last("begin").ends(Reply(unfit="/tmp there cannot be written"))
    assert engine.wait(0) == []
    first.last("begin").ends(Reply())
    second.last("begin").ends(Reply())
    assert engine.wait(0) == []
    assert [engine.at_once(index) for index in range(3)] == [0, 1, 0]
    assert cluster.actors[-1].avoid == ("id-a", "id-c")


def test_node_with_another_gpu_is_not_used_whatever_its_processor(start, cluster, monkeypatch):
    cluster.alive = [Node(f"id-{name}", name, 1, 1) for name in "abc"]
    engine = start(3, device="cuda")
    for number, (name, gpu) in enumerate((("a", "H200"), ("b", "A100"), ("c", "H200"))):
        cluster.actors[number].last("contact").ends(contact(f"id-{name}", processor=name))
        assert engine.wait(0) == []
        cluster.actors[number].last("begin").ends(Reply(gpu=gpu))
        assert engine.wait(0) == []
    assert [engine.at_once(index) for index in range(3)] == [1, 0, 1]
    assert cluster.actors[-1].avoid == ("id-b",)
    monkeypatch.setattr(pool, "WAITING_SECONDS", 0.0)
    assert engine.waiting().endswith("; b is not used: its GPU is A100, and the trainings began on H200")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_kind_that_the_trainings_began_on_decides_and_not_the_first_node(start, cluster, device):
    cluster.alive = [Node("id-a", "a", 1, 1), Node("id-b", "b", 1, 1)]
    engine = start(device=device, required="x")

    def meet(node, kind):
        actor = cluster.actors[-1]
        actor.last("contact").ends(contact(node, processor=kind))
        engine.wait(0)
        if device == "cuda":
            actor.last("begin").ends(Reply(gpu=kind))
            engine.wait(0)
        return actor

    assert meet("id-a", "y").killed
    assert not meet("id-b", "x").killed
    assert engine.processor == "x"
    cluster.actors[-1].last("watch").ends(NodeLost("its node has died"))
    engine.wait(0)
    with pytest.raises(SweeperError, match=r"b is not used: its (processor|GPU) is z, and the trainings began on x"):
        meet("id-b", "z")


def test_kind_is_that_of_the_first_node_if_none_is_required(start, cluster):
    engine = start()
    assert engine.processor == ""
    placed(engine, cluster)
    assert engine.processor == "x"


def test_cluster_without_a_node_that_can_be_used_is_an_error(start, cluster):
    engine = start()
    for node in ("id-a", "id-b"):
        cluster.actors[-1].last("contact").ends(contact(node, software={**SOFTWARE, "Python": "2"}))
        if node == "id-a":
            engine.wait(0)
    with pytest.raises(SweeperError, match="no node of the Ray cluster can be used: b is not used: its Python is 2"):
        engine.wait(0)


def test_cluster_that_asks_for_no_token_is_refused_unless_that_is_accepted(start, cluster):
    engine = start()
    cluster.actors[-1].last("contact").ends(contact(token=False))
    with pytest.raises(SweeperError, match=r"RAY_AUTH_MODE=token.*--ray-insecure"):
        engine.wait(0)
    cluster.insecure = True
    engine = start()
    cluster.actors[-1].last("contact").ends(contact(token=False))
    assert engine.wait(0) == []
    assert engine.place(0) == "a"


def test_node_whose_disk_is_full_loses_its_job_and_gets_no_other(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply(unfit="/tmp/x cannot be written: No space left on device"))
    assert engine.wait(0) == [(0, Lost("a"))]
    assert cluster.actors[-1].avoid == ("id-a",)


def test_waiting_is_told_only_after_some_time_and_with_what_is_busy(start, cluster, monkeypatch):
    engine = start(3)
    assert engine.waiting() == ""
    placed(engine, cluster, 0)
    cluster.busy = 2
    monkeypatch.setattr(pool, "WAITING_SECONDS", 0.0)
    assert engine.waiting() == "Waiting for 2 CPUs in the Ray cluster, 2 of 2 busy"
    for number in (1, 2):
        placed(engine, cluster, number, "id-b")
    assert engine.waiting() == ""


def test_next_job_comes_after_the_end_of_the_one_before(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply([metrics(1, 0.5)]))
    engine.wait(0)
    engine.answer(0, proceed=False)
    ended = actor.last("answer")
    engine.train(0, job(tmp_path))
    assert actor.last("train").arguments[-1] is ended
    actor.last("train").ends(Reply([Failure("diverged", "loss is nan")]))
    assert engine.wait(0) == [(0, Failure("diverged", "loss is nan"))]
    engine.train(0, job(tmp_path))
    assert actor.last("train").arguments[-1] is None


def test_large_checkpoint_is_told_of_once(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    for _ in range(2):
        engine.train(0, job(tmp_path))
        actor.last("train").ends(Reply([metrics(1, 0.5)], period=4))
        messages = [message for _, message in engine.wait(0)]
        engine.answer(0, proceed=False)
    assert [type(message).__name__ for message in messages] == ["EpochMetrics"]
    engine = start()
    actor = placed(engine, cluster)
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply([metrics(1, 0.5)], period=4))
    note, epoch = (message for _, message in engine.wait(0))
    assert "every 4 epochs" in note.text
    assert "up to 3 epochs are trained again" in note.text
    assert epoch.epoch == 1


def test_initial_weights_are_put_into_the_cluster_once(start, cluster, tmp_path):
    save_file({}, tmp_path / "start.safetensors")
    engine = start()
    actor = placed(engine, cluster)
    initial = InitialWeights(tmp_path / "start.safetensors", "abc", (), False)
    for _ in range(2):
        engine.train(0, job(tmp_path, initial=initial))
        sent = actor.last("train").arguments[3]
        assert (sent.name, sent.content) == ("abc.safetensors", initial.path.read_bytes())
        actor.last("train").ends(Reply([Failure("error", "x")]))
        engine.wait(0)
    assert len(cluster.objects) == 1


def test_new_actor_is_asked_for_only_if_the_old_one_was_used(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    engine.renew(0)
    assert not actor.killed
    engine.train(0, job(tmp_path))
    engine.renew(0)
    assert actor.killed
    assert engine.at_once(0) == 0


def test_store_that_cannot_be_written_to_ends_the_sweep_in_one_line(start, cluster, tmp_path):
    engine = start()
    actor = placed(engine, cluster)
    (tmp_path / "store").write_text("a file where the folder should be")
    engine.train(0, job(tmp_path))
    actor.last("train").ends(Reply([metrics(1, 0.5)], {"checkpoint.safetensors": b"one"}))
    with pytest.raises(SweeperError, match=r"cannot be written.*the same command resumes"):
        engine.wait(0)


def test_workers_of_one_actor_share_its_fate(start, cluster, tmp_path):
    engine = start(per_process=2)
    assert engine.processes() == [range(2)]
    actor = placed(engine, cluster)
    assert engine.at_once(1) == 2
    engine.limit_concurrency(0, 1)
    assert engine.at_once(1) == 1
    engine.lift_limit(0)
    engine.train(1, job(tmp_path))
    actor.last("watch").ends(Trouble("killed"))
    assert engine.wait(0) == [(0, Died(None)), (1, Died(None))]


@pytest.mark.parametrize(
    ("end", "told"), [(Reply(unfit="its disk is full"), Lost("a")), (Trouble("killed"), Died(None))]
)
def test_nothing_is_heard_of_workers_whose_actor_was_replaced_because_of_another_of_them(
    start, cluster, tmp_path, end, told
):
    engine = start(per_process=2)
    actor = placed(engine, cluster)
    for index, place in enumerate((tmp_path / "a", tmp_path / "b")):
        engine.train(index, job(place))
    first, second = (call for call in actor.calls if call.name == "train")
    first.ends(Reply([metrics(1, 0.5)], {"checkpoint.safetensors": b"one"}))
    second.ends(end)
    assert engine.wait(0) == [(0, told), (1, told)]
    assert job(tmp_path / "a").checkpoint.read_bytes() == b"one"


def test_all_actors_are_ended_with_the_engine(start, cluster):
    engine = start(2)
    actor = placed(engine, cluster, 0)
    engine.close()
    assert actor.last("end")
    assert all(handle.killed for handle in cluster.actors)
