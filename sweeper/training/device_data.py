"""Images and labels on the training device, and the scaling of a batch."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class DeviceImages:
    """One part of the data: images uint8 (n, channels, height, width), labels int64 (n,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TrainingData:
    """All data that a trial may see: its train and validation parts, resident on one device.

    `mean` and `std` (1, channels, 1, 1) scale pixels in [0, 255] to (pixel - mean) / std.
    """

    train: DeviceImages
    validation: DeviceImages
    mean: Tensor
    std: Tensor
    n_classes: int
    layout: torch.memory_format

    @property
    def input_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def device(self) -> torch.device:
        return self.train.images.device

    def scaled_by(self, mean: Sequence[float], std: Sequence[float]) -> "TrainingData":
        """The same images, scaled by another mean and std by channel, of pixels in [0, 1]."""
        return replace(self, mean=_per_channel(mean, self.device), std=_per_channel(std, self.device))

    def scale(self, images: Tensor) -> Tensor:
        """Scales raw pixels (batch, channels, height, width), from 0 to 255, into the network's input of that shape."""
        return images.to(torch.float32).sub_(self.mean).div_(self.std).contiguous(memory_format=self.layout)


def on_device(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    n_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    layout: torch.memory_format,
) -> TrainingData:
    """Moves (images, labels) pairs of arrays to `device`; `mean` and `std` are per channel, for pixels in [0, 1].

    On a CPU nothing is copied: the arrays may be memory-mapped and read-only.
    """

    def part(images: np.ndarray, labels: np.ndarray) -> DeviceImages:
        with warnings.catch_warnings():
            # Torch warns that writing to read-only arrays is undefined. Nothing here writes to its data.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return DeviceImages(torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))

    scaling = _per_channel(mean, device), _per_channel(std, device)
    return TrainingData(part(*train), part(*validation), *scaling, n_classes, layout)


def _per_channel(values: Sequence[float], device: torch.device) -> Tensor:
    return (255 * torch.tensor(values, dtype=torch.float32)).view(1, -1, 1, 1).to(device)
