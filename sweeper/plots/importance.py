"""The plot of the importance of a study's parameters, beside the importance that chance alone would show."""

import math
import textwrap
from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sweeper.plots import glyphs
from sweeper.plots.panels import BLUE, GREY, add_legend, empty_figure

# More parameters than these are counted, not drawn.
MOST_BARS = 20
BAND = "#C9C9C9"


def parameter_importance(
    importances: Mapping[str, float],
    basis: str,
    null_low: Mapping[str, float] | None = None,
    null_high: Mapping[str, float] | None = None,
    evaluator: str = "",
) -> Figure:
    """A bar for each parameter's share of the score's variation, largest on top, undefined shares (NaN) last.

    `basis` says which score and trials the shares are of, such as "score after epoch 1, 50 trials", and `evaluator`
    what measured them. From `null_low` to `null_high` are the shares of each parameter on shuffled scores: a bar that
    ends within this range is grey. Of many parameters, only the MOST_BARS largest are drawn. Raises ValueError without
    a parameter.
    """
    if not importances:
        raise ValueError("importances must hold at least one parameter, got none")
    low, high = null_low or {}, null_high or {}
    ranked = sorted(importances.items(), key=lambda item: (math.isnan(item[1]), -item[1]))
    shown, left = ranked[:MOST_BARS], len(ranked) - MOST_BARS
    figure = empty_figure(7, 1.6 + 0.34 * len(shown) + 0.5 * bool(high))
    axes = figure.add_subplot()
    names = [
        f"{glyphs.drawable(name)}  {'undefined' if math.isnan(share) else f'{share:.2f}'}" for name, share in shown
    ]
    widths = [0.0 if math.isnan(share) else share for _, share in shown]
    by_chance = [name in high and share <= high[name] for name, share in shown]
    axes.barh(names, widths, color=[GREY if chance else BLUE for chance in by_chance], height=0.5)
    if high:
        starts = [low.get(name, 0.0) for name, _ in shown]
        spans = [high.get(name, 0.0) - start for (name, _), start in zip(shown, starts, strict=True)]
        axes.barh(names, spans, left=starts, color=BAND, height=0.8, zorder=0)
        handles = [Patch(color=BLUE), Patch(color=GREY), Patch(color=BAND)]
        labels = ["more than chance", "no more than chance", "what chance gives"]
        add_legend(figure, handles, labels, loc="outside lower center", ncols=3)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_title("Parameter importance" + f" ({left} smaller ones left out)" * (left > 0))
    words = [f"Share of the variation of {basis}", *([f"by {evaluator}"] if evaluator else [])]
    axes.set_xlabel("\n".join(textwrap.fill(line, 80) for line in words))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
