"""Calls code of the user's: its prints go to stderr, and it can neither end the process nor take for ever."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from threading import Thread
from typing import Any, TypeVar

from sweeper.errors import first_line

Result = TypeVar("Result")

# Far more than importing torch or building a network of a hundred layers takes, also on a busy machine.
MOST_SECONDS = 300.0
# A call that is ended puts back meanwhile what it has changed for a while, such as where prints go.
ENDING_SECONDS = 10.0


class ForeignError(Exception):
    """The called code failed; the message says how in one line. `__cause__` is its own error, if it raised one."""


def call(function: Callable[..., Result], *arguments: Any, seconds: float | None = None, **named: Any) -> Result:
    """What the function returns.

    Raises ForeignError if it raises an error, exits the process, or takes longer than `seconds` (MOST_SECONDS if None).
    """
    limit = MOST_SECONDS if seconds is None else seconds
    answers: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(function(*arguments, **named))
        except BaseException as error:
            errors.append(error)

    # A thread of its own, because signals, the other means to end a call, reach the main thread only.
    thread = Thread(target=run, daemon=True)
    with redirect_stdout(sys.stderr):
        thread.start()
        thread.join(limit)
        if is_late := thread.is_alive():
            _end(thread)
            thread.join(ENDING_SECONDS)
    if is_late:
        raise ForeignError(f"it takes longer than {limit:g} seconds")
    if answers:
        return answers[0]
    error = errors[0]
    if isinstance(error, MemoryError):
        raise error
    raise ForeignError(in_words(error)) from error


def in_words(error: BaseException) -> str:
    """What the error says, in one line."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r})"
    try:
        text = str(error).strip()
    except Exception:  # the error may be of a class of the user's
        text = ""
    if isinstance(error, RuntimeError | ValueError) and text:
        return " ".join(text.split())
    return f"{type(error).__name__}: {first_line(error)}" if text else type(error).__name__


def _end(thread: Thread) -> None:
    """Has the thread raise SystemExit at its next Python instruction, so that it takes no more time and memory."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
