"""This process's memory: limits it, recognises a lack of it and whether a trial is the cause, and frees it."""

import ctypes
import gc
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.training import process_locks

if TYPE_CHECKING:  # torch is imported only after the limit is set
    import torch

# A trial counts as the cause of its own lack of memory if what it took plus its last request is at least this share of
# the memory that it could have: of a CPU worker's limit, or of a GPU that no other process of sweeper trains on.
OWN_SHARE = 0.5
# The same for a share of a GPU, which torch counts exactly and tells in rounded numbers. With less, the GPU itself was
# full: its processes may have more of it between them than there is (--jobs), and another program may have some.
OWN_GPU_SHARE = 0.99
# While other trainings run in the process, a GPU's cached memory is given back only if there is more of it than this
# share of the GPU's memory: the GPU finishes all that it was given first, and they wait for it.
MOST_CACHED_SHARE = 0.25
# What keep_freed keeps of the heap in bytes, and at most of the process's limit: vgg_small's steps need about 300 MiB.
_KEPT, _KEPT_SHARE = 512 << 20, 1 / 16
# Larger requests are mapped, and unmapped when they are freed, as far as malloc by itself goes up: the heap does not
# reuse the place of a large tensor for one of the same size, because it asks for more to align it.
_MAPPED_FROM = 32 << 20
# Parameters of glibc's mallopt, from malloc.h, and how a user sets the same: a variable, and a name in GLIBC_TUNABLES.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_SET_BY = {
    _M_TRIM_THRESHOLD: ("MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold"),
    _M_MMAP_THRESHOLD: ("MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold"),
}
# Torch's wording, for a CPU and for a GPU; and beyond set_per_process_memory_fraction (2.14).
_REQUESTED = re.compile(r"(?:tried to allocate|requested size:) ([\d.]+) (bytes|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_OUT_OF_MEMORY = (
    "allocate memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUDA ran out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",  # up to cuDNN 8; the next two since cuDNN 9
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
)
# What cuBLAS says of a handle that it cannot make, for whatever reason. A full GPU is believed to be the reason where
# less is free than a handle's workspace (32 MiB on the largest GPUs) and the code of its kernels may take.
_MAYBE_OUT_OF_MEMORY = "CUBLAS_STATUS_NOT_INITIALIZED"
_FULL_BELOW = 256 << 20
# oneDNN gives no cause: under a limit the cause is nearly always memory, without a limit it may be anything.
_OUT_OF_MEMORY_IF_LIMITED = ("could not create a primitive", "could not execute a primitive")


def keep_freed(limited_to: int | None, environ: Mapping[str, str]) -> None:
    """Makes glibc's malloc keep freed memory for later requests, until give_back; elsewhere it changes nothing.

    Every step of a training allocates the same tensors of some MB again. By default malloc returns free memory at the
    end of its heap at once, and the system clears the same pages anew for the next step (benchmarks/step.md).
    `limited_to` is the process's limit, which counts what is kept. What a user has set in `environ` stays.
    """
    if sys.platform != "linux":
        return
    kept = _KEPT if limited_to is None else min(_KEPT, int(_KEPT_SHARE * limited_to))
    with suppress(OSError, AttributeError):  # musl has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        tunables = environ.get("GLIBC_TUNABLES", "")
        for parameter, value in ((_M_TRIM_THRESHOLD, kept), (_M_MMAP_THRESHOLD, _MAPPED_FROM)):
            variable, tunable = _SET_BY[parameter]
            if variable not in environ and f"{tunable}=" not in tunables:
                mallopt(parameter, value)


def limit(n_bytes: int) -> None:
    """Limits this process's private memory, on Linux only: an allocation beyond the limit fails with a MemoryError."""
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def limit_gpu(device: "torch.device", n_bytes: int) -> None:
    """Limits what torch takes of the GPU's memory in this process: beyond it, an allocation is out of memory."""
    import torch

    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, n_bytes / total), device)


def is_out_of_memory(error: BaseException, *, limited: bool = False) -> bool:
    """Whether an error means a lack of memory, in any of the ways that Python and torch have to say so.

    The lack of memory may also be the error's __context__, as at the end of a graph's capture. `limited` says whether
    the process has a memory limit.
    """
    import torch

    texts = (*_OUT_OF_MEMORY, *_OUT_OF_MEMORY_IF_LIMITED) if limited else _OUT_OF_MEMORY
    if error.__context__ is not None and is_out_of_memory(error.__context__, limited=limited):
        return True
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    said = str(error)
    return any(text in said for text in texts) or (_MAYBE_OUT_OF_MEMORY in said and _is_gpu_full())


def is_of_the_device(error: BaseException) -> bool:
    """Whether the device itself failed, such as on an illegal memory access: the process can no longer use it.

    Torch raises the same error for a call that the device has refused, such as a kernel with too many threads; then the
    device works on, as this thread's stream shows.
    """
    import torch

    if not isinstance(error, torch.AcceleratorError):
        return False
    try:
        torch.cuda.current_stream().synchronize()
    except Exception:  # the same error once more, or no CUDA device at all
        return True
    return False


class Share:
    """The memory that this process takes from now on, against what it can have: the rest of its limit, or the GPU's.

    Only for a process that has trained nothing before: what earlier trials have left behind would count as taken.
    """

    def __init__(self, device: "torch.device", limited_to: int | None) -> None:
        self._device, self._limit = device, limited_to
        self._rest = None if limited_to is None else limited_to - _status("VmData")
        self._before = _status("VmPeak")

    def explains(self, error: Exception) -> bool:
        """Whether the most that was taken plus the request that failed explains the error, without other processes.

        On a CPU this needs a limit; without a limit nobody can tell, and the result is False.
        """
        import torch

        requested = _requested_bytes(error)
        if self._device.type == "cuda":
            taken = torch.cuda.max_memory_reserved(self._device) + requested
            if self._limit is not None:
                return taken >= OWN_GPU_SHARE * self._limit
            return taken >= OWN_SHARE * torch.cuda.get_device_properties(self._device).total_memory
        # The peak of the address space: Linux records no peak of the memory that counts against the limit, and the peak
        # of resident memory also counts the pages of torch's libraries.
        return self._rest is not None and _status("VmPeak") - self._before + requested >= OWN_SHARE * self._rest


def give_back(device: "torch.device", *, alone: bool = True, only_trains: bool = True, lacked: bool = False) -> None:
    """Returns unused memory to the system or the GPU, for the next trial and for other processes.

    `alone` says whether the process runs no other training meanwhile, `only_trains` whether it does nothing else, and
    `lacked` whether a training has just run out of memory.
    """
    import torch

    gc.collect()
    if alone and only_trains:
        gc.freeze()  # mostly torch's own objects: scanning them again after every trial takes a sixth of a second
    if device.type == "cuda":
        if alone or lacked or _caches_much(device):
            with process_locks.gpu:
                torch.cuda.empty_cache()
    elif sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def _caches_much(device: "torch.device") -> bool:
    """Whether torch holds more of the GPU's memory unused than it should beside other trainings."""
    import torch

    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return unused > MOST_CACHED_SHARE * torch.cuda.get_device_properties(device).total_memory


def _is_gpu_full() -> bool:
    """Whether the current GPU has hardly any memory left; False where it does not say."""
    import torch

    try:
        free, _ = torch.cuda.mem_get_info()
    except Exception:  # the GPU has failed, or there is none
        return False
    return free < _FULL_BELOW


def _requested_bytes(error: Exception) -> float:
    """The size in bytes of the allocation that failed; 0 where the error does not say it."""
    requested = _REQUESTED.search(str(error))
    return float(requested[1]) * _UNITS[requested[2].lower()] if requested else 0.0


def _status(name: str) -> int:
    """A field of Linux's /proc/self/status, in bytes; 0 on other systems."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
