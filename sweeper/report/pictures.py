"""Draws the pictures of a report, on light and on dark ground, each in the smaller of two formats."""

import base64
import io
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from sweeper.plots import Plot

DOTS_PER_INCH = 120
# As many as a palette of a PNG file has at most.
COLOURS = 256


@dataclass(frozen=True)
class Picture:
    """A drawn picture: the bytes of a PNG or SVG file, and its width in inches."""

    content: bytes
    media_type: str
    width: float

    @property
    def address(self) -> str:
        """The picture as an address that holds all of it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def picture(plot: Plot, *, dark: bool) -> Picture:
    """The plot as SVG or PNG, whichever is smaller. Raises ValueError as the plot's function does."""
    figure = plot.draw(dark)
    png, svg = _saved(figure, "png"), _saved(figure, "svg")
    content, kind = (svg, "image/svg+xml") if len(svg) < len(png) else (png, "image/png")
    return Picture(content, kind, float(figure.get_figwidth()))


def png(plot: Plot) -> bytes:
    """The plot as a PNG file. Raises ValueError as the plot's function does."""
    return _saved(plot.draw(), "png")


def _saved(figure: Figure, form: str) -> bytes:
    file, smaller = io.BytesIO(), io.BytesIO()
    # Without a fixed salt and date, equal pictures would differ.
    with matplotlib.rc_context({"svg.hashsalt": "sweeper"}):
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(file, format=form, dpi=DOTS_PER_INCH, metadata=metadata)
    if form == "svg":
        return file.getvalue()
    # Figures have few colours: a palette makes the file less than half as large, and is not seen.
    Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
