"""A sweep's progress in a notebook: the view of a terminal, redrawn in the cell's output."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Group
from rich.text import Text

from sweeper.display.console import PlainConsole
from sweeper.display.view import LiveView
from sweeper.events import Event, Listener, Note

# Between two drawings: more often is not seen, and fills the connection to the browser.
DRAWING_SECONDS = 0.25
WIDTH = 110
FORM = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


@contextmanager
def notebook_progress() -> Iterator[Listener]:
    """Gives the listener that shows a sweep in the output of the notebook's cell, whose last state stays."""
    view, notes, drawn = LiveView(), list[str](), 0.0
    # IPython is no requirement of sweeper: a notebook has imported it.
    shown = sys.modules["IPython"].display.display(_drawn(view, notes), raw=True, display_id=True)

    def show(event: Event) -> None:
        nonlocal drawn
        if isinstance(event, Note):
            notes.append(event.text)
        view.update(event)
        if time.monotonic() - drawn >= DRAWING_SECONDS:
            drawn = time.monotonic()
            shown.update(_drawn(view, notes), raw=True)

    try:
        yield show
    finally:
        view.step = None
        view.running.clear()
        shown.update(_drawn(view, notes), raw=True)


def _drawn(view: LiveView, notes: list[str]) -> dict[str, Any]:
    """The view as HTML, and as text for programs that show no HTML."""
    console = PlainConsole(io.StringIO(), record=True, width=WIDTH, force_jupyter=False)
    console.print(Group(*map(Text, notes), view.render()))
    html = console.export_html(inline_styles=True, code_format=FORM, clear=False)
    return {"text/html": html, "text/plain": console.export_text().rstrip()}
