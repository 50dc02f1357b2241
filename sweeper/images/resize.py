"""Converts one image to the size and channels of a data set's images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fitted(image: Image.Image, size: tuple[int, int], *, grey: bool) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of an image at `size` (width, height).

    An image of another size is cropped around its centre to the proportions of `size`, and then scaled.
    """
    converted = image.convert("L" if grey else "RGB")
    if converted.size != size:
        scale = max(size[0] / converted.width, size[1] / converted.height)
        width, height = min(size[0] / scale, converted.width), min(size[1] / scale, converted.height)
        left, top = (converted.width - width) / 2, (converted.height - height) / 2
        # Cropped before it is scaled: scaling the whole of a very long image would take more memory than there is.
        converted = converted.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    pixels = np.asarray(converted, dtype=np.uint8)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
