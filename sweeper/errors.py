"""Errors that the user sees as one line, each with its exit code."""

import difflib
import errno
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

# Most characters of a value in a message: more would bury the rule that the value breaks.
MOST_SHOWN = 300
# Most characters of a message whose values nobody has shortened. One with a few paths and a remedy has less.
MOST_OF_MESSAGE = 900
# An OSError's numbers for: no space left, no quota left, or a file larger than this process may write.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What loaders, allocators and thread libraries say when there is no memory left.
_NO_MEMORY_TEXTS = (
    "allocate memory", "failed to map segment", "cannot map zero-fill", "bad_alloc", "start new thread",
    "cannot apply additional memory protection",
)  # fmt: skip
# In bytes: an error about a full disk that names no file means the folder of temporary files, if that has less room.
LITTLE_ROOM = 1 << 20
RESUME_HINT = "nothing is lost, the same command resumes once there is room"


class SweeperError(Exception):
    """An error that the user sees in one line, without a traceback. Exit code 1."""

    exit_code = 1


class UsageError(SweeperError):
    """A bad argument, option, or space file: nothing was started. Exit code 2."""

    exit_code = 2


def refuse(message: str, place: str) -> NoReturn:
    """Raises a UsageError with `message` (rule and value), followed by the place."""
    raise UsageError(f"{shortened(message, MOST_OF_MESSAGE)} ({place})")


def plain(name: str | Path) -> str:
    """A name from outside, made fit for a one-line message: quoted if it is not printable, shortened if it is long."""
    text = str(name)
    return shortened(text if text.isprintable() and text.strip() else repr(text))


def joined(names: Iterable[str]) -> str:
    """Names from outside for a one-line message, with commas between them; shortened if they are many."""
    return shortened(", ".join(map(plain, names)))


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """The text, or only its beginning and end if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} ... {text[-most // 4 :]}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: suggests the closest known word, or is empty if none is close."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {plain(near[0])}?" if near else ""


def said(error: BaseException) -> str:
    """The first line of an error's cause, in the words of the database or the system if the cause came from there.

    Optuna, MLflow, SQLAlchemy and urllib3 each wrap the cause in an error that says what they were about to do.
    """
    if lack := _lack_of_memory(error):
        return lack
    for inner in _chain(error):
        if isinstance(original := getattr(inner, "orig", None), BaseException):  # set by SQLAlchemy
            return said(original)
        if isinstance(inner, OSError) and (words := _in_words(inner)):
            return words
    return first_line(error)


def system_fault(error: BaseException) -> str | None:
    """What is wrong around sweeper, in one line: memory, room, a file or a database. None for other errors."""
    if lack := _lack_of_memory(error):
        return lack
    for inner in _chain(error, with_context=False):  # an error in the handling of another is a bug
        if isinstance(original := getattr(inner, "orig", None), BaseException):  # set by SQLAlchemy
            return f"a database cannot be used: {said(original)}; `sweeper doctor` says which, and what to do"
        if isinstance(inner, OSError) and (words := _in_words(inner)):
            return words
    return None


def _chain(error: BaseException, *, with_context: bool = True) -> Iterator[BaseException]:
    """The error, and the errors that it was raised from or, with the context, while they were handled."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:  # a chain may be a ring
        yield inner
        seen.add(id(inner))
        inner = inner.__cause__ or (inner.__context__ if with_context else None)


def _in_words(error: OSError) -> str | None:
    """What the system says, with the file that it says it of; None if the error is not the system's."""
    if "usable temporary directory" in str(error):  # found by tempfile in none of its folders
        return f"{error.args[-1]}: make room in one of them, or name another with TMPDIR"
    if error.errno in DISK_FULL and error.filename is None and (folder := _full_temporary_folder()):
        return f"the folder of temporary files, {folder}, has no room left: make room, or name another with TMPDIR"
    if not error.strerror:
        return None
    return error.strerror if error.filename is None else str(error)


def _lack_of_memory(error: BaseException) -> str | None:
    """What to do about the lack of memory that the error came from; None if it did not."""
    for inner in _chain(error):
        if _is_lack_of_memory(inner):
            text = f" ({first_line(inner)})" if str(inner).strip() else ""
            return f"there is not enough memory{text}: end other programs, or raise this process's limit (ulimit -v)"
    return None


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # An extension that fails without a reason: with a limit, the reason is nearly always memory.
    if isinstance(error, MemoryError) or (isinstance(error, SystemError) and _is_memory_limited()):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError | SystemError) and any(
        text in str(error).lower() for text in _NO_MEMORY_TEXTS
    )


def _is_memory_limited() -> bool:
    if sys.platform == "win32":
        return False
    import resource

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)


def _full_temporary_folder() -> str | None:
    with suppress(OSError):
        folder = tempfile.gettempdir()
        return folder if shutil.disk_usage(folder).free < LITTLE_ROOM else None
    return None


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its class if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
