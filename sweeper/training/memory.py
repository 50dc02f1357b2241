"""This process's memory: its limit, whether a failure is for lack of it and whose fault that is, and giving it back."""

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the limit is set before torch is imported
    import torch

# A trial that ran out of memory and held this share of what there is, with what it asked for, explains it by itself.
OWN_PEAK = 0.5
_ASKED = re.compile(r"tried to allocate (\d+) bytes")


def limit(n_bytes: int) -> None:
    """Lets this process hold no more private memory than this, where Linux counts it: beyond is a MemoryError."""
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def reset_peak(device: "torch.device") -> None:
    """Forgets the peak so far: what comes next has its own."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with suppress(OSError):  # some containers hide it: the peak is then that of the whole process
            Path("/proc/self/clear_refs").write_text("5")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not to be had, in any of the ways that Python and torch have for it."""
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in ("allocate memory", "bad_alloc"))
    )


def explains(error: Exception, device: "torch.device", limited_to: int | None) -> bool:
    """Whether what this process took since reset_peak accounts for the error by itself.

    On a CPU that needs the limit; without one nobody can tell, and the answer is no.
    """
    import torch

    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return torch.cuda.max_memory_reserved(device) >= OWN_PEAK * total
    if limited_to is None:
        return False
    asked = _ASKED.search(str(error))
    return _peak() + (int(asked[1]) if asked else 0) >= OWN_PEAK * limited_to


def give_back(device: "torch.device") -> None:
    """Returns what nothing holds any more to the system or the card, for the next trial and the neighbours."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def _peak() -> int:
    """The most memory held, in bytes."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
