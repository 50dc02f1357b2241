"""How an image becomes the pixels of a network: as those that the network was trained on. Imports nothing slow."""

from dataclasses import dataclass

from sweeper.images.options import Background, DataOptions, Fit
from sweeper.images.value_range import ValueRange


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image besides giving it the size and the channels of a network's input.

    `fit` is how an image of other proportions gets the size, `background` is behind transparent pixels and fills what
    `fit` pads, and with `exif` a photograph is turned upright as its EXIF block asks for. `value_range` has the stored
    values that become 0 and 255; None leaves pixels as they are, and knows no values of more than 8 bits.
    `scales_bytes` says that bytes in arrays are among the values of that range, and not pixels.
    """

    fit: Fit = DataOptions.fit
    background: Background = DataOptions.background
    exif: bool = not DataOptions.no_exif
    value_range: ValueRange | None = None
    scales_bytes: bool = False

    @property
    def options(self) -> DataOptions:
        """The options that read image files so."""
        return DataOptions(fit=self.fit, background=self.background, no_exif=not self.exif)


def of(options: DataOptions, value_range: ValueRange | None, *, scales_bytes: bool = False) -> Preprocessing:
    """The preprocessing of images that were read with these options; the range is what reading them has found."""
    return Preprocessing(options.fit, options.background, not options.no_exif, value_range, scales_bytes)
