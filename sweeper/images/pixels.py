"""Makes of images in arrays, of any size and layout, the pixels that a network takes.

A copy of this file is part of every registered model, without the rest of sweeper: import nothing of sweeper here but
its neighbours in the copy, and these by their relative names.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .resize import change, fitted

if TYPE_CHECKING:
    from sweeper.images.options import Fit

# How many channels an image may have: grey or colour, each without and with opacity.
CHANNELS = (1, 2, 3, 4)
# The largest opacity that an array of this type can hold.
OPAQUE = {"uint8": 255, "uint16": 65_535}
COLOURS = {0: "black", 255: "white"}


class Pixels:
    """What the network takes: pixels uint8 (n, *shape), where `shape` is (channels, height, width).

    `background` is the value of white or black behind transparent pixels and beside padded images. `value_range` has
    the stored values that became 0 and 255 for training, or is None if the training images were stored as pixels.
    `scales_bytes` says that bytes were among the values that training scaled, and `fit` how images of other
    proportions get the size.
    """

    def __init__(
        self,
        shape: list[int],
        background: int,
        value_range: list[float] | None,
        scales_bytes: bool = False,
        fit: "Fit" = "pad",
    ) -> None:
        self.channels, self.size = shape[0], tuple(shape[1:])
        self.background, self.value_range, self.scales_bytes, self.fit = background, value_range, scales_bytes, fit

    def of(self, images: Any) -> NDArray[np.uint8]:
        """The pixels (n, channels, height, width) of one or more images. Raises ValueError for what is no image.

        The images are grey or of three channels, which come before or after height and width, perhaps with opacity.
        Values are scaled as those of the training images were. Bytes are pixels unless training scaled bytes. Images of
        another size are fitted.
        """
        return self.converted(images)[0]

    def converted(self, images: Any) -> tuple[NDArray[np.uint8], str]:
        """The pixels as `of` gives them, and how the images had to be changed, in words; empty if they were as wanted.

        Raises ValueError for what is no image.
        """
        values = self._batch(_array(images))
        height, width = values.shape[2:]
        changes = [change((width, height), (self.size[1], self.size[0]), self.fit, COLOURS[self.background])]
        if values.dtype == np.uint8 and values.shape[1] == self.channels and not self.scales_bytes:
            # A copy if it must be, because torch warns of arrays that cannot be written to, as Pillow gives them.
            return self._fitted(np.require(values, requirements=["C", "W"])), changes[0]
        opacity = self._opacity(values)
        if opacity is not None:
            values = values[:, :-1]
        pixels: NDArray[Any] = self._bytes(values).astype(np.uint32)
        if opacity is not None:
            if (opacity < 255).any():
                changes.append(f"transparency on {COLOURS[self.background]}")
            pixels = (pixels * opacity + self.background * (255 - opacity) + 127) // 255
        if pixels.shape[1] != self.channels:
            changes.append("colour to grey" if self.channels == 1 else "grey to colour")
        if self.channels == 1 and pixels.shape[1] == 3:
            # The weights of ITU-R 601-2, as Pillow rounds them.
            red, green, blue = pixels[:, 0:1], pixels[:, 1:2], pixels[:, 2:3]
            pixels = (red * 19_595 + green * 38_470 + blue * 7_471 + 32_768) >> 16
        pixels = np.broadcast_to(pixels, (len(pixels), self.channels, height, width))
        return self._fitted(np.ascontiguousarray(pixels, np.uint8)), ", ".join(filter(None, changes))

    def _fitted(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels at the network's size."""
        if pixels.shape[2:] == self.size:
            return pixels
        grey, (height, width) = self.channels == 1, self.size
        found = np.empty((len(pixels), self.channels, height, width), np.uint8)
        for place, image in enumerate(pixels):
            picture = Image.fromarray(np.ascontiguousarray(image[0] if grey else image.transpose(1, 2, 0)))
            found[place] = fitted(picture, (width, height), grey=grey, fit=self.fit, background=self.background)
        return found

    def _batch(self, values: NDArray[Any]) -> NDArray[Any]:
        """The images as (n, channels, height, width), with the channels and the size that they have."""
        shape = values.shape
        if values.ndim == 2:
            values = values[None, None]
        elif values.ndim == 3:
            values = self._of_three(values)
        if values.ndim == 4 and 0 not in values.shape[1:]:
            # What has the network's size is read by it: else few pixels could pass for channels.
            is_first = values.shape[1] in CHANNELS and values.shape[2:] == self.size
            is_last = values.shape[3] in CHANNELS and values.shape[1:3] == self.size
            if not (is_first or is_last):
                is_first, is_last = values.shape[1] in CHANNELS, values.shape[3] in CHANNELS
                if is_first and is_last:
                    raise ValueError(
                        f"an array of shape {shape} may have its channels before or after height and width: resize the "
                        f"images to {self._wanted}"
                    )
            if is_first or is_last:
                values = values if is_first else values.transpose(0, 3, 1, 2)
                self._refuse_rows(shape, values.shape[2:])
                return values
        raise ValueError(
            f"images must be of 1 or {self.channels if self.channels > 1 else 3} channels before or after height and "
            f"width, best {self._wanted}, got an array of shape {shape}"
        )

    def _of_three(self, values: NDArray[Any]) -> NDArray[Any]:
        """The images of an array of three dimensions: one image with channels, or several grey ones."""
        shape = values.shape
        may_be_last = shape[2] in CHANNELS and shape[1:] != self.size
        if shape[:2] == self.size and may_be_last:
            return values[None]
        if shape[0] not in CHANNELS:
            return values[None] if may_be_last else values[:, None]
        if shape[0] not in (1, self.channels) or may_be_last:
            raise ValueError(
                f"an array of shape {shape} may be one image or {shape[0]} grey ones: add the dimension of the "
                "channels or of the images"
            )
        return values[None]

    def _refuse_rows(self, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
        """Raises ValueError for images without their shape, such as rows of 784 values, which may pass for an image."""
        n_pixels = self.size[0] * self.size[1]
        lengths = (n_pixels, n_pixels * self.channels)
        is_row = size[1] in lengths and (len(shape) == 2 or size[0] == 1 or shape[2:] == (1,))
        if size != self.size and (is_row or (size[0] in lengths and size[1] == 1)):
            raise ValueError(
                f"an array of shape {shape} may hold an image in each row: reshape it to (n, {self.channels}, "
                f"{self.size[0]}, {self.size[1]})"
            )

    @property
    def _wanted(self) -> str:
        return f"{self.size[0]} high and {self.size[1]} wide"

    def _opacity(self, values: NDArray[Any]) -> NDArray[np.uint32] | None:
        """The opacity (n, 1, height, width) from 0 to 255, if the images have one."""
        if values.shape[1] in (1, 3):
            return None
        if values.dtype.kind not in "iu":
            raise ValueError(f"images with transparency must be of type uint8 or uint16, got {values.dtype}")
        # Whole numbers of JSON have no type: theirs is that of the training images.
        deep = self.value_range is not None and not self.scales_bytes
        opaque = OPAQUE.get(values.dtype.name, OPAQUE["uint16" if deep else "uint8"])
        found = values[:, -1:]
        if found.size and (found.min() < 0 or found.max() > opaque):
            raise ValueError(f"opacity must be from 0 to {opaque}, got {found.min()} to {found.max()}")
        return np.rint(found / (opaque / 255)).astype(np.uint32)

    def _bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8 and not self.scales_bytes:
            return values
        if values.dtype.kind not in "biuf":
            raise ValueError(f"images must hold numbers, got {values.dtype}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("images must hold finite numbers, got some that are infinite or not a number")
        if self.value_range is not None:
            low, high = self.value_range
            # In the order in which training did it: another one rounds some values otherwise.
            return np.rint((values.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)
        if values.dtype == np.bool_:
            return values.astype(np.uint8) * np.uint8(255)
        if values.size and (values.dtype.kind == "f" or values.min() < 0 or values.max() > 255):
            raise ValueError(
                f"pixels must be whole numbers from 0 to 255, as those of the training images, got {values.dtype} from "
                f"{values.min():g} to {values.max():g}"
            )
        return values.astype(np.uint8)


def _array(images: Any) -> NDArray[Any]:
    try:
        values = np.asarray(images)
        # JSON comes as objects, for MLflow checks no type.
        return np.array(values.tolist()) if values.dtype == object else values
    except ValueError as error:
        raise ValueError("images must all have one shape") from error
