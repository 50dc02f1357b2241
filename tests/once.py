"""What the processes of a test run make once for all of them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_once(place: Path) -> Iterator[bool]:
    """Whether the block is the first to make what is to lie at `place`; another process waits for its end.

    Where the first one fails, the next is the first again: it may find half of it there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        is_first = not lock.read()
        yield is_first
        if is_first:
            lock.write("made")
