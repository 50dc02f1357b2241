"""Initial weights from another network: finds the tensors of a safetensors file that fit, and loads them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sweeper.config import ModelConfig
from sweeper.models.families import skeleton

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """The tensors that a file and a network have in common, and the rest of both.

    `taken` names the tensors with the same name and shape, including batch norm's running statistics. `left` gives the
    reason for every other tensor of either side. `parameters` names the network's parameters, taken or not.
    """

    taken: tuple[str, ...]
    left: Mapping[str, str]
    parameters: tuple[str, ...]

    @property
    def n_parameters_taken(self) -> int:
        """The number of the network's parameter tensors that are taken."""
        return len(set(self.parameters) & set(self.taken))


def shapes_in(path: Path) -> dict[str, Shape]:
    """The shapes of a safetensors file's tensors by name. Raises ValueError for a damaged file or another format."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no iteration)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"it is not a complete safetensors file: {error}") from error


def match(found: Mapping[str, Shape], config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> Match:
    """Matches the tensors `found` with the network of this configuration, which is built without memory for weights.

    Raises ValueError when the network cannot take such images.
    """
    network = skeleton(config, input_shape, n_classes)
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    left = {}
    for name, shape in own.items():
        if name not in found:
            left[name] = "not in the weights"
        elif found[name] != shape:
            left[name] = f"{_sizes(shape)} here, {_sizes(found[name])} in the weights"
    taken = tuple(name for name in own if name not in left)
    left |= {name: "not in this network" for name in found if name not in own}
    return Match(taken, left, tuple(name for name, _ in network.named_parameters()))


def load(network: nn.Module, path: Path, names: Collection[str]) -> None:
    """Copies the named tensors of a safetensors file into the network, on the network's device.

    Raises ValueError where the file cannot be read or lacks a tensor.
    """
    tensors = network.state_dict()
    try:
        with torch.no_grad(), safe_open(path, framework="pt") as file:
            for name in names:
                tensors[name].copy_(file.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the initial weights {path} cannot be read: {error}") from error


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single value"
