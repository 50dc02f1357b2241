"""What the tags of a TIFF file say of its bands: how deep they are, and which are colours, opacity or neither."""

from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    EXTRASAMPLES,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLESPERPIXEL,
    ImageFileDirectory_v2,
)

CMYK = 5
# How many bands are colours, by photometric interpretation: RGB, CMYK, YCbCr and CIELAB; any other has one.
COLOURS = {2: 3, CMYK: 4, 6: 3, 8: 3}
# What an extra band is if it is opacity: that of premultiplied colours, or of others.
OPACITY = (1, 2)
# The values of each band by themselves.
PLANES = 2


def n_bands(tags: ImageFileDirectory_v2) -> int:
    """All bands of the image."""
    return int(tags.get(SAMPLESPERPIXEL, 1))


def n_extra(tags: ImageFileDirectory_v2) -> int:
    """The bands beside the colours."""
    return max(0, n_bands(tags) - COLOURS.get(tags.get(PHOTOMETRIC_INTERPRETATION, 0), 1))


def n_opacity(tags: ImageFileDirectory_v2) -> int:
    """The extra bands that are opacity. Pillow also takes one for it of which the file says nothing."""
    return sum(kind in OPACITY for kind in tags.get(EXTRASAMPLES, ()))


def is_in_planes(tags: ImageFileDirectory_v2) -> bool:
    """Whether several bands are stored one after the other."""
    return tags.get(PLANAR_CONFIGURATION) == PLANES and n_bands(tags) > 1


def bits(tags: ImageFileDirectory_v2) -> int:
    """The bits of the deepest band."""
    return int(max(tags.get(BITSPERSAMPLE, (1,))))
