"""Finds out how many trials a process should train at once: doubles them while the total throughput grows."""

from collections import defaultdict
from collections.abc import Collection, Hashable
from statistics import fmean

# Doubling must raise the throughput of all trials together, in epochs per second, by at least this factor.
LEAST_GAIN = 1.1
# Epochs that a trial is timed for, at each number: the time of a single one varies too much.
READINGS = 2
# If none of so many trials, times the number at once, is trained for long enough, no trial can tell.
MOST_SHORT = 4


class ConcurrencyTuner:
    """Starts with one trial at once, and doubles the number until the gain is too small or `most` is reached.

    Trials differ in speed, so each trial is compared with itself: if twice as many trials run, each at r times its
    earlier speed, the total throughput grows by a factor of 2 r. If no trial ran both before and after a doubling,
    there is nothing to compare, and the doubling stands. A trial's speed is told from the wall time between its epochs:
    validation, checkpoints and whatever it waits for take time as well.
    """

    def __init__(self, most: int) -> None:
        self.at_once = 1
        self.settled = most == 1
        self._most, self._previous = most, 1
        self._before: dict[Hashable, float] = {}  # seconds of an epoch
        self._begin()

    def record_epoch(self, trial: Hashable, now: float, running: Collection[Hashable]) -> None:
        """Records the end of a trial's epoch, in seconds; `running` are the process's trials, including this one."""
        if self.settled:
            return
        if len(running) < self.at_once:
            self._ended.clear()  # the epochs under way have more of the GPU than they would have
            return
        self._seen.add(trial)
        # The first end after a change only starts the clock: the epoch may have begun before the change.
        if trial in self._ended:
            self._seconds[trial].append(now - self._ended[trial])
        self._ended[trial] = now
        measured = {each: fmean(seconds) for each, seconds in self._seconds.items() if len(seconds) >= READINGS}
        if any(other in self._before and other not in measured for other in running):
            return
        # Not only those that run: if most are pruned early, some have always just started.
        if len(measured) < self.at_once and len(self._seen) < MOST_SHORT * self.at_once:
            return
        both = self._before.keys() & measured.keys()
        if both:
            speed = fmean(self._before[other] / measured[other] for other in both)
            if speed * self.at_once / self._previous < LEAST_GAIN:
                self.at_once, self.settled = self._previous, True
                return
        self.settled = self.at_once == self._most
        self._previous, self.at_once = self.at_once, min(2 * self.at_once, self._most)
        self._before = measured
        self._begin()

    def _begin(self) -> None:
        """Begins to measure at a new number."""
        self._ended: dict[Hashable, float] = {}  # when each trial's last epoch ended
        self._seconds: dict[Hashable, list[float]] = defaultdict(list)
        self._seen: set[Hashable] = set()
