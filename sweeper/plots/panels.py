"""Parts shared by the plots: colours and line styles, the empty Figure, the legend, the axis of epochs."""

import os
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.plots import glyphs

# Okabe and Ito's palette: distinguishable with every common colour-vision deficiency, and in grey by lightness.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREY = "#767676"
# The palette without its yellow, which is too faint on white for a line.
COLOURS = (BLUE, "#D55E00", "#009E73", "#000000", "#CC79A7", ORANGE, "#56B4E9")
DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)))
MARKERS = "osD^vP*X<>ph"

# A line with more points than this has markers at only some of them.
MOST_POINTS_WITH_MARKERS = 25
MARKERS_PER_LINE = 8


class _Figure(Figure):
    """A Figure whose texts may be in any script: it is drawn in fonts that have all of their characters."""

    def draw(self, renderer: RendererBase) -> None:
        texts = self.findobj(Text)
        families = glyphs.families("".join(text.get_text() for text in texts))
        for text in texts:
            text.set_fontfamily(families)
        super().draw(renderer)

    def savefig(self, fname: Any, *, format: str | None = None, dpi: float | None = None, **options: Any) -> None:
        """Writes the file that Figure.savefig writes; a PNG or SVG file in two thirds of the time.

        Figure.savefig draws a figure with constrained layout twice, to lay it out first; but one drawing lays it out,
        too. The savefig.* of a matplotlibrc do not matter for PNG and SVG.
        """
        form = format or os.fspath(fname).rpartition(".")[2]
        before = self.dpi
        self.dpi = dpi or before
        try:
            match form:
                case "png":
                    FigureCanvasAgg(self).print_png(fname, **options)
                case "svg":
                    FigureCanvasSVG(self).print_svg(fname, **options)
                case _:
                    super().savefig(fname, format=format, dpi=dpi, **options)
        finally:
            self.dpi = before


def empty_figure(width: float, height: float, title: str = "", title_width: float | None = None) -> Figure:
    """An empty Figure (sizes in inches) that lays itself out, with slightly wider margins than by default.

    The title is centred and wraps at the width of the Figure, or at `title_width` inches.
    """
    figure = _Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    if title:
        figure.suptitle(
            textwrap.fill(glyphs.drawable(title), int(10 * (title_width or width))), fontsize=12, parse_math=False
        )
    return figure


def line_style(index: int, n_lines: int, n_points: int) -> dict[str, Any]:
    """Colour, dash and marker of one of several lines: there are twelve markers, and no two of 84 lines look alike.

    Markers of long lines are spread out, and staggered so that all lines stay visible where they coincide.
    """
    every = -(-n_points // MARKERS_PER_LINE) if n_points > MOST_POINTS_WITH_MARKERS else 1
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
        "markevery": (every * index // n_lines, every),
        "linewidth": 1.4,
    }


def add_legend(owner: Figure | Axes, handles: Sequence[Artist], labels: Iterable[str], **options: Any) -> Legend:
    """Adds a legend with one entry for each handle; it shows the texts verbatim."""
    legend = owner.legend(handles, [glyphs.drawable(label) for label in labels], frameon=False, **options)
    for text in (legend.get_title(), *legend.get_texts()):
        # Users choose the names: a pair of $ in a name is no formula.
        text.set_parse_math(False)
    return legend


def percent(decimals: int | None = None) -> PercentFormatter:
    """Labels of an axis of shares of 1, written as elsewhere: "10 %"."""
    return PercentFormatter(xmax=1, decimals=decimals, symbol=" %")


def label_epochs(axes: Axes) -> None:
    """Labels the panel's horizontal axis with whole epochs, and adds a light grid."""
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
