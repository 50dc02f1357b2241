"""What a section of a report consists of: plain data that the page, the Markdown and the JSON are made from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sweeper.plots import Plot


@dataclass(frozen=True)
class Heading:
    """The beginning of a part of a section."""

    kind: ClassVar[str] = "heading"
    title: str
    how_to_read: str = ""


@dataclass(frozen=True)
class Sentences:
    """Sentences, each a paragraph; those that `lead` are what a reader must not miss."""

    kind: ClassVar[str] = "sentences"
    texts: Sequence[str]
    lead: bool = False


@dataclass(frozen=True)
class Facts:
    """Names with their values, in words."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Cells in words; the columns at the positions `numeric` are numbers. A `sortable` one also filters."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Collection[int] = ()
    sortable: bool = False


@dataclass(frozen=True)
class Commands:
    """Command lines, each with what it does."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """A long text, word for word, such as a file."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True)
class Figure:
    """A figure: `plot` is its picture, and `interactive` a Plotly figure of the same, as JSON values.

    `alt` is what it shows, for those who do not see it. A `small` one leaves room for others beside it; a `broad` one
    scrolls rather than become narrower.
    """

    kind: ClassVar[str] = "figure"
    title: str
    how_to_read: str
    alt: str
    plot: Plot | None = None
    interactive: Mapping[str, Any] | None = None
    size: Literal["", "small", "broad"] = ""


Block = Heading | Sentences | Facts | Table | Commands | Listing | Figure


@dataclass(frozen=True)
class Section:
    """A section: `blocks` are for people, in percent; `data` has the same for programs, in shares."""

    title: str
    how_to_read: str
    blocks: Sequence[Block]
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The section as JSON values."""
        return {"title": self.title, "how_to_read": self.how_to_read, **self.data}
