"""Resources that one test process makes for all test processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_by_first(place: Path) -> Iterator[bool]:
    """Yields True to the first process, which must make `place` in the block; the others wait until it has.

    If the block fails, the next process gets True, and must remove what the failed one has left.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        is_first = not lock.read()
        yield is_first
        if is_first:
            lock.write("made")
