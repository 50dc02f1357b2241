import numpy as np
import pytest

from sweeper.config.fields import checked
from sweeper.data.training_set import TrainingSet
from sweeper.engine import inline, start
from sweeper.engine.execution import Execution
from sweeper.engine.local import plan, pool
from sweeper.engine.options import DeviceOptions
from sweeper.engine.workload import Workload
from sweeper.errors import UsageError
from sweeper.store.options import StoreOptions

TRAINING_SET = TrainingSet("tiny", np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, np.int64), ("a",), "0", "here")


@pytest.mark.parametrize(("engine", "module"), [("local", pool), ("inline", inline)])
def test_workers_are_those_of_the_engine(monkeypatch, tmp_path, engine, module):
    monkeypatch.setattr(module, "start_workers", lambda *arguments: arguments)
    planned = Execution(("cpu",), 1, "channels_last", engine=engine)
    store = StoreOptions(tmp_path).resolve({})
    workload = Workload(TRAINING_SET, [], [], store, "study", "0" * 32)
    assert start.start_workers(workload, planned) == (workload, planned)


@pytest.mark.parametrize("options", [DeviceOptions("cpu"), DeviceOptions("cpu", jobs=1)])
def test_inline_engine_is_one_worker_that_computes_as_a_local_one(options):
    local = start.plan_execution(options, 0, {})
    planned = start.plan_execution(DeviceOptions("cpu", jobs=options.jobs, engine="inline"), 0, {})
    assert (local.engine, planned.engine) == ("local", "inline")
    assert (planned.workers, planned.worker_memory) == (["cpu"], None)
    for decisive in ("kind", "threads", "layout"):
        assert getattr(planned, decisive) == getattr(local, decisive)


@pytest.mark.parametrize("jobs_per_gpu", [0, 1])
def test_inline_engine_trains_from_graphs_as_workers_that_share_a_gpu(monkeypatch, jobs_per_gpu):
    monkeypatch.setattr(plan, "_devices", lambda device: ["cuda:0", "cuda:1"])
    planned = start.plan_execution(DeviceOptions("cuda", jobs_per_gpu=jobs_per_gpu, engine="inline"), 0, {})
    assert (planned.workers, planned.kind, planned.tunes_concurrency) == (["cuda:0"], "cuda, graphs", False)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"jobs": 2}, r"^the inline engine trains one trial at a time, got 2 \(--jobs\)$"),
        ({"jobs_per_gpu": 2}, r"^the inline engine trains one trial at a time, got 2 \(--jobs-per-gpu\)$"),
        ({"worker_memory": 4 << 30}, r"^the inline engine has no process whose memory .* \(--worker-memory\)$"),
        ({"device": "tpu"}, "device must be auto, cpu, cuda"),
    ],
)
def test_options_that_need_processes_are_refused_for_the_inline_engine(options, refusal):
    with pytest.raises(UsageError, match=refusal):
        start.plan_execution(DeviceOptions(**options, engine="inline"), 0, {})


def test_engine_must_be_a_known_one():
    with pytest.raises(UsageError, match="engine must be one of local, inline, ray, got 'slurm'"):
        checked(DeviceOptions, engine="slurm")
