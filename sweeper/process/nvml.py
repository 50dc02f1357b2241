"""Asks NVIDIA's driver of a GPU's memory: torch tells it only to a process that takes some for CUDA itself."""

import ctypes


class _Memory(ctypes.Structure):
    """NVML's nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def free_memory(uuid: str) -> int | None:
    """The bytes that no program holds on the GPU with this UUID; None if the driver does not tell."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    if nvml.nvmlInit_v2() != 0:
        return None
    try:
        gpu, memory = ctypes.c_void_p(), _Memory()
        # Torch names GPUs without the prefix.
        name = f"GPU-{uuid.removeprefix('GPU-')}".encode()
        if nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(gpu)) != 0:
            return None
        if nvml.nvmlDeviceGetMemoryInfo(gpu, ctypes.byref(memory)) != 0:
            return None
        return int(memory.free)
    finally:
        nvml.nvmlShutdown()
