"""What a drawn figure must keep to: no warning, nothing cut off, nothing upon another thing."""

import io
import warnings
from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

AWKWARD_NAMES = [
    "_starts with an underscore",
    "costs $5 or $6 <b>bold</b>",
    "a name of a variant that goes on for ever and ever and would never end by itself",
    "x" * 90,
    r"\alpha_{3} $\frac{1}{2}$",
    "{}%s&amp;",
    "\N{CAT FACE} 日本語 \N{COMBINING ENCLOSING CIRCLE}",
    "قط",
    "हिन्दी",
]
# As figures show them with matplotlib's usual font alone, without the spaces, at which lines may break.
DRAWN_NAMES = [
    "_startswithanunderscore",
    "costs$5or$6<b>bold</b>",
    "anameofavariantthatgoesonforeverandeverandwouldneverendbyitself",
    "x" * 90,
    r"\alpha_{3}$\frac{1}{2}$",
    "{}%s&amp;",
    "\N{CAT FACE}" r"\u65e5\u672c\u8a9e\u20dd",
    "قط",
    r"\u0939\u093f\u0928\u094d\u0926\u0940",
]


def draw(figure: Figure) -> None:
    """Renders as a log of the run would, with every warning (clipped layout, missing glyph) an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")


def assert_nothing_is_clipped(figure: Figure) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    draw(figure)
    drawn = figure.get_tightbbox(renderer)
    width, height = figure.get_size_inches()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


def assert_nothing_overlaps(figure: Figure) -> None:
    """Neither panels (with their labels), nor legends, nor the title."""
    assert_nothing_is_clipped(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    boxes = [legend.get_window_extent(renderer) for legend in (*figure.legends, *legends)]
    for legend in legends:
        legend.set_in_layout(False)
    boxes += [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes += [text.get_window_extent(renderer) for text in figure.texts]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
