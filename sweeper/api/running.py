"""What all calls share: errors of one kind, the display, and the kernel's stop button."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

from sweeper.display.notebook import notebook_progress
from sweeper.display.progress import progress as terminal_progress
from sweeper.errors import SweeperError, system_fault
from sweeper.events import Event, Listener, Note
from sweeper.runs.stop import StopRequest
from sweeper.store.redaction import redact

Code = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@contextmanager
def translated() -> Iterator[None]:
    """Raises faults of the surroundings as SweeperError, as the command line tells them, and no error with a secret."""
    if in_notebook():  # a library imports tqdm, which would warn that it has no widgets; nothing here uses its bars
        warnings.filterwarnings("ignore", "IProgress not found")
    try:
        yield
    except SweeperError as error:
        error.args = tuple(redact(each) if isinstance(each, str) else each for each in error.args)
        raise
    except Exception as error:
        if fault := system_fault(error):
            raise SweeperError(redact(fault)) from error
        raise


def use_code(code: Code) -> None:
    """Lets this process run these files, in which spaces of family custom name networks. Raises UsageError."""
    from sweeper.models import own_networks

    for path in [code] if isinstance(code, str | os.PathLike) else code:
        own_networks.use_code(Path(path).expanduser())


@contextmanager
def running(stop: StopRequest, *, progress: bool, resuming: str, plain: bool = False) -> Iterator[Listener]:
    """Gives the listener of what runs, and makes an interruption a stop after the running epochs.

    An interruption before the first training raises KeyboardInterrupt with `resuming`, which says what is saved.
    `plain` is that of `display`.
    """
    with translated(), display(progress=progress, plain=plain) as show, interruptible(stop):
        told = False

        def listener(event: Event) -> None:
            nonlocal told
            if stop.reason == signal.SIGINT.name and stop.saving and not told:
                told = True
                show(Note("Interrupted: recording the running epochs; a second interrupt stops at once"))
            show(event)

        try:
            yield listener
        except SystemExit:
            raise KeyboardInterrupt(resuming) from None


def display(*, progress: bool, plain: bool = False) -> AbstractContextManager[Listener]:
    """The display of progress: a view in a notebook or, unless it must be `plain`, on a terminal; else plain lines."""
    return notebook_progress() if progress and in_notebook() else terminal_progress(quiet=not progress, verbose=plain)


@contextmanager
def interruptible(stop: StopRequest) -> Iterator[None]:
    """Turns the first SIGINT (Ctrl-C, a kernel's stop button) into a stop, and the second into one at once.

    Where nothing would be lost, the second raises KeyboardInterrupt wherever the program is, and so does a third. Only
    the main thread can handle signals: a call from another thread is not interrupted. Other signals are the program's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.receive(signal.SIGINT.name) == "end":
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if before is not None:  # None: another language's handler, which Python cannot put back
            signal.signal(signal.SIGINT, before)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this program."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None
