"""How many files of many are done, on stderr: a bar on a terminal, rare lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import MofNCompleteColumn, Progress

from sweeper.display.console import PlainConsole
from sweeper.display.lines import SILENCE_SECONDS
from sweeper.display.progress import as_shown
from sweeper.events import done_of


@contextmanager
def file_progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Gives the function that is told how many files are done, of how many."""
    console = PlainConsole(sys.stderr)
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty() and not console.is_dumb_terminal:
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        # Results on the same terminal are printed above the bar; those for a file or pipe must not go to the terminal.
        with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
            if sys.stdout.isatty():
                sys.stdout = as_shown(sys.stdout)
            sys.stderr = as_shown(sys.stderr)
            task = bar.add_task("files", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        said = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal said
            if time.monotonic() - said >= SILENCE_SECONDS:
                said = time.monotonic()
                print(done_of(done, total, "file"), file=sys.stderr, flush=True)

        yield tell
