"""Rules that end trials early, as replay.py simulates them. Times are in thirds of an epoch, values are accuracies."""

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum

import numpy as np

THIRDS = 3  # of an epoch
# The trial that goes on whatever the decision.
BASELINE = 0


class Decision(Enum):
    GO_ON = "go on"
    STOP = "stop"
    PAUSE = "pause"  # the trial's checkpoint stays, and the rule may resume it


class Rule:
    """No pruning; the base of all other rules.

    A rule is told every measurement of a trial, the last one included, in the order in which they come. It decides
    about all but the last one.
    """

    def seen(self, trial: int, time: int, value: float, *, last: bool) -> Decision:
        return Decision.GO_ON

    def resume(self) -> int | None:
        """The paused trial that a free worker goes on with before it begins a new trial."""
        return None

    def finalist(self) -> int | None:
        """The paused trial that is trained to its end when nothing else is left to do."""
        return None


class Halving(Rule):
    """Asynchronous successive halving as in Optuna's SuccessiveHalvingPruner: the best 1/factor of a rung go on."""

    def __init__(self, first: int, factor: int) -> None:
        self._first, self._factor = first, factor
        self._rungs: defaultdict[int, list[float]] = defaultdict(list)  # values in rising order
        self._reached: defaultdict[int, int] = defaultdict(int)  # rungs that a trial has entered

    def seen(self, trial: int, time: int, value: float, *, last: bool) -> Decision:
        # A first rung of a whole epoch needs no measurement before it: times in between come to nothing here.
        while not last and time >= self._first * self._factor ** self._reached[trial]:
            rung = self._rungs[self._reached[trial]]
            self._reached[trial] += 1
            insort(rung, value)
            if value < rung[-max(len(rung) // self._factor, 1)]:
                return Decision.STOP
        return Decision.GO_ON


class Median(Rule):
    """As Optuna's MedianPruner(n_startup_trials=5, n_warmup_steps=2) at whole epochs: the best value so far decides."""

    def __init__(self, startup: int = 5, warmup: int = 2) -> None:
        self._startup, self._warmup = startup, warmup
        self._values: defaultdict[int, dict[int, float]] = defaultdict(dict)
        self._complete: list[int] = []

    def seen(self, trial: int, time: int, value: float, *, last: bool) -> Decision:
        if time % THIRDS:
            return Decision.GO_ON
        self._values[trial][time] = value
        if last:
            self._complete.append(trial)
        elif len(self._complete) >= self._startup and time >= self._warmup * THIRDS:
            median = np.median([self._values[other][time] for other in self._complete])
            if max(self._values[trial].values()) < median:
                return Decision.STOP
        return Decision.GO_ON


class Extrapolation(Rule):
    """Ends a trial whose extrapolated last accuracy is more than `margin` below the best last accuracy so far.

    The curve is a - b * epoch ** -c, fitted by least squares to the accuracies after whole epochs, from the third on.
    """

    def __init__(self, epochs: int, margin: float = 0.02) -> None:
        self._epochs, self._margin = epochs, margin
        self._values: defaultdict[int, list[float]] = defaultdict(list)
        self._best = -math.inf

    def seen(self, trial: int, time: int, value: float, *, last: bool) -> Decision:
        if time % THIRDS:
            return Decision.GO_ON
        self._values[trial].append(value)
        if last:
            self._best = max(self._best, value)
        elif (
            len(self._values[trial]) >= 3
            and extrapolated(self._values[trial], self._epochs) < self._best - self._margin
        ):
            return Decision.STOP
        return Decision.GO_ON


# Exponents of a power law's decline between which learning curves lie.
EXPONENTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def extrapolated(values: Sequence[float], epochs: int) -> float:
    """The accuracy after `epochs` of the curve a - b * epoch ** -c, b >= 0, that fits the first epochs' values best."""
    observed = np.asarray(values)
    seen = np.arange(1, len(values) + 1, dtype=np.float64)
    best, found = math.inf, float(observed[-1])
    for exponent in EXPONENTS:
        decline = seen**-exponent
        centred = decline - decline.mean()
        slope = max(-float(centred @ observed) / float(centred @ centred), 0.0)
        level = float(observed.mean() + slope * decline.mean())
        error = float(np.square(observed - level + slope * decline).sum())
        if error < best:
            best, found = error, level - slope * epochs**-exponent
    return found


class Pasha(Rule):
    """Like PASHA (Bohdal et al., 2023): halving whose last rung is the second at first, and rises while ranks change.

    A trial that reaches the last rung is paused there. When the order of the last rung's trials differs from their
    order in the rung below by more than `tolerance`, the next rung becomes the last one, and the best 1/factor of those
    paused are resumed. In the end, the best trial of the highest rung is trained to its end.
    """

    def __init__(self, first: int, factor: int, epochs: int, tolerance: float = 0.02) -> None:
        self._factor, self._tolerance = factor, tolerance
        n_rungs = 1 + int(math.log(epochs * THIRDS / first, factor) + 1e-9)
        self._times = [first * factor**rung for rung in range(n_rungs)]
        self._values: list[dict[int, float]] = [{} for _ in self._times]
        self._last = min(1, n_rungs - 1)
        self._paused: set[int] = set()
        self._again: list[int] = []

    def seen(self, trial: int, time: int, value: float, *, last: bool) -> Decision:
        if last:
            return Decision.GO_ON
        for rung, rung_time in enumerate(self._times):
            if time < rung_time or trial in self._values[rung]:
                continue
            self._values[rung][trial] = value
            if rung == self._last:
                if trial != BASELINE:
                    self._paused.add(trial)
                self._raise_last()
                if trial in self._paused:
                    return Decision.PAUSE
                if trial in self._again:  # it has not been paused yet
                    self._again.remove(trial)
            if not self._is_among_best(trial, rung):
                return Decision.STOP
        return Decision.GO_ON

    def resume(self) -> int | None:
        return self._again.pop() if self._again else None

    def finalist(self) -> int | None:
        highest = self._values[self._last]
        best = max(highest, key=lambda trial: highest[trial], default=None)
        return best if best in self._paused else None

    def _is_among_best(self, trial: int, rung: int) -> bool:
        values = sorted(self._values[rung].values())
        return self._values[rung][trial] >= values[-max(len(values) // self._factor, 1)]

    def _raise_last(self) -> None:
        """Makes the next rung the last one if the ranks of the last rung's trials have changed since the rung below."""
        above, below = self._values[self._last], self._values[self._last - 1]
        if self._last + 1 == len(self._times) or not ranks_differ(above, below, self._tolerance):
            return
        best = {trial for trial in self._paused & above.keys() if self._is_among_best(trial, self._last)}
        self._last += 1
        self._paused -= best
        self._again += sorted(best)


def ranks_differ(above: dict[int, float], below: dict[int, float], tolerance: float) -> bool:
    """Whether a trial's place above is that of a trial which was more than `tolerance` better or worse below."""
    places_above = sorted(above, key=lambda trial: -above[trial])
    places_below = sorted(above, key=lambda trial: -below[trial])
    return any(abs(below[a] - below[b]) > tolerance for a, b in zip(places_above, places_below, strict=True))
