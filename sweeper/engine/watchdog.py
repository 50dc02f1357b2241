"""Notices workers that hang: they have been silent for much longer than any training was before."""

import time
from collections.abc import Callable

# A training worker sends something every second, or after every batch. What this adds is room for what no earlier
# silence foretells: a checkpoint on a slow disk, memory that comes back from swap. Linux itself calls a process hung
# after 120 s.
LEAST_SECONDS = 60.0
# Before a training's first sign of life, and before any epoch has ended: torch is imported (40 s on a loaded machine),
# the data are loaded, weights downloaded, GPU libraries initialised, and the length of an epoch is still unknown.
START_SECONDS = 120.0
# How much longer than the longest silence so far the next one may be. Networks of one space differ in speed by a factor
# of 3 (benchmarks of LeNets), and a machine that gets busy makes them several times slower.
FACTOR = 10.0
# A longer step between two looks at the clock means that the machine or this process was suspended, or busy elsewhere.
# The workers may have been suspended as well, and their messages may not have been read: such time says nothing.
MOST_STEP = 5.0


class Watchdog:
    """Measures how long each worker that trains has been silent.

    Its time passes only as `advance` sees it, so that a suspended machine does not look like hung workers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = 0.0
        self._clock, self._seen = clock, clock()
        self._since: dict[int, float] = {}  # by worker: its last message, or when it got something to do
        self._starting: set[int] = set()  # workers that have sent nothing since they got their job
        self._longest = self._longest_start = 0.0
        self._epoch_known = False

    def advance(self) -> None:
        """Lets time pass until now; call it whenever messages were read."""
        read = self._clock()
        self.now += min(read - self._seen, MOST_STEP)
        self._seen = read

    def expect(self, worker: int, *, starts: bool = False) -> None:
        """Something is due from the worker from now on: it got an answer or, with `starts`, a job."""
        self._since[worker] = self.now
        if starts:
            self._starting.add(worker)

    def hear(self, worker: int) -> None:
        """The worker has sent something."""
        silent = self.now - self._since.get(worker, self.now)
        if worker in self._starting:
            self._starting.discard(worker)
            self._longest_start = max(self._longest_start, silent)
        else:
            self._longest = max(self._longest, silent)
        self._since[worker] = self.now

    def end_epoch(self) -> None:
        """A new epoch has ended: from now on it is known how long a worker is silent in one."""
        self._epoch_known = True

    def complaint(self, worker: int, n_deaths: int) -> str:
        """Why the worker hangs; empty if it does not. After each death, the limit is doubled, for slow machines."""
        least = LEAST_SECONDS if self._epoch_known else START_SECONDS
        limit = max(least, FACTOR * self._longest)
        if worker in self._starting:
            limit = max(START_SECONDS, FACTOR * self._longest_start)
        limit *= 2**n_deaths
        silent = self.now - self._since[worker]
        return f"nothing came from it for {silent:.0f} s, {limit:.0f} s is the limit" if silent > limit else ""
