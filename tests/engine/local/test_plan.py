import os

import pytest

from sweeper.engine.local import plan
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.process import resources

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch):
    """A machine with 16 cores and 64 GiB, free of control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(resources, "_cgroup_folders", list)
    monkeypatch.setattr(plan, "available_memory", lambda: 64 * GIB)
    return monkeypatch


def test_a_worker_a_core_but_at_most_eight(machine):
    assert plan.plan(DeviceOptions("cpu"), 0, {}).devices == ("cpu",) * 8
    assert plan.plan(DeviceOptions("cpu"), 0, {"SLURM_CPUS_PER_TASK": "2"}).devices == ("cpu",) * 2


def test_memory_bounds_the_workers_but_leaves_one(machine):
    machine.setattr(plan, "available_memory", lambda: 5 * GIB)
    assert len(plan.plan(DeviceOptions("cpu"), 0, {}).devices) == 3
    assert len(plan.plan(DeviceOptions("cpu"), GIB, {}).devices) == 2
    machine.setattr(plan, "available_memory", lambda: 0)
    assert len(plan.plan(DeviceOptions("cpu"), 0, {}).devices) == 1


def test_jobs_override_what_the_machine_bears(machine):
    assert len(plan.plan(DeviceOptions("cpu", jobs=12), 0, {}).devices) == 12


def test_no_more_workers_than_there_is_work_and_each_has_its_share_of_all_memory(machine):
    planned = plan.plan(DeviceOptions("cpu"), 4 * GIB, {}, most_jobs=3)
    assert (len(planned.devices), planned.worker_memory) == (3, 20 * GIB)
    assert len(plan.plan(DeviceOptions("cpu", jobs=12), 0, {}, most_jobs=3).devices) == 3
    assert len(plan.plan(DeviceOptions("cpu", jobs=2), 0, {}, most_jobs=3).devices) == 2
    machine.setattr(plan, "_devices", lambda device: ["cuda:0", "cuda:1"])
    assert plan.plan(DeviceOptions("cuda"), 0, {}, most_jobs=1).devices == ("cuda:0",)


def test_gpus_have_a_worker_each(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert plan.plan(DeviceOptions("auto"), 0, {}).devices == ("cuda:0", "cuda:1")
    assert plan.plan(DeviceOptions("cuda", jobs=3), 0, {}).devices == ("cuda:0", "cuda:1", "cuda:0")
    assert plan.plan(DeviceOptions("cuda:1"), 0, {}).devices == ("cuda:1",)
    assert plan.plan(DeviceOptions("cuda:1,cuda:0", jobs=3), 0, {}).devices == (
        "cuda:1",
        "cuda:0",
        "cuda:1",
    )
    with pytest.raises(UsageError, match="device cuda:2 is not here: torch sees 2"):
        plan.plan(DeviceOptions("cuda:2"), 0, {})
    with pytest.raises(UsageError, match="device cuda:5 is not here"):
        plan.plan(DeviceOptions("cuda:0,cuda:5"), 0, {})
    with pytest.raises(UsageError, match="device cpu is not here: torch sees 2 CUDA devices"):
        plan.plan(DeviceOptions("cuda:0,cpu"), 0, {})
    with pytest.raises(UsageError, match="each device may be named once, got cuda:0,cuda:0"):
        plan.plan(DeviceOptions("cuda:0,cuda:0"), 0, {})


def test_trials_that_share_a_gpu_are_workers_of_one_process_and_trained_from_graphs(monkeypatch):
    monkeypatch.setattr(plan, "_devices", lambda device: ["cuda:0", "cuda:1"])
    shared = plan.plan(DeviceOptions("cuda", jobs_per_gpu=3), 0, {})
    assert (shared.devices, shared.at_once, shared.kind) == (("cuda:0", "cuda:1"), 3, "cuda, graphs")
    assert shared.workers == ["cuda:0"] * 3 + ["cuda:1"] * 3
    assert plan.plan(DeviceOptions("cuda"), 0, {}).kind == "cuda"
    few = plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}, most_jobs=5)
    assert (few.devices, few.at_once) == (("cuda:0", "cuda:1"), 3)
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}, most_jobs=1).workers == ["cuda:0"]
    sought = plan.plan(DeviceOptions("cuda:0", jobs_per_gpu=0), 0, {})
    assert (sought.at_once, sought.tunes_concurrency) == (plan.MOST_PER_GPU, True)
    with pytest.raises(UsageError, match="give one of --jobs and --jobs-per-gpu, got both"):
        plan.plan(DeviceOptions("cuda", jobs=2, jobs_per_gpu=3), 0, {})
    with pytest.raises(UsageError, match=r"limited on a CPU only, got cuda:0 \(--worker-memory\)"):
        plan.plan(DeviceOptions("cuda", worker_memory=2 << 30, jobs_per_gpu=3), 0, {})


def test_trials_share_no_device_but_a_gpu():
    with pytest.raises(UsageError, match=r"share a CUDA device only, got cpu \(--jobs-per-gpu\)"):
        plan.plan(DeviceOptions("cpu", jobs_per_gpu=2), 0, {})


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:1", " "])
def test_unknown_device_is_refused_by_name(device):
    with pytest.raises(UsageError, match=f"device {device}|got '{device}'"):
        plan.plan(DeviceOptions(device), 0, {})


def test_workers_on_a_cpu_share_the_memory_equally_but_none_has_too_little(machine):
    assert plan.plan(DeviceOptions("cpu", jobs=8), 0, {}).worker_memory == 8 * GIB
    assert plan.plan(DeviceOptions("cpu", jobs=6), 4 * GIB, {}).worker_memory == 10 * GIB
    assert plan.plan(DeviceOptions("cpu", jobs=100), 0, {}).worker_memory == plan.WORKER_BYTES
    assert plan.plan(DeviceOptions("cpu", jobs=4, worker_memory=2 * GIB), 0, {}).worker_memory == 2 * GIB


def test_workers_with_memory_of_a_given_size_are_as_many_as_fit(machine):
    assert len(plan.plan(DeviceOptions("cpu", worker_memory=20 * GIB), 0, {}).devices) == 3
    assert len(plan.plan(DeviceOptions("cpu", worker_memory=20 * GIB), 5 * GIB, {}).devices) == 2
    assert len(plan.plan(DeviceOptions("cpu", worker_memory=100 * GIB), 0, {}).devices) == 1


def test_memory_that_nobody_tells_of_limits_nothing(machine):
    machine.setattr(plan, "available_memory", lambda: None)
    planned = plan.plan(DeviceOptions("cpu"), 0, {})
    assert (len(planned.devices), planned.worker_memory) == (8, None)


def test_too_little_memory_for_a_worker_is_refused_with_the_least(machine):
    least = plan.LEAST_WORKER_BYTES
    assert plan.plan(DeviceOptions("cpu", jobs=1, worker_memory=least), 0, {}).worker_memory == least
    with pytest.raises(UsageError, match=r"must be at least 1\.25 GiB, .*, got 0\.625 GiB \(--worker-memory\)"):
        plan.plan(DeviceOptions("cpu", jobs=1, worker_memory=least // 2), 0, {})


def test_memory_of_workers_on_a_gpu_is_not_limited(monkeypatch):
    monkeypatch.setattr(plan, "_devices", lambda device: ["cuda:0"])
    assert plan.plan(DeviceOptions("cuda", jobs=2), 0, {}).worker_memory is None
    with pytest.raises(UsageError, match=r"on a CPU only, got cuda:0 \(--worker-memory\)"):
        plan.plan(DeviceOptions("cuda", jobs=2, worker_memory=4 * GIB), 0, {})
