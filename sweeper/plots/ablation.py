"""A plot of what each choice of a champion is worth: the differences that it makes, with their intervals."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from sweeper.evaluation.amounts import is_share, unit
from sweeper.plots.glyphs import drawable
from sweeper.plots.panels import BLUE, GREY, empty_figure

# By verdict: colour and marker. The marker too tells the verdicts apart, in grey print.
STYLES = {"worth it": (BLUE, "o"), "undecided": (GREY, "s"), "harmful": ("#D55E00", "X")}
# What stands in place of a difference for a choice that gave none.
WORDS = {"needed": "needed: set back, trainings diverge", "untried": "cannot be set back"}
# In letters, and lines of a choice's name.
LONGEST_LINE, MOST_LINES = 40, 3


def ablation(rows: Sequence[Mapping[str, Any]], metric: str, title: str) -> Figure:
    """The champion's metric minus that without each choice, as points with intervals, beside a line at no difference.

    A row has `change` (the choice in words), `verdict`, and `difference`, `low` and `high`: shares of 1 or nats, None
    where there is none. Rows are drawn from the top. Raises ValueError without a row.
    """
    if not rows:
        raise ValueError("rows must hold at least one choice, got none")
    names = [
        "\n".join(textwrap.wrap(drawable(row["change"]), LONGEST_LINE, max_lines=MOST_LINES, placeholder=" …"))
        for row in rows
    ]
    n_lines = sum(1 + name.count("\n") for name in names)
    factor = 100 if is_share(metric) else 1
    figure = empty_figure(8, 1.6 + 0.2 * n_lines + 0.22 * len(rows), title)
    axes = figure.add_subplot()
    axes.axvline(0, color="k", linewidth=1, zorder=1)
    labelled: set[str] = set()
    for place, row in enumerate(rows):
        verdict, difference = row["verdict"], row["difference"]
        if difference is None:
            axes.text(
                0.02, place, WORDS[verdict], transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=GREY
            )
            continue
        colour, marker = STYLES[verdict]
        if row["low"] is not None and row["high"] is not None:
            ends = [factor * row["low"], factor * row["high"]]
            axes.plot(ends, [place, place], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=2)
        axes.scatter(
            [factor * difference],
            [place],
            s=44,
            color=colour,
            marker=marker,
            zorder=3,
            label=None if verdict in labelled else verdict,
        )
        labelled.add(verdict)
    axes.set_yticks(range(len(rows)), names, fontsize=9, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.set_xlabel(
        f"Champion minus champion with the choice\nset back ({unit(metric)} of {metric.replace('_', ' ')})\n"
        + ("right of 0: the choice helps" if is_share(metric) else "left of 0: the choice helps")
    )
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if labelled:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure
