"""The errors a user sees as one line, with the exit code each stands for."""

import difflib
import errno
from collections.abc import Iterable
from typing import NoReturn

# What a reader takes in of a value: the rest would bury the rule that it breaks.
MOST_SHOWN = 300
# The numbers of an OSError that says: no space, no quota left, or a larger file than this process may write.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RESUME_HINT = "nothing is lost, the same command goes on once there is room"


class SweeperError(Exception):
    """Something the user must know; shown without a traceback. Exit code 1."""

    exit_code = 1


class UsageError(SweeperError):
    """A bad argument, option, or space file: nothing was started. Exit code 2."""

    exit_code = 2


def refuse(message: str, place: str) -> NoReturn:
    """Raises the UsageError that gives rule and value in `message`, and then the place."""
    raise UsageError(f"{shortened(message)} ({place})")


def plain(name: str) -> str:
    """A name from outside as it can stand in a one-line message: quoted where it is not printable, cut where long."""
    return shortened(name if name.isprintable() and name.strip() else repr(name))


def shortened(text: str) -> str:
    """The text, or its beginning and end where it is longer than MOST_SHOWN characters."""
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN * 2 // 3]} ... {text[-MOST_SHOWN // 4 :]}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the known one that it is close to, if any."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {plain(near[0])}?" if near else ""


def said(error: BaseException) -> str:
    """The first line of what went wrong, in the words of the database or the system where it is theirs.

    Optuna, MLflow, SQLAlchemy and urllib3 each wrap that in what they were about to do.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(original := getattr(inner, "orig", None), BaseException):  # SQLAlchemy's name for it
            return said(original)
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror if inner.filename is None else str(inner)
        inner = inner.__cause__ or inner.__context__
    return first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or what kind it is of."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
