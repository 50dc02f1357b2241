"""One image at the size and with the channels that a data set's images have."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fitted(image: Image.Image, size: tuple[int, int], *, grey: bool) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of an image at `size` (width, height).

    Where its own is another, its middle is scaled to that: as much of it as has the same proportions.
    """
    converted = image.convert("L" if grey else "RGB")
    if converted.size != size:
        scale = max(size[0] / converted.width, size[1] / converted.height)
        width, height = min(size[0] / scale, converted.width), min(size[1] / scale, converted.height)
        left, top = (converted.width - width) / 2, (converted.height - height) / 2
        # Cut before it is scaled: the whole of a very long image would be scaled to more than memory holds.
        converted = converted.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    pixels = np.asarray(converted, dtype=np.uint8)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
