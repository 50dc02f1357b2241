"""Section 3 of a report: which parameters mattered for the scores, beside what chance alone would show."""

from sweeper.report.blocks import Block, Figure, Section, Sentences, Table
from sweeper.studies.importance import Importance
from sweeper.sweep.study_report import importance_plot

TITLE = "What mattered"
HOW = (
    "A bar is the share of the variation of the scores that goes along with a parameter. The pale band is what chance "
    "gives, from the least to the largest share of all shuffles of the scores: only a bar that ends beyond it shows "
    "more. Shares overlap, and chance adds to each: they do not sum to 100 %."
)


def section(found: Importance) -> Section:
    """The importance of the parameters, or why there is none."""
    data = found.as_json()
    if found.refused:
        return Section(TITLE, "Which choices made a difference.", [Sentences([found.refused])], data)
    above = [name for name in found.shares if found.above_chance[name]]
    said = f"More than chance: {', '.join(above)}." if above else "No parameter shows more than chance."
    rows = [
        [
            name,
            f"{100 * share:.0f} %",
            f"{100 * found.null_low[name]:.0f} to {100 * found.null_high[name]:.0f} %",
            "yes" if found.above_chance[name] else "no",
        ]
        for name, share in found.shares.items()
    ]
    columns = ["parameter", "share", f"by chance ({found.n_shuffles} shuffles)", "more than chance"]
    blocks: list[Block] = [
        Sentences(
            [
                said,
                f"The shares are of the {found.basis}, by {found.evaluator}.",
                *([found.caution] if found.caution else []),
                *(f"{name}: {what}." for name, what in found.conditional.items()),
            ]
        ),
        Figure(
            "Importance of the parameters",
            "",
            f"{said} The table beneath has the numbers.",
            importance_plot(found),
        ),
        Table("Shares, and what chance gives", columns, rows, (1, 2)),
    ]
    return Section(TITLE, HOW, blocks, data)
