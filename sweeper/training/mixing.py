"""Mixup and cutmix: each training image is mixed with another of its batch, and learns the classes of both.

As in torchvision's MixUp and CutMix the other is the next image of the batch, except that each image has draws of its
own. No shape depends on the draws, nothing is read back from the device and no constant is copied to it: a CUDA graph
can capture a step that mixes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

from sweeper.config import TrainConfig

# Points of the table from which Beta's quantiles are interpolated: torch has no Beta that a graph can draw.
QUANTILES = 4097
# Uniform random numbers per image.
DRAWS = 5


@dataclass(frozen=True)
class Mixture:
    """How the images of a batch are mixed: `share` (n,) is each image's own part, of pixels and of the loss.

    `mask` (n, 1, height, width), or (n, 1, 1, 1) where no rectangles are pasted, is the other image's part of a pixel.
    """

    share: Tensor
    mask: Tensor

    def images(self, inputs: Tensor) -> Tensor:
        """The mixed inputs (n, channels, height, width)."""
        return torch.lerp(inputs, inputs.roll(1, 0), self.mask)

    def mean(self, of_images: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
        """The mean over the batch of a value by image (n,), computed for both labels of each image."""
        return (self.share * of_images(labels) + (1 - self.share) * of_images(labels.roll(1, 0))).mean()


class Mixer:
    """Draws the mixtures of a training's batches."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self._config = config
        self._mixup, self._cutmix = (_quantiles(a, device) for a in (config.mixup_alpha, config.cutmix_alpha))

    def draw(self, n_images: int, height: int, width: int, generator: torch.Generator) -> Mixture:
        """Draws the mixture of a batch from the generator alone, on the generator's device."""
        uniform = torch.rand((DRAWS, n_images), generator=generator, device=generator.device)
        mixes = uniform[0] < self._config.mix_p
        if self._cutmix is None:
            assert self._mixup is not None
            share = torch.where(mixes, _beta(self._mixup, uniform[1]), 1.0)
            return Mixture(share, (1 - share).view(-1, 1, 1, 1))
        pastes = mixes if self._mixup is None else mixes & (uniform[2] < 0.5)
        mask, share = _rectangles(_beta(self._cutmix, uniform[1]), uniform[3], uniform[4], height, width)
        share = torch.where(pastes, share, 1.0)
        mask = mask * pastes.view(-1, 1, 1, 1)
        if self._mixup is not None:
            added = torch.where(mixes & ~pastes, _beta(self._mixup, uniform[1]), 1.0)
            share, mask = share * added, mask + (1 - added).view(-1, 1, 1, 1)
        return Mixture(share, mask)


def is_on(config: TrainConfig) -> bool:
    """Whether the training mixes images."""
    return bool(config.mix_p and (config.mixup_alpha or config.cutmix_alpha))


def _rectangles(share: Tensor, down: Tensor, right: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Masks (n, 1, height, width) of rectangles of 1 - share of the image, cut at its border, and the shares left.

    As in CutMix the centre is uniform, so that a rectangle may reach beyond the image.
    """
    half = (1 - share).sqrt() / 2

    def inside(side: int, place: Tensor) -> Tensor:
        centre = torch.floor(place * side)
        first, last = torch.floor(centre - half * side), torch.floor(centre + half * side)
        pixels = torch.arange(side, device=share.device)
        return ((pixels >= first[:, None]) & (pixels < last[:, None])).to(torch.float32)

    rows, columns = inside(height, down), inside(width, right)
    left = 1 - rows.mean(1) * columns.mean(1)
    return (rows[:, :, None] * columns[:, None, :])[:, None], left


def _quantiles(alpha: float, device: torch.device) -> Tensor | None:
    """The quantiles of Beta(alpha, alpha) at equal distances from 0 to 1; None for an alpha of 0, which draws none."""
    if not alpha:
        return None
    quantiles = betaincinv(alpha, alpha, np.linspace(0, 1, QUANTILES))
    return torch.tensor(quantiles, dtype=torch.float32, device=device)


def _beta(quantiles: Tensor, uniform: Tensor) -> Tensor:
    """Numbers from Beta for uniform ones in [0, 1)."""
    place = uniform * (QUANTILES - 1)
    below = place.to(torch.int64)
    return torch.lerp(quantiles[below], quantiles[below + 1], place - below)
