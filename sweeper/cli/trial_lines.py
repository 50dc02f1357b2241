"""Trials as text for people: one line each, with the columns that fit the width."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from rich.cells import cell_len, set_cell_size

from sweeper.cli.tables import score
from sweeper.config import shortly
from sweeper.evaluation.amounts import is_share
from sweeper.store.shown import shown
from sweeper.studies.objective import LABELS
from sweeper.studies.trial_list import parameters, pruned, reason
from sweeper.studies.trial_records import TrialRecord

GAP = "  "
# At least so many cells of the longest reason and of the longest name are shown where they must be cut.
LEAST_REASON, LEAST_NAME = 24, 16
CUT = "..."


@dataclass
class _Column:
    """A column of texts beneath a name."""

    name: str
    cells: list[str]
    right: bool = True

    @cached_property
    def heads(self) -> list[str]:
        """The name, in as few lines as fit the cells; it is broken between words only."""
        words = self.name.replace("_", "_ ").split(" ")
        width = max(max(map(_cells, words)), max(map(_cells, self.cells), default=0))
        return [line.replace("_ ", "_") for line in textwrap.wrap(" ".join(words), width, break_long_words=False)]

    @cached_property
    def width(self) -> int:
        return max(map(_cells, [*self.heads, *self.cells]))

    def lines(self, n_heads: int) -> list[str]:
        """Heads and cells, all of the column's width."""
        heads, width = self.heads, self.width
        found = []
        for text in [""] * (n_heads - len(heads)) + heads + ["-" * width] + self.cells:
            padding = " " * (width - _cells(text))
            found.append(padding + text if self.right else text + padding)
        return found

    def cut(self, width: int) -> None:
        """Cuts what is wider than `width`."""
        self.cells = [_cut(cell, width) for cell in self.cells]
        vars(self).pop("heads", None)
        vars(self).pop("width", None)


def trial_lines(trials: Sequence[TrialRecord], metric: str, width: int | None) -> list[str]:
    """What all trials have in common, then a table with a line for each; without a width, whole.

    Columns that do not fit the width are left out and named beneath: first seconds and the size of the networks, then
    the parameters with the fewest different values. Without a trial there is no line.
    """
    if not trials:
        return []
    searched = {name: [_text(value) for value in values] for name, values in parameters(trials).items()}
    # Neither the epochs nor the parameters of a network are among the fields of its configuration.
    figures = {
        "epochs": [str(trial.epochs) for trial in trials],
        "parameters": ["" if trial.n_parameters is None else f"{trial.n_parameters:,}" for trial in trials],
    }
    shared = {name: cells[0] for name, cells in (figures | searched).items() if len(set(cells)) == 1 and cells[0]}
    many = len(trials) > 1
    longest = max(len(str(trial.number)) for trial in trials)
    names = _Column("trial", [_name(trial, longest) for trial in trials], right=False)
    reasons = _Column("reason", [_one_line(reason(trial)) for trial in trials], right=False)
    optional = [_Column(name, cells) for name, cells in figures.items() if not (many and name in shared)]
    optional.append(_Column("seconds", [f"{trial.seconds:.0f}" if trial.seconds else "" for trial in trials]))
    optional += [_Column(name, cells) for name, cells in searched.items() if not (many and name in shared)]
    optional = [column for column in optional if any(column.cells)]
    percent = " %" * is_share(metric)
    values = _Column(LABELS[metric], ["" if t.value is None else score(t, metric) + percent for t in trials])
    first = [names, _Column("state", [trial.outcome for trial in trials], right=False), values]
    first = [column for column in first if any(column.cells)]
    last = [reasons] if any(reasons.cells) else []

    lines = _wrapped(f"The same in all: {', '.join(map(' '.join, shared.items()))}.", width) if many and shared else []
    left_out: list[str] = []
    is_cut = False
    if width is not None:
        whole = reasons.width
        names.cut(max(LEAST_NAME, width // 4))
        reserved = sum(min(column.width, LEAST_REASON) + len(GAP) for column in last)
        room = width - reserved - _total(first)
        kept = []
        for column in sorted(optional, key=_rank):
            if column.width + len(GAP) <= room:
                room -= column.width + len(GAP)
                kept.append(column)
        left_out = [column.name for column in optional if column not in kept]
        optional = [column for column in optional if column in kept]
        reasons.cut(max(LEAST_REASON, width - _total([*first, *optional]) - len(GAP)))
        is_cut = bool(last) and reasons.width < whole
    columns = [*first, *optional, *last]
    n_heads = max(len(column.heads) for column in columns)
    table = zip(*(column.lines(n_heads) for column in columns), strict=True)
    lines += [GAP.join(cells).rstrip() for cells in table]
    lines += _wrapped(_one_line(pruned(trials)), width)
    hidden = left_out + ["the ends of reasons"] * is_cut
    if hidden:
        lines += _wrapped(
            f"Left out at {width} columns: {', '.join(hidden)}. A wider terminal, a pipe and --csv have all.", width
        )
    return lines


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def _rank(column: _Column) -> tuple[int, int]:
    """Sorts what tells trials apart first: epochs, then the parameters with the most values."""
    return {"epochs": 0, "parameters": 2, "seconds": 3}.get(column.name, 1), -len(set(column.cells))


def _wrapped(text: str, width: int | None) -> list[str]:
    """The text in lines; none if it is empty."""
    if not text:
        return []
    return [text] if width is None else textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _name(trial: TrialRecord, longest: int) -> str:
    """The number, as wide as the longest, and the variant."""
    return f"{trial.number:{longest}}" + (f" {_one_line(trial.variant)}" if trial.variant else "")


def _text(value: Any) -> str:
    if isinstance(value, int | float):  # nothing to hide or to escape
        return shortly(value)
    return "" if value is None else _one_line(shortly(value))


@lru_cache(maxsize=1024)  # most columns have few different texts
def _one_line(text: str) -> str:
    """The text as it is printed, which may be wider than it is stored."""
    return shown(" ".join(text.split()))


def _cells(text: str) -> int:
    """How many cells of a terminal the text takes."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(text)


def _cut(text: str, width: int) -> str:
    return text if _cells(text) <= width else set_cell_size(text, width - len(CUT)).rstrip() + CUT
