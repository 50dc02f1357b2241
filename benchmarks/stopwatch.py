"""Measures which classes' methods a thread spends its time in."""

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """The seconds of the thread that made it, by share. A call within a call counts for its own share alone."""

    def __init__(self, rest: str) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._shares = [rest]
        self._thread = threading.get_ident()
        self._since = time.perf_counter()

    def reset(self) -> None:
        """Begins anew, whatever is being called."""
        self._count()
        self._seconds.clear()

    def read(self) -> dict[str, float]:
        """The seconds so far."""
        self._count()
        return dict(self._seconds)

    @contextmanager
    def watching(self, owner: type, share: str) -> Iterator[None]:
        """Counts the public methods and properties of a class for a share, within the block."""
        own = {name: value for name, value in vars(owner).items() if not name.startswith("_")}
        try:
            for name, value in own.items():
                if isinstance(value, property) and value.fget:
                    setattr(owner, name, property(self._timed(value.fget, share), value.fset))
                elif callable(value):
                    setattr(owner, name, self._timed(value, share))
            yield
        finally:
            for name, value in own.items():
                setattr(owner, name, value)

    def _timed(self, function: Callable[..., Any], share: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*arguments, **options)
            self._count()
            self._shares.append(share)
            try:
                return function(*arguments, **options)
            finally:
                self._count()
                self._shares.pop()

        return timed

    def _count(self) -> None:
        now = time.perf_counter()
        self._seconds[self._shares[-1]] += now - self._since
        self._since = now
