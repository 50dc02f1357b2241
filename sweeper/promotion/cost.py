"""Estimates how long fresh trainings take, from the time that a study's trials have taken for their epochs."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sweeper.config import Configuration
from sweeper.promotion.finalists import distinct
from sweeper.quantities import counted
from sweeper.studies.baseline import baseline_of
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord


@dataclass(frozen=True)
class Planned:
    """`number` trainings of a configuration for `epochs` each, on `size` times the images of a trial's training."""

    configuration: Configuration
    epochs: int
    number: int = 1
    size: float = 1.0


def seconds(spec: StudySpec, trials: Sequence[TrialRecord], trainings: Sequence[Planned], workers: int) -> float | None:
    """How long the trainings take with so many workers, in seconds; None if no trial has trained an epoch.

    The estimate supposes a machine as fast as that of the search, and as busy. It leaves out the time to start the
    workers, to evaluate and to log.
    """
    timed = [trial for trial in trials if trial.epochs and trial.seconds > 0 and trial.configuration is not None]
    if not timed:
        return None
    lengths = [
        planned.epochs * planned.size * _per_epoch(spec, timed, planned.configuration, workers)
        for planned in trainings
        for _ in range(planned.number)
    ]
    free_at = [0.0] * workers  # when each worker is free: the next training goes to the first
    for length in lengths:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)


def of_promotion(spec: StudySpec, trials: Sequence[TrialRecord], *, top: int, seeds: int, workers: int) -> float | None:
    """How long `sweeper promote --top TOP --seeds SEEDS` takes, in seconds, like `seconds`.

    None if no trial has finished that could be promoted.
    """
    best = distinct(trials, spec.metric)[:top]
    if not best:
        return None
    configurations = {
        trial.configuration.key(): (trial.configuration, spec.n_epochs(trial.variant))
        for trial in best
        if trial.configuration is not None
    }
    baseline = baseline_of(spec)
    if baseline is not None:
        configurations.setdefault(baseline.key(), (baseline, spec.n_epochs("baseline")))
    parts = (spec.protocol.validation, spec.protocol.confirm)
    # Parts that are counts of images are small beside the rest.
    whole = 1 / (1 - sum(part for part in parts if isinstance(part, float)))
    fresh = [Planned(*one, number=2 * seeds) for one in configurations.values()]
    refits = [Planned(*one, size=whole) for one in configurations.values()]
    return seconds(spec, trials, [*fresh, *refits], workers)


def _per_epoch(spec: StudySpec, timed: Sequence[TrialRecord], configuration: Configuration, workers: int) -> float:
    """The seconds of an epoch of this configuration: the median of the trials that differ from it the least."""
    wanted = configuration.values()
    found: dict[int, list[float]] = {}
    for trial in timed:
        assert trial.configuration is not None
        own = trial.configuration.values()
        differing = sum(own.get(name) != wanted.get(name) for name in own.keys() | wanted.keys())
        # Without pruning, the trainings of a trial run at once.
        at_once = 1 if spec.pruner != "none" and trial.variant != "baseline" else min(workers, len(spec.trainings))
        found.setdefault(differing, []).append(at_once * trial.seconds / trial.epochs)
    return median(found[min(found)])


def announced(n_trainings: int, n_left: int, n_seconds: float | None, n_workers: int) -> str:
    """How many trainings there are, how many of them are left, and about how long those take, if that is known."""
    words = counted(n_trainings, "training")
    if not n_left:
        return f"{words}; nothing is left to train"
    if n_left < n_trainings:
        words += f"; {counted(n_left, 'is', 'are')} left"
    if n_seconds is None:
        return words
    take = " and take" if n_left < n_trainings else ", which take"
    if n_left == 1:
        take += "s"
    return f"{words}{take} {in_words(n_seconds)} with {counted(n_workers, 'worker')}"


def in_words(n_seconds: float | None) -> str:
    """An estimate of time in words, no finer than it can be: "about 40 minutes"."""
    if n_seconds is None:
        return "an unknown time"
    if n_seconds < 55:
        return "less than a minute"
    if n_seconds < 90 * 60:
        minutes = max(1, round(n_seconds / 60))
        return f"about {counted(minutes, 'minute')}"
    hours = n_seconds / 3600
    return f"about {hours:.1f} hours" if hours < 10 else f"about {hours:.0f} hours"
