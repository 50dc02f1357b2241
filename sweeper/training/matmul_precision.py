"""The precision of a GPU's matrix products, which is a setting of the whole process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def check(precision: str, device: torch.device, *, graphs: bool) -> None:
    """Raises ValueError for "tf32" where it would change nothing, or change other trainings of the process."""
    if precision != "tf32":
        return
    if device.type != "cuda":
        raise ValueError(f"precision tf32 needs a CUDA device, got {device.type}")
    if graphs:
        raise ValueError("precision tf32 is a setting of a whole process, and trainings with CUDA graphs share theirs")


@contextmanager
def in_precision(precision: str) -> Iterator[None]:
    """With "tf32", matrix products of float32 are computed in TF32 within the block; convolutions always are."""
    if precision != "tf32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
