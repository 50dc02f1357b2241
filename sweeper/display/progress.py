"""A sweep's progress on stderr: a live view on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.live import Live
from rich.text import Text

from sweeper.display.console import PlainConsole
from sweeper.display.lines import PlainLines
from sweeper.display.tally import Tally
from sweeper.display.view import LiveView
from sweeper.events import Event, Listener, Note
from sweeper.process.streams import Written
from sweeper.store.shown import shown


@contextmanager
def progress(*, quiet: bool, verbose: bool) -> Iterator[Listener]:
    """Gives the listener that shows a sweep."""
    console = PlainConsole(sys.stderr)
    if quiet:
        yield lambda event: None
    # FORCE_COLOR makes rich take a file for a terminal, but a view that redraws itself is useless in a file.
    elif sys.stderr.isatty() and not verbose and not console.is_dumb_terminal:
        view = LiveView()
        lines = PlainLines(console, verbose, view.tally)
        with Live(get_renderable=view.render, console=console, refresh_per_second=4, transient=True) as live:
            # The view prints what others write above itself, and would obey their colours and links.
            sys.stdout, sys.stderr = as_shown(sys.stdout), as_shown(sys.stderr)

            def show(event: Event) -> None:
                if not sys.stderr.isatty():  # the terminal is gone, and a file takes the rest
                    live.stop()
                    lines(event)
                    return
                if isinstance(event, Note):
                    live.console.print(Text(event.text))
                view.update(event)

            yield show
    else:
        lines = PlainLines(console, verbose, Tally())
        try:
            yield lines
        finally:
            lines.end_step()


def as_shown(stream: TextIO) -> Any:
    """The stream with `shown` before it."""
    return Written(stream, lambda text: stream.write(shown(text)))
