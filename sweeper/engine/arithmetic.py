"""How torch computes in a process that trains: the settings that results depend on, bitwise."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: no import may create thread pools
    import torch

# Variables for libraries that read them once, at their first use.
ENVIRONMENT = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Variables that change no result, unless the user has set them. Streams on one of the GPU's hardware queues wait for
# each other: CUDA makes 8 queues by itself, and 32 at most.
DEFAULTS = {"CUDA_DEVICE_MAX_CONNECTIONS": "32"}


def use(device_name: str, threads: int) -> "torch.device":
    """Makes torch compute on this device, on a CPU with this many threads, and deterministically; returns the device.

    ENVIRONMENT must be in the environment before.
    """
    import torch

    torch.set_num_threads(threads)
    device = torch.device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling would run one more kernel for every new tensor.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device
