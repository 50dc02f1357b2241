"""This process's memory: its limit, whether a failure is for lack of it and whose fault that is, and giving it back."""

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the limit is set before torch is imported
    import torch

# Held by whoever changes what is one for all trainings of the process: a card's own generator and its memory's pool.
# Neither may be touched while another training captures a graph.
of_the_card = RLock()
# Of what there was for it: a trial that took this share, with what it asked for, explains by itself that it ran out.
OWN_SHARE = 0.5
# As torch tells it of a CPU, and of a card.
_ASKED = re.compile(r"tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_LACKING = (
    "allocate memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# oneDNN does not tell why: under a limit it is nearly always memory, without one it may be anything.
_LACKING_IF_LIMITED = ("could not create a primitive", "could not execute a primitive")


def limit(n_bytes: int) -> None:
    """Lets this process hold no more private memory than this, where Linux counts it: beyond is a MemoryError."""
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def is_out_of_memory(error: BaseException, *, limited: bool = False) -> bool:
    """Whether an error says that memory was not to be had, in any of the ways that Python and torch have for it.

    Or that something else failed for that: the end of a graph's capture. `limited` tells that the process has a limit.
    """
    import torch

    texts = (*_LACKING, *_LACKING_IF_LIMITED) if limited else _LACKING
    if error.__context__ is not None and is_out_of_memory(error.__context__, limited=limited):
        return True
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def is_of_the_device(error: BaseException) -> bool:
    """Whether the device itself failed, such as by an access beyond its memory: the process can use it no more."""
    import torch

    return isinstance(error, torch.AcceleratorError)


class Share:
    """What this process takes of the memory from now on, out of what there is for it: its limit's rest, or the card.

    For a process that has trained nothing before: what others have left behind would count as taken.
    """

    def __init__(self, device: "torch.device", limited_to: int | None) -> None:
        self._device = device
        self._rest = None if limited_to is None else limited_to - _status("VmData")
        self._before = _status("VmPeak")

    def explains(self, error: Exception) -> bool:
        """Whether what was taken at most, with what the error says was asked for, accounts for the error alone.

        On a CPU that needs the limit; without one nobody can tell, and the answer is no.
        """
        import torch

        asked = _asked(error)
        if self._device.type == "cuda":
            total = torch.cuda.get_device_properties(self._device).total_memory
            return torch.cuda.max_memory_reserved(self._device) + asked >= OWN_SHARE * total
        # By the address space, which has a peak: that of what is resident counts the pages of torch's libraries too,
        # and what counts against the limit has none.
        return self._rest is not None and _status("VmPeak") - self._before + asked >= OWN_SHARE * self._rest


def give_back(device: "torch.device", *, alone: bool = True) -> None:
    """Returns what nothing holds any more to the system or the card, for the next trial and the neighbours.

    `alone` tells that the process trains nothing beside.
    """
    import torch

    gc.collect()
    if alone:
        gc.freeze()  # torch itself, mostly: looking through it again after every trial takes a sixth of a second
    if device.type == "cuda":
        with of_the_card:
            torch.cuda.empty_cache()
    elif sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def _asked(error: Exception) -> float:
    """The bytes that an allocation failed of; 0 where the error does not tell."""
    asked = _ASKED.search(str(error))
    return float(asked[1]) * _UNITS[asked[2].lower()] if asked else 0.0


def _status(name: str) -> int:
    """What Linux tells of this process under a name, in bytes; 0 elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
