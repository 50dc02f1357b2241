"""Checks that the tensors of a file, and the scaling of its pixels, can be those of a trained network."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from sweeper.errors import shortened


def check_kinds(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raises ValueError where a network has floats and the file other numbers, which torch would convert silently."""
    for name, tensor in given.items():
        mine = own.get(name)
        if tensor.is_complex() or (mine is not None and mine.is_floating_point() and not tensor.is_floating_point()):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(f"the values of {shortened(name)} must be floating-point numbers, they are {kind}")


def not_finite(network: nn.Module) -> set[str]:
    """The names of tensors with NaN or infinite values; a network's own may be masks, which it is built with."""
    return {name for name, tensor in network.state_dict().items() if not tensor.isfinite().all()}


def is_blank(network: nn.Module) -> bool:
    """Whether every parameter is 0, as in a file whose content was lost; a network without parameters is not blank."""
    parameters = list(network.parameters())
    return bool(parameters) and not any(bool(parameter.any()) for parameter in parameters)


def check_finite(network: nn.Module, masks: Collection[str]) -> None:
    """Raises ValueError if a tensor, apart from the `masks`, has NaN or infinite values."""
    bad = not_finite(network).difference(masks)
    if first := next((name for name in network.state_dict() if name in bad), None):
        raise ValueError(f"the values of {shortened(first)} must be finite, some are NaN or infinite")


def check_scaling(mean: Sequence[float], std: Sequence[float], n_channels: int) -> None:
    """Raises ValueError if pixels of so many channels cannot be scaled so, in the 32 bits of a network's input."""
    numbers = torch.tensor([[*mean], [*std]], dtype=torch.float32) if len(mean) == len(std) == n_channels else None
    if numbers is None:
        raise ValueError(
            f"mean and std must each have as many values as images have channels, {n_channels}, got "
            f"{shortened(str([*mean]))} and {shortened(str([*std]))}"
        )
    centre, spread = 255 * numbers
    # Of the darkest and the brightest pixel, with the arithmetic of predictor.py.
    scaled = (torch.tensor([[0.0], [255.0]]) - centre) / spread
    if not (numbers.isfinite().all() and scaled.isfinite().all() and bool((spread > 0).all())):
        raise ValueError(
            "mean must be finite and std greater than 0, and pixels scaled with them finite, got "
            f"{shortened(str([*mean]))} and {shortened(str([*std]))}"
        )
