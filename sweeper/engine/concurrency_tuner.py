"""Finds out how many trials a process should train at once: doubles them while the total throughput grows."""

from collections.abc import Collection, Hashable

# Doubling must raise the throughput of all trials together, in images per second, by at least this factor.
LEAST_GAIN = 1.1


class ConcurrencyTuner:
    """Starts with one trial at once, and doubles the number until the gain is too small or `most` is reached.

    Trials differ in speed, so each trial is compared with itself: if twice as many trials run, each at r times its
    earlier speed, the total throughput grows by a factor of 2 r. If no trial ran both before and after a doubling,
    there is nothing to compare, and the doubling stands.
    """

    def __init__(self, most: int) -> None:
        self.at_once = 1
        self.settled = most == 1
        self._most, self._previous = most, 1
        self._begun: set[Hashable] = set()  # trials that have finished an epoch since the last change
        self._before: dict[Hashable, float] = {}
        self._now: dict[Hashable, float] = {}

    def record_epoch(self, trial: Hashable, images_per_second: float, running: Collection[Hashable]) -> None:
        """Records an epoch's speed; `running` are the trials of the process, including this one."""
        if self.settled or len(running) < self.at_once:
            return
        # Ignores a trial's first epoch after a change, because part of it may have run before the change. But if all
        # trials have only one epoch, nothing else can be measured.
        if trial not in self._begun and len(self._begun) < 2 * self.at_once:
            self._begun.add(trial)
            return
        self._now[trial] = images_per_second
        both = self._before.keys() & self._now.keys()
        # Don't wait for every running trial: if most are pruned early, some have always just started.
        if len(self._now) < self.at_once or (not both and any(other in self._before for other in running)):
            return
        if both:
            speed = sum(self._now[other] / self._before[other] for other in both) / len(both)
            if speed * self.at_once / self._previous < LEAST_GAIN:
                self.at_once, self.settled = self._previous, True
                return
        self.settled = self.at_once == self._most
        self._previous, self.at_once = self.at_once, min(2 * self.at_once, self._most)
        self._before, self._now, self._begun = self._now, {}, set()
