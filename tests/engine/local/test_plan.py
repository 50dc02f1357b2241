import os
import re
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch.torch_version import TorchVersion

from sweeper.engine.local import plan
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.process import nvml, resources

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
    machine.setattr(plan, "_least_free", lambda found: 80 * GIB)
    assert plan.plan(DeviceOptions("cuda"), 0, {}, most_jobs=1).devices == ("cuda:0",)


@pytest.fixture
def gpus(machine):
    """Two GPUs of 80 GiB in that machine; `gpus` sets other numbers of GPUs, and of their GiB."""
    sizes = [80, 80]
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "device_count", lambda: len(sizes))
    machine.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(
            total_memory=sizes[int(device.removeprefix("cuda:"))] * GIB, uuid=device.replace("cuda:", "gpu-")
        ),
    )
    machine.setattr(nvml, "free_memory", lambda uuid: None)

    def have(*gibibytes):
        sizes[:] = gibibytes

    return have


@pytest.mark.parametrize(
    ("sizes", "n_trainings", "expected"),
    [
        ([80], None, 8),  # a training with folds, a promotion
        ([80], 50, 8),
        ([80], 32, 8),
        ([80], 20, 5),  # the sampler should learn from three of four
        ([80], 9, 3),
        ([80], 1, 1),
        ([80, 80], 50, 14),  # at most a quarter of them: seven on each
        ([80, 80, 80, 80], 1000, 16),  # a core for each
        ([8], 50, 2),  # 3 GiB for each
        ([2], 50, 1),
        ([80, 8], 50, 4),
    ],
)
def test_processes_share_gpus_by_what_trials_cores_and_memory_allow(gpus, sizes, n_trainings, expected):
    gpus(*sizes)
    planned = plan.plan(DeviceOptions("cuda"), 0, {}, n_trainings=n_trainings)
    assert len(planned.devices) == expected
    counts = Counter(planned.devices)
    assert max(counts.values()) - min(counts.values()) == 0
    assert (planned.at_once, planned.graphs, planned.threads, planned.kind) == (1, False, 1, "cuda")


def test_images_and_the_machines_memory_leave_fewer_processes_on_a_gpu(gpus, machine):
    gpus(80)
    assert len(plan.plan(DeviceOptions("cuda"), 13 * GIB, {}).devices) == 5
    machine.setattr(plan, "available_memory", lambda: 7 * GIB)
    assert len(plan.plan(DeviceOptions("cuda"), 0, {}).devices) == 2
    machine.setattr(plan, "available_memory", lambda: GIB)
    assert len(plan.plan(DeviceOptions("cuda"), 0, {}).devices) == 1
    machine.setattr(plan, "available_memory", lambda: None)
    assert len(plan.plan(DeviceOptions("cuda"), 0, {"SLURM_CPUS_PER_TASK": "3"}).devices) == 3


def test_processes_of_a_gpu_have_equal_shares_of_its_memory_and_one_by_itself_has_all(gpus):
    gpus(80, 40)
    assert plan.plan(DeviceOptions("cuda", jobs=2), 0, {}).gpu_memory is None
    shared = plan.plan(DeviceOptions("cuda", jobs=3), 0, {})
    assert shared.gpu_memory == 40 * GIB // 2 - plan.CUDA_BYTES
    assert shared.trial_memory == shared.gpu_memory
    assert plan.plan(DeviceOptions("cuda", jobs=60), 0, {}).gpu_memory == plan.GPU_TRAINING_BYTES
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}).gpu_memory is None
    assert plan.plan(DeviceOptions("cuda", jobs=2), 0, {}).trial_memory == 40 * GIB


def test_larger_shares_are_those_of_half_the_processes_on_each_gpu(gpus):
    gpus(80, 80)
    planned = plan.plan(DeviceOptions("cuda", jobs=10), 0, {})
    found = [planned]
    while larger := found[-1].with_larger_shares():
        found.append(larger)
    assert [e.devices for e in found[1:]] == [("cuda:0", "cuda:1") * 2, ("cuda:0", "cuda:1")]
    assert [e.gpu_memory for e in found] == [15 * GIB, 15 * GIB * 5 // 2, None]
    assert plan.plan(DeviceOptions("cuda", jobs=2), 0, {}).with_larger_shares() is None
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}).with_larger_shares() is None
    assert plan.plan(DeviceOptions("cpu", jobs=2), 0, {}).with_larger_shares() is None


def test_what_another_program_holds_of_a_gpu_is_not_planned_for(gpus, machine):
    gpus(80, 80)
    machine.setattr(nvml, "free_memory", lambda uuid: {"gpu-0": 80, "gpu-1": 7}[uuid] * GIB)
    planned = plan.plan(DeviceOptions("cuda"), 0, {})
    assert Counter(planned.devices) == {"cuda:0": 2, "cuda:1": 2}
    assert planned.gpu_memory == 7 * GIB // 2 - plan.CUDA_BYTES
    assert len(plan.plan(DeviceOptions("cuda:0"), 0, {}).devices) == 8
    assert plan.plan(DeviceOptions("cuda:1", jobs=2), 0, {}).gpu_memory == 7 * GIB // 2 - plan.CUDA_BYTES


def test_gpus_are_shared_in_turn(gpus):
    assert plan.plan(DeviceOptions("auto"), 0, {}, most_jobs=5).devices == (
        "cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"
    )  # fmt: skip
    assert plan.plan(DeviceOptions("cuda", jobs=3), 0, {}).devices == ("cuda:0", "cuda:1", "cuda:0")
    assert plan.plan(DeviceOptions("cuda:1"), 0, {}, n_trainings=4).devices == ("cuda:1",)
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
    monkeypatch.setattr(plan, "_least_free", lambda found: 80 * GIB)
    shared = plan.plan(DeviceOptions("cuda", jobs_per_gpu=3), 0, {})
    assert (shared.devices, shared.at_once, shared.kind) == (("cuda:0", "cuda:1"), 3, "cuda, graphs")
    assert shared.workers == ["cuda:0"] * 3 + ["cuda:1"] * 3
    assert plan.plan(DeviceOptions("cuda"), 0, {}).kind == "cuda"
    few = plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}, most_jobs=5)
    assert (few.devices, few.at_once) == (("cuda:0", "cuda:1"), 3)
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=8), 0, {}, most_jobs=1).workers == ["cuda:0"]
    sought = plan.plan(DeviceOptions("cuda:0", jobs_per_gpu=0), 0, {})
    assert (sought.at_once, sought.tunes_concurrency) == (plan.MOST_PER_GPU, True)
    # At most a quarter of a search's trials, where the number is sought.
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=0), 0, {}, n_trainings=100).at_once == 13
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=0), 0, {}, n_trainings=50).at_once == 7
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=16), 0, {}, n_trainings=50).at_once == 16
    with pytest.raises(UsageError, match="give one of --jobs and --jobs-per-gpu, got both"):
        plan.plan(DeviceOptions("cuda", jobs=2, jobs_per_gpu=3), 0, {})
    with pytest.raises(UsageError, match=r"limited on a CPU only, got cuda:0 \(--worker-memory\)"):
        plan.plan(DeviceOptions("cuda", worker_memory=2 << 30, jobs_per_gpu=3), 0, {})


@pytest.mark.parametrize("version", ["2.10.0", "2.11.0+cu130", "2.12.1"])
def test_trials_share_no_process_where_a_failed_capture_would_spoil_it(monkeypatch, version):
    monkeypatch.setattr(plan, "_devices", lambda device: ["cuda:0"])
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    refusal = rf"^CUDA graphs need PyTorch 2.13 or newer, got {re.escape(version)}, .*--jobs N .*\(--jobs-per-gpu\)$"
    with pytest.raises(UsageError, match=refusal):
        plan.plan(DeviceOptions("cuda", jobs_per_gpu=3), 0, {})
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.13.0"))
    assert plan.plan(DeviceOptions("cuda", jobs_per_gpu=3), 0, {}).graphs


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
    monkeypatch.setattr(plan, "_least_free", lambda found: 80 * GIB)
    assert plan.plan(DeviceOptions("cuda", jobs=2), 0, {}).worker_memory is None
    with pytest.raises(UsageError, match=r"on a CPU only, got cuda:0 \(--worker-memory\)"):
        plan.plan(DeviceOptions("cuda", jobs=2, worker_memory=4 * GIB), 0, {})
