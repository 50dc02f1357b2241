import platform
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sweeper.training import memory, process_locks

MIB = 1 << 20
CPU = torch.device("cpu")
# What torch says of a CPU allocation that failed.
REFUSED = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError(f"{REFUSED}allocate 1600 bytes. Error code 12 (Cannot allocate memory)"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), False),
        (RuntimeError("CUDA driver error: out of memory"), True),
        (RuntimeError("CUDA ran out of memory outside PyTorch's allocator. If this workload uses many"), True),
        (RuntimeError("CUDA driver error: invalid argument"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("cannot allocate memory"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_lack_of_memory_is_known_by_every_name_it_has(error, expected):
    assert memory.is_out_of_memory(error) is expected


def test_error_in_dealing_with_lack_of_memory_is_lack_of_memory():
    error = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    error.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert memory.is_out_of_memory(error)


NO_HANDLE = "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"


@pytest.mark.parametrize(("free", "expected"), [(100 * MIB, True), (30_000 * MIB, False)])
def test_handle_that_cublas_cannot_make_is_lack_of_memory_on_a_full_gpu_alone(monkeypatch, free, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 80_000 * MIB))
    assert memory.is_out_of_memory(RuntimeError(NO_HANDLE)) is expected
    assert not memory.is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"))


def test_gpu_that_no_longer_answers_is_not_full(monkeypatch):
    def failed():
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "mem_get_info", failed)
    assert not memory.is_out_of_memory(RuntimeError(NO_HANDLE))


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of 1,000 MiB of which torch holds some; says what was done to it, and whether under the lock."""
    state = SimpleNamespace(reserved=0, allocated=0, emptied=[])

    def empty():
        took = []
        thread = threading.Thread(target=lambda: took.append(process_locks.gpu.acquire(blocking=False)))
        thread.start()
        thread.join()
        state.emptied.append("locked" if took == [False] else "not locked")

    def forbidden(*args):
        raise AssertionError("all trainings would wait")

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=1000 * MIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: state.reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: state.allocated)
    monkeypatch.setattr(torch.cuda, "empty_cache", empty)
    monkeypatch.setattr(torch.cuda, "synchronize", forbidden)
    return state


@pytest.mark.parametrize(
    ("reserved", "lacked", "alone", "expected"),
    [
        (350, False, False, []),
        (350, True, False, ["locked"]),
        (351, False, False, ["locked"]),
        (100, False, True, ["locked"]),
    ],
)
def test_gpus_cache_is_emptied_beside_other_trainings_only_if_memory_lacks_or_much_is_unused(
    gpu, reserved, lacked, alone, expected
):
    gpu.reserved, gpu.allocated = reserved * MIB, 100 * MIB
    memory.give_back(torch.device("cuda:0"), alone=alone, only_trains=False, lacked=lacked)
    assert gpu.emptied == expected


@pytest.mark.parametrize("works", [True, False])
def test_device_has_failed_only_if_this_threads_stream_has(monkeypatch, works):
    def synchronize():
        if not works:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(synchronize=synchronize))
    assert memory.is_of_the_device(torch.AcceleratorError("CUDA error: invalid configuration argument")) is not works
    assert not memory.is_of_the_device(RuntimeError("CUDA error"))


@pytest.mark.parametrize("text", ["could not create a primitive", "could not execute a primitive"])
def test_what_onednn_says_is_lack_of_memory_in_a_limited_process_alone(text):
    assert memory.is_out_of_memory(RuntimeError(text), limited=True)
    assert not memory.is_out_of_memory(RuntimeError(text))
    assert not memory.is_out_of_memory(RuntimeError("shapes cannot be multiplied"), limited=True)


@pytest.fixture
def status(monkeypatch):
    """A process that holds 200 MiB before its trial."""
    values = {"VmData": 200 * MIB, "VmPeak": 3000 * MIB}
    monkeypatch.setattr(memory, "_status", values.__getitem__)
    return values


def test_error_is_a_trials_own_if_it_took_and_asked_for_half_of_what_the_limit_left(status):
    plain = RuntimeError("could not create a primitive")
    asking = RuntimeError(f"{REFUSED}allocate {250 * MIB} bytes. Error code 12 (Cannot allocate memory)")
    for limit, error, expected in [
        (800, plain, True), (801, plain, False), (1300, asking, True), (1301, asking, False)
    ]:  # fmt: skip
        status["VmPeak"] = 3000 * MIB
        share = memory.Share(CPU, limit * MIB)
        status["VmPeak"] = 3300 * MIB
        assert share.explains(error) is expected, (limit, error)


def test_share_of_a_gpu_is_what_torch_may_take(gpu, monkeypatch):
    limited = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: limited.append(share))
    memory.limit_gpu(torch.device("cuda:0"), 125 * MIB)
    memory.limit_gpu(torch.device("cuda:0"), 2000 * MIB)
    assert limited == [0.125, 1.0]


@pytest.mark.parametrize(("share", "expected"), [(124, True), (125, True), (150, False), (None, False)])
def test_trial_is_blamed_for_what_exceeds_its_share_of_a_gpu_and_not_for_a_gpu_that_others_fill(
    gpu, monkeypatch, share, expected
):
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 120 * MIB)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 MiB")
    limit = None if share is None else share * MIB
    assert memory.Share(torch.device("cuda:0"), limit).explains(error) is expected


def test_without_a_limit_nobody_can_tell_whose_fault_it_was():
    assert not memory.Share(CPU, None).explains(RuntimeError(f"{REFUSED}allocate {1 << 50} bytes."))


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried to allocate", "rejected. Requested size:"])
@pytest.mark.parametrize(("asked", "expected"), [("1.50 GiB", True), ("512.00 MiB", False), ("20 bytes", False)])
def test_what_was_asked_of_a_card_counts_with_what_was_held_of_it(monkeypatch, said, asked, expected):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=4000 * MIB))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 800 * MIB)
    error = torch.OutOfMemoryError(f"{said} {asked}. GPU 0 has a total capacity of 4 GiB")
    assert memory.Share(torch.device("cuda:0"), None).explains(error) is expected


LIMITED = """
import torch
from sweeper.training import memory, process_locks

MIB = 1 << 20
cpu = torch.device("cpu")
limit = memory._status("VmData") + 300 * MIB
memory.limit(limit)
small_share, share = memory.Share(cpu, limit), memory.Share(cpu, limit)
assert not small_share.explains(RuntimeError("could not create a primitive"))
held = torch.zeros(200 * MIB, dtype=torch.uint8)
try:
    torch.zeros(200 * MIB, dtype=torch.uint8)
except RuntimeError as error:
    assert memory.is_out_of_memory(error), error
    assert memory._requested_bytes(error) == 200 * MIB, error
else:
    raise AssertionError("the limit does not hold")
high = memory._status("VmRSS")
del held
assert share.explains(RuntimeError("could not create a primitive")), "the peak is not remembered"
small = [bytes(50_000) for _ in range(1000)]
small = small[-1:]  # the end of the heap is in use: malloc keeps the rest for itself unless it is told to give it back
memory.give_back(cpu)
assert memory._status("VmRSS") < high - 180 * MIB, (memory._status("VmRSS"), high)
torch.zeros(200 * MIB, dtype=torch.uint8)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits and tells a process's memory so")
def test_limit_holds_and_what_was_given_back_can_be_had_again():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=Path(__file__).parent.parent.parent
    )
    assert done.returncode == 0, done.stderr


KEPT = """
import torch
from sweeper.training import memory, process_locks

MIB = 1 << 20

def freed() -> int:
    held = [torch.ones(16 * MIB, dtype=torch.uint8) for _ in range(12)]
    before = memory._status("VmRSS")
    del held
    return (before - memory._status("VmRSS")) // MIB

assert freed() > 150  # malloc by itself maps requests of this size, until the first is freed
memory.keep_freed(None, {})
freed()
assert freed() < 20
high = memory._status("VmRSS")
memory.give_back(torch.device("cpu"))
assert memory._status("VmRSS") < high - 150 * MIB
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told to keep memory")
def test_freed_memory_is_kept_for_the_next_step_until_it_is_given_back():
    done = subprocess.run(
        [sys.executable, "-c", KEPT], capture_output=True, text=True, cwd=Path(__file__).parent.parent.parent
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no mallopt")
@pytest.mark.parametrize(("limit", "kept"), [(None, 512 * MIB), (16 * 512 * MIB, 512 * MIB), (1600 * MIB, 100 * MIB)])
def test_little_memory_is_kept_under_a_limit(monkeypatch, limit, kept):
    assert _asked_of_malloc(monkeypatch, limit, {}) == {-1: kept, -3: 32 * MIB}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no mallopt")
@pytest.mark.parametrize(
    ("environ", "ours"),
    [
        ({"MALLOC_TRIM_THRESHOLD_": "131072"}, {-3}),
        ({"MALLOC_MMAP_THRESHOLD_": "65536"}, {-1}),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.trim_threshold=128"}, {-3}),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=128:glibc.malloc.trim_threshold=128"}, set()),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_ARENA_MAX": "1"}, {-1, -3}),
    ],
)
def test_what_the_user_has_set_of_malloc_stays(monkeypatch, environ, ours):
    assert set(_asked_of_malloc(monkeypatch, None, environ)) == ours


def _asked_of_malloc(monkeypatch, limit, environ):
    """The parameters that keep_freed sets, by number."""
    asked = {}
    libc = SimpleNamespace(mallopt=lambda parameter, value: asked.update({parameter: value}))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: libc)
    memory.keep_freed(limit, environ)
    return asked
