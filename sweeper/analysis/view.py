"""A view of trained networks: a figure or a table with what it says in words, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeper.plots import Plot


@dataclass(frozen=True, kw_only=True)
class View:
    """A figure or table on what networks see and confuse, ready to show.

    `name` is that of its file, without an ending. `images_used` says in words which images it is of. `sentences` say
    what it shows. A `table` has `columns` and `rows` of plain values. `data` has the numbers behind it, for JSON.
    """

    name: str
    title: str
    how_to_read: str
    images_used: str
    plot: Plot | None = None
    sentences: Sequence[str] = ()
    table: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The view without its drawing, as JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "how_to_read": self.how_to_read,
            "images_used": self.images_used,
            "sentences": list(self.sentences),
            "table": None if self.table is None else dict(self.table),
            "data": dict(self.data),
        }
