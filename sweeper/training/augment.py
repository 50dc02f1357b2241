"""Random augmentation of training images: drawn for each image, applied to a whole batch on its device.

Each change does to an image what torchvision's transform of the same name does, on raw pixels, before scaling. Results
differ where torchvision works on uint8: here pixels stay unrounded floats between the steps. The order of the steps is
fixed: flip, rotation, shift (translation and crop in one move, so that one can bring back the pixels that the other
pushes out of the image), brightness, contrast, saturation, sharpness, erasing. Pixels from outside an image are a raw
0, as in torchvision's padding; a network's input_padding is a scaled 0 instead. Erased pixels are a scaled 0: the mean
pixel, or black where the scaling is "unit".

No shape depends on the draws, nothing is read back from the device and no constant is copied to it: a CUDA graph can
capture a step with augmentation.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sweeper.config import TrainConfig

# The weights of red, green and blue in grey (ITU-R BT.601), as in torchvision.
GREY = (0.2989, 0.587, 0.114)
# The range of an erased rectangle's height / width, whose logarithm is uniform: 0.3 to 1/0.3 in Random Erasing (Zhong
# et al., 2020, section 4.1).
LEAST_RATIO, MOST_RATIO = 0.3, 1 / 0.3
# The smallest erased share of the image's area; the largest share is a parameter.
LEAST_ERASED = 0.02
# Uniform random numbers per image. All are always drawn, so that a change's draws do not depend on which others are on.
DRAWS = 17


@dataclass(frozen=True)
class Draws:
    """The random changes to the images of a batch, one row per image; None for a change that the training never makes.

    `flip` says whether an image is mirrored; `angle` (radians, counter-clockwise) and `shift` (pixels down and right)
    move it. `brightness`, `contrast`, `saturation` and `sharpness` are factors; a factor of 1 changes nothing. `erased`
    is the top, left, height and width (pixels) of the rectangle that is set to 0; a height of 0 erases nothing.
    """

    flip: Tensor | None = None  # (n,) bool
    angle: Tensor | None = None  # (n,)
    shift: Tensor | None = None  # (n, 2) int64
    brightness: Tensor | None = None  # (n,)
    contrast: Tensor | None = None  # (n,)
    saturation: Tensor | None = None  # (n,)
    sharpness: Tensor | None = None  # (n,)
    erased: Tensor | None = None  # (n, 4) int64


def is_on(config: TrainConfig) -> bool:
    """Whether the training augments its images at all."""
    return any((
        config.flip_p, _rotates(config), config.crop_padding, config.translation, config.sharpness_p, config.erasing_p,
        config.jitter_p and (config.brightness or config.contrast or config.saturation),
    ))  # fmt: skip


def draw(config: TrainConfig, n_images: int, height: int, width: int, generator: torch.Generator) -> Draws:
    """Draws the changes to a batch from the generator alone, on the generator's device."""
    uniform = torch.rand((DRAWS, n_images), generator=generator, device=generator.device)
    rotated, angle, down, right, crop_down, crop_right, jittered = uniform[1:8]

    def shift(side: int, moved: Tensor, begins: Tensor) -> Tensor:
        # Translation: whole pixels, at most translation * side either way. Crop: begins 0 to 2 * crop_padding pixels
        # into the padded image.
        moved = torch.round((2 * moved - 1) * (config.translation * side))
        begins = torch.floor(begins * (2 * config.crop_padding + 1))
        return moved + config.crop_padding - begins

    def factor(strength: float, number: Tensor) -> Tensor | None:
        if not strength or not config.jitter_p:
            return None
        low = max(0.0, 1 - strength)
        return torch.where(jittered < config.jitter_p, low + (1 + strength - low) * number, 1.0)

    most = math.radians(config.rotation)
    shifts = config.translation > 0 or config.crop_padding > 0
    return Draws(
        flip=uniform[0] < config.flip_p if config.flip_p else None,
        angle=torch.where(rotated < config.rotation_p, (2 * angle - 1) * most, 0.0) if _rotates(config) else None,
        shift=torch.stack([shift(height, down, crop_down), shift(width, right, crop_right)], 1).to(torch.int64)
        if shifts
        else None,
        brightness=factor(config.brightness, uniform[8]),
        contrast=factor(config.contrast, uniform[9]),
        saturation=factor(config.saturation, uniform[10]),
        sharpness=torch.where(uniform[11] < config.sharpness_p, config.sharpness, 1.0) if config.sharpness_p else None,
        erased=_rectangles(uniform[12:], config, height, width) if config.erasing_p else None,
    )


def augmented(images: Tensor, draws: Draws) -> Tensor:
    """Moves and recolours raw images, uint8 (n, channels, height, width), as drawn; returns float32 in [0, 255]."""
    if draws.flip is not None or draws.angle is not None or draws.shift is not None:
        images = _moved(images, draws)
    return _recoloured(images.to(torch.float32), draws)


def erased(inputs: Tensor, draws: Draws) -> Tensor:
    """Returns a network's inputs (batch, channels, height, width) with the drawn rectangles set to 0."""
    if draws.erased is None:
        return inputs
    height, width = inputs.shape[2:]
    top, left, n_rows, n_columns = (draws.erased[:, i, None] for i in range(4))
    rows = torch.arange(height, device=inputs.device) - top
    columns = torch.arange(width, device=inputs.device) - left
    in_rows = ((rows >= 0) & (rows < n_rows)).to(inputs.dtype)
    in_columns = ((columns >= 0) & (columns < n_columns)).to(inputs.dtype)
    # On a CPU, a product of floats is several times faster than a masked fill.
    return inputs * (1 - in_rows[:, None, :, None] * in_columns[:, None, None, :])


def _rotates(config: TrainConfig) -> bool:
    return config.rotation > 0 and config.rotation_p > 0


def _rectangles(uniform: Tensor, config: TrainConfig, height: int, width: int) -> Tensor:
    """The erased rectangles (n, 4) as top, left, height and width, from rows of uniform random numbers.

    A rectangle that is too long is cut to the image; torchvision's RandomErasing draws again instead.
    """
    happens, size, ratio, down, right = uniform
    least = min(LEAST_ERASED, config.erasing_area)
    area = (least + (config.erasing_area - least) * size) * (height * width)
    stretch = LEAST_RATIO * (math.log(MOST_RATIO / LEAST_RATIO) * ratio).exp()
    n_rows = torch.round((area * stretch).sqrt()).clamp(1, height)
    n_columns = torch.round((area / stretch).sqrt()).clamp(1, width)
    top = torch.floor(down * (height - n_rows + 1))
    left = torch.floor(right * (width - n_columns + 1))
    rectangles = torch.stack([top, left, n_rows, n_columns], 1).to(torch.int64)
    return rectangles * (happens < config.erasing_p)[:, None]


def _moved(images: Tensor, draws: Draws) -> Tensor:
    """Mirrors images, rotates them about the centre to the nearest pixel, then shifts them; pixels from outside are 0.

    One gather does all of this: each pixel's source is traced from the last step back to the first. The image gets a
    border of zeros, one pixel wide, and every source outside the image is moved to this border.
    """
    n, channels, height, width = images.shape
    y = torch.arange(height, device=images.device).view(1, -1, 1)
    x = torch.arange(width, device=images.device).view(1, 1, -1)
    if draws.shift is not None:
        y, x = y - draws.shift[:, 0].view(-1, 1, 1), x - draws.shift[:, 1].view(-1, 1, 1)
    if draws.angle is not None:
        y, x = _rotated(y, x, draws.angle.view(-1, 1, 1), height, width)
    y, x = y.clamp(-1, height), x.clamp(-1, width)
    if draws.flip is not None:
        flip = draws.flip.view(-1, 1, 1).to(x.dtype)
        x = (1 - 2 * flip) * x + (width - 1) * flip
    source = (y + 1).to(torch.int64) * (width + 2) + (x + 1).to(torch.int64)
    places = source.view(n, 1, -1).expand(n, channels, -1)
    return F.pad(images, (1, 1, 1, 1)).flatten(2).gather(2, places).view_as(images)


def _rotated(y: Tensor, x: Tensor, angle: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The nearest source pixels (whole numbers, as floats), which the rotation moves to rows y and columns x."""
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    # A point this far from the middle stays outside the image under every rotation.
    far = float(2 * (height + width))
    from_middle_y = torch.where((y >= 0) & (y < height), y.to(torch.float32) - middle_y, far)
    from_middle_x = torch.where((x >= 0) & (x < width), x.to(torch.float32) - middle_x, far)
    sine, cosine = angle.sin(), angle.cos()
    return (
        torch.round((cosine * from_middle_y + middle_y) + sine * from_middle_x),
        torch.round((cosine * from_middle_x + middle_x) - sine * from_middle_y),
    )


def _recoloured(images: Tensor, draws: Draws) -> Tensor:
    """Changes brightness, contrast, saturation (of 3 channels), sharpness, in this order; may overwrite its input."""
    if draws.brightness is not None:
        images = (images * draws.brightness.view(-1, 1, 1, 1)).clamp_(0, 255)
    if draws.contrast is not None:
        images = _blend(_grey(images).mean((1, 2, 3), keepdim=True), images, draws.contrast)
    if draws.saturation is not None and images.shape[1] == 3:
        images = _blend(_grey(images), images, draws.saturation)
    if draws.sharpness is not None and min(images.shape[2:]) > 2:
        inner = images[:, :, 1:-1, 1:-1]
        inner.copy_(_blend(_blurred(images), inner, draws.sharpness))
    return images


def _blend(others: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """factor * images + (1 - factor) * others, within [0, 255]; a factor above 1 extrapolates beyond the images."""
    return torch.lerp(others, images, factor.view(-1, 1, 1, 1)).clamp_(0, 255)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    red, green, blue = images.split(1, 1)
    return (GREY[0] * red).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def _blurred(images: Tensor) -> Tensor:
    """The pixels inside the border, each the mean of its 3x3 neighbourhood with weight 5 for itself, 1 for the rest."""
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    return sums.add_(images[:, :, 1:-1, 1:-1], alpha=4).div_(13)
