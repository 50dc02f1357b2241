"""A console for tables and progress in which text from outside is only shown, never obeyed."""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from sweeper.process import streams
from sweeper.store.shown import shown


def output_width() -> int | None:
    """The columns for results: COLUMNS, or else those of the terminal; None in a file or pipe."""
    given = os.environ.get("COLUMNS", "")
    if re.fullmatch("[1-9][0-9]{0,3}", given):
        return int(given)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class PlainConsole(Console):
    """A console that knows no markup. Of colours and cursor movements, only its own reach the terminal."""

    def __init__(self, stream: TextIO, **options: Any) -> None:
        super().__init__(file=streams.as_is(stream), highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as `shown` gives it."""
        return super().render_str(shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of anything that can be printed, with its text as `shown` gives it."""
        if isinstance(renderable, Text) and (text := shown(renderable.plain)) != renderable.plain:
            safe = renderable.blank_copy(text)
            for span in renderable.spans:  # what styles only a part of the text is left out: its place has moved
                if span.start <= 0 and span.end >= len(renderable):
                    safe.stylize(span.style)
            renderable = safe
        return super().render(renderable, options)
