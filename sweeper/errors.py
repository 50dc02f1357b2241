"""Errors that the user sees as one line, each with its exit code."""

import difflib
import errno
from collections.abc import Iterable
from typing import NoReturn

# Most characters of a value in a message: more would bury the rule that the value breaks.
MOST_SHOWN = 300
# An OSError's numbers for: no space left, no quota left, or a file larger than this process may write.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RESUME_HINT = "nothing is lost, the same command resumes once there is room"


class SweeperError(Exception):
    """An error that the user sees in one line, without a traceback. Exit code 1."""

    exit_code = 1


class UsageError(SweeperError):
    """A bad argument, option, or space file: nothing was started. Exit code 2."""

    exit_code = 2


def refuse(message: str, place: str) -> NoReturn:
    """Raises a UsageError with `message` (rule and value), followed by the place."""
    raise UsageError(f"{shortened(message)} ({place})")


def plain(name: str) -> str:
    """A name from outside, made fit for a one-line message: quoted if it is not printable, shortened if it is long."""
    return shortened(name if name.isprintable() and name.strip() else repr(name))


def shortened(text: str) -> str:
    """The text, or only its beginning and end if it is longer than MOST_SHOWN characters."""
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN * 2 // 3]} ... {text[-MOST_SHOWN // 4 :]}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: suggests the closest known word, or is empty if none is close."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {plain(near[0])}?" if near else ""


def said(error: BaseException) -> str:
    """The first line of an error's cause, in the words of the database or the system if the cause came from there.

    Optuna, MLflow, SQLAlchemy and urllib3 each wrap the cause in an error that says what they were about to do.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(original := getattr(inner, "orig", None), BaseException):  # set by SQLAlchemy
            return said(original)
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror if inner.filename is None else str(inner)
        inner = inner.__cause__ or inner.__context__
    return first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its class if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
