"""Tells how far a long reading of bytes is, every few seconds."""

import time
from collections.abc import Callable
from threading import Lock

from sweeper.images.bounds import size

SECONDS = 10.0


class Progress:
    """A reading of `total` bytes, if known: tells `notify` how far it is, first after SECONDS and then as often."""

    def __init__(self, what: str, total: int | None, notify: Callable[[str], None]) -> None:
        self._what, self._total, self._notify = what, total, notify
        self._started = self._told = time.monotonic()
        self._n_bytes = 0
        self._lock = Lock()

    def add(self, n_bytes: int) -> None:
        """Counts bytes that were read. Any thread may call this."""
        with self._lock:
            self._n_bytes += n_bytes
            now = time.monotonic()
            if now - self._told >= SECONDS:
                self._told = now
                rate = size(round(self._n_bytes / (now - self._started)))
                of_all = "" if self._total is None else f" of {size(self._total)}"
                self._notify(f"{self._what}: {size(self._n_bytes)}{of_all}, {rate} a second")
