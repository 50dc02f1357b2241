"""How many trials a process trains at once where that is to be found out: doubled for as long as all together gain."""

from collections.abc import Collection, Hashable

# Of the images that all train in a second: what doubling must bring at the least.
LEAST_GAIN = 1.1


class ConcurrencyTuner:
    """Begins with one trial at once, and doubles them until that brings too little, or there are `most`.

    Trials differ in speed, so that each is compared with itself: a card that trains twice as many, each at r times its
    speed of before, trains 2 r times the images. Where none lasted from before a doubling, nothing speaks against it.
    """

    def __init__(self, most: int) -> None:
        self.at_once = 1
        self.settled = most == 1
        self._most, self._previous = most, 1
        self._begun: set[Hashable] = set()  # trials of which an epoch ended since the last change
        self._before: dict[Hashable, float] = {}
        self._now: dict[Hashable, float] = {}

    def heard(self, trial: Hashable, images_per_second: float, running: Collection[Hashable]) -> None:
        """Takes note of an epoch; `running` are the trials of the process, this one among them."""
        if self.settled or len(running) < self.at_once:
            return
        # Of its first epoch since a change a part may have been before it. Where trials have but one, it has to do.
        if trial not in self._begun and len(self._begun) < 2 * self.at_once:
            self._begun.add(trial)
            return
        self._now[trial] = images_per_second
        both = self._before.keys() & self._now.keys()
        # Not of all that run: where most are pruned early, some have always just begun.
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
