"""Draws the pictures of a report, on light and on dark ground."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from sweeper.plots import Plot

DOTS_PER_INCH = 120
# As many as a palette of a PNG file has at most.
COLOURS = 256


@dataclass(frozen=True)
class Picture:
    """A drawn picture: the bytes of a PNG file, and its width in inches."""

    content: bytes
    width: float

    @property
    def address(self) -> str:
        """The picture as an address that holds all of it."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"


def pictures(plot: Plot) -> Mapping[str, Picture]:
    """The plot on "light" and on "dark" ground. Raises ValueError as the plot's function does."""
    drawn = {"light": plot.draw(), "dark": plot.draw(dark=True)}
    return {ground: Picture(_saved(figure), float(figure.get_figwidth())) for ground, figure in drawn.items()}


def png(plot: Plot) -> bytes:
    """The plot as a PNG file. Raises ValueError as the plot's function does."""
    return _saved(plot.draw())


def _saved(figure: Figure) -> bytes:
    file, smaller = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    # Figures have few colours: a palette makes the file less than half as large, and is not seen. As SVG, in which
    # texts are outlines, each figure of a report is two to four times as large.
    Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
