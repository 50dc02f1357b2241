"""The space that a user names or, where none is named, the default for the images."""

from collections.abc import Callable, Sequence

from sweeper.data import lookup
from sweeper.data.source import DataSource
from sweeper.spaces import reader
from sweeper.spaces.space import Space


def load(source: DataSource, space: str | None, overrides: Sequence[str], *, notify: Callable[[str], None]) -> Space:
    """The space of this name or file, or the default for the images of the data set, which must exist.

    Tells `notify` which space is the default. Raises UsageError.
    """
    lookup.path_of(source.dataset)  # an unknown data set is refused before an unknown space
    if space is None:
        shape = lookup.input_shape(source.dataset, source.options)
        space = default(shape)
        colour = "grey" if shape[0] == 1 else "colour"
        notify(f"Space: {space}, the default for {colour} images of {shape[1]}x{shape[2]}")
    return reader.load(space, overrides)


def default(input_shape: tuple[int, int, int]) -> str:
    """The default space for images of this shape (channels, height, width)."""
    channels, height, width = input_shape
    shorter, longer = sorted((height, width))
    # Two poolings and three 5x5 convolutions leave nothing of smaller images, and far too large maps of larger ones.
    if channels == 1 and shorter >= 28 and longer <= 32:
        return "lenet5"
    # Three poolings need 8 pixels; beyond 64, the first linear layer would hold nearly all parameters.
    return "vgg_small" if shorter >= 8 and longer <= 64 else "timm_small"
