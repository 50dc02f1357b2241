"""Section 5 of a report: what champion, challenger and baseline see and confuse, side by side."""

import re
from collections.abc import Sequence
from typing import Any

from sweeper.analysis.side_by_side import views_of
from sweeper.analysis.view import View
from sweeper.data.source import DataAccess
from sweeper.errors import SweeperError
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.report.blocks import Block, Figure, Heading, Section, Sentences, Table
from sweeper.report.data_set import Notify
from sweeper.report.finalists import is_confirmed
from sweeper.report.subject import Subject
from sweeper.report.wording import count, setting

TITLE = "What it sees and confuses"
# A table with more rows, such as one of 100 classes, sorts and filters.
MOST_ROWS = 15
HOW = "Side by side: what the networks get right and wrong, on images that none of them was trained on. "
OF_SEARCH = "They are the best trial's network and the baseline's."


def section(subject: Subject, access: DataAccess, notify: Notify) -> Section:
    """The views of the networks; what is left out, and why, stands in it and goes to `notify`."""
    left_out: list[str] = []

    def note(text: str) -> None:
        left_out.append(text)
        notify(text)

    views: Sequence[View] = []
    try:
        views = views_of(
            subject.store, subject.study, subject.outcome, data_access=access, notify=note, progress=notify,
        )  # fmt: skip
    except SweeperError as error:
        note(str(error))
    blocks: list[Block] = [block for one in views for block in _blocks(one)]
    if not views and not left_out:
        blocks.append(Sentences(["There is no network to look at: no trial of this study has kept its weights."]))
    if left_out:
        blocks.append(Sentences(left_out))
    how = HOW + (OF_SEARCH if subject.outcome is None else _of_promotion(subject.outcome))
    return Section(
        TITLE, how if views else HOW, blocks, {"looks": [one.as_json() for one in views], "left_out": left_out}
    )


def _of_promotion(outcome: PromotionOutcome) -> str:
    """Which networks the views after a promotion are of, and why section 1 has other numbers."""
    n_seeds = outcome.entrants[0].validation["n_seeds"]
    first = "the only one" if n_seeds == 1 else "the first"
    numbers = "score over all seeds of the estimate" if is_confirmed(outcome.entrants[0]) else "score of the order"
    why = f"Section 1 has each finalist's mean {numbers}, and so other numbers. "
    if n_seeds == 1:
        why = "" if is_confirmed(outcome.entrants[0]) else "Section 1 has the scores of seed 1, and so other numbers. "
    return (
        f"They are the finalists' networks of seed {n_seeds + 1}, {first} of the estimate. {why}They are not the "
        "registered networks: those learned from all images, and only the test images are left to look at them."
    )


def _blocks(one: View) -> list[Block]:
    blocks: list[Block] = [Heading(one.title, f"{one.how_to_read} Images: {one.images_used}.")]
    if one.sentences:
        blocks.append(Sentences(one.sentences))
    if one.plot is not None:
        alt = " ".join([f"{one.title}. Images: {one.images_used}.", *one.sentences])
        blocks.append(Figure("", "", alt, one.plot, size="broad"))
    if one.table is not None:
        columns, rows = one.table["columns"], [[_cell(value) for value in row] for row in one.table["rows"]]
        numeric = [place for place in range(len(columns)) if all(_is_number(row[place]) for row in rows)]
        blocks.append(Table(one.title, columns, rows, numeric, sortable=len(rows) > MOST_ROWS))
    return blocks


def _is_number(cell: str) -> bool:
    """Whether a cell is empty or begins with a number, such as "73.3 % [55.6, 85.8]"."""
    return not cell or re.match(r"[+-]?\d", cell) is not None


def _cell(value: Any) -> str:
    return count(value) if isinstance(value, int) and not isinstance(value, bool) else setting(value)
