"""Selects the finalists, and orders them by fresh seeds on the validation part; the estimates choose nothing."""

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.config import Configuration
from sweeper.errors import SweeperError, UsageError
from sweeper.events import State
from sweeper.models import families, layers
from sweeper.models.latency import deployed
from sweeper.promotion.predictions import Predictions
from sweeper.studies import trial_records
from sweeper.studies.baseline import baseline_of
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord


@dataclass(frozen=True)
class Finalist:
    """A configuration of the search that the promotion retrains.

    `epochs` are those of its trial. `score` is its search score in the study's metric, None for a baseline that the
    search did not finish, and if the study's scores do not compare with this version's metric. A finalist that is not
    `eligible` is over a limit of the search, and cannot win.
    """

    trial: int
    configuration: Configuration
    params: Mapping[str, Any]
    epochs: int
    is_baseline: bool
    eligible: bool
    score: float | None
    n_parameters: int
    n_multiply_adds: int

    @property
    def name(self) -> str:
        return trial_records.trial_name(self.trial, "baseline" if self.is_baseline else None)


# The quantity that decides among tied finalists, by PromotionOptions.prefer: the smallest value wins.
TIE_BREAKERS: Mapping[str, Callable[[Finalist], int]] = {
    "accuracy": lambda finalist: 0,
    "small": lambda finalist: finalist.n_parameters,
    "fast": lambda finalist: finalist.n_multiply_adds,
}


def select(
    trials: Sequence[TrialRecord],
    spec: StudySpec,
    top: int,
    input_shape: tuple[int, int, int],
    n_classes: int,
    numbers: Collection[int] = (),
) -> list[Finalist]:
    """Selects the `top` best distinct configurations by search score, and the baseline wherever it ranks.

    Selects fewer if fewer have finished. With the `numbers` of trials, selects these and the baseline instead, whatever
    their scores. Raises SweeperError if no trial can be selected.
    """
    baseline = baseline_of(spec)
    if baseline is None:
        raise SweeperError("the study cannot be promoted: the spec that it was started with has no variant baseline")
    chosen = _named(trials, numbers, spec.metric) if numbers else distinct(trials, spec.metric)[:top]
    if not chosen:
        raise SweeperError(
            "no trial that can be promoted has finished; search with more --trials, or name a pruned one by --trial"
        )
    if not any(trial.configuration == baseline for trial in chosen):
        chosen += [_baseline_trial(trials, baseline, spec.metric)]
    searched, measured = spec.space.get("parameters", {}), trial_records.latencies(trials)
    found = []
    for trial in chosen:
        configuration = trial.configuration or baseline
        network = families.trace(configuration.model, input_shape, n_classes)
        n_parameters, n_multiply_adds = layers.n_parameters(network), layers.n_multiply_adds(network)
        found.append(
            Finalist(
                trial=trial.number,
                configuration=configuration,
                params=dict(trial.params) or {n: v for n, v in configuration.values().items() if n in searched},
                epochs=spec.n_epochs(trial.variant),
                is_baseline=configuration == baseline,
                # A latency as the search has measured it, perhaps for another trial: a duplicate has none of its own.
                eligible=_is_eligible(spec, n_parameters, n_multiply_adds, measured.get(deployed(configuration.model))),
                score=trial.value if trial.state == State.COMPLETE and not spec.has_old_scores else None,
                n_parameters=n_parameters,
                n_multiply_adds=n_multiply_adds,
            )
        )
    return found


def certain(trials: Sequence[TrialRecord], spec: StudySpec, top: int, n_open: int) -> list[TrialRecord]:
    """The baseline, then the trials that stay among the `top` best whatever the `n_open` open ones will score.

    A promotion of the `top` best retrains them. Empty if the study cannot be promoted.
    """
    baseline = baseline_of(spec)
    if baseline is None:
        return []
    try:
        first = _baseline_trial(trials, baseline, spec.metric)
    except SweeperError:
        return []
    leaders = distinct(trials, spec.metric)[: max(0, top - n_open)]
    return [first, *(trial for trial in leaders if trial.configuration != baseline)]


def check_exports(finalists: Sequence[Finalist], input_shape: tuple[int, int, int], n_classes: int) -> None:
    """Raises SweeperError, before hours of training, for a network that could not be registered afterwards."""
    for finalist in finalists:
        try:
            families.check_export(finalist.configuration.model, input_shape, n_classes)
        except ValueError as error:
            raise SweeperError(f"{finalist.name} cannot be promoted: {error}") from error


def _is_eligible(spec: StudySpec, n_parameters: int, n_multiply_adds: int, milliseconds: float | None) -> bool:
    """Whether a network keeps the search's limits; one that was not measured is not known to keep that of latency."""
    unmeasured = spec.max_latency is not None and milliseconds is None
    return not unmeasured and not spec.limits.exceeded(n_parameters, n_multiply_adds, milliseconds)


def distinct(trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """The complete trials that may win, best first, each configuration once."""
    found: dict[str, TrialRecord] = {}
    for trial in trial_records.ranking(trials, metric):
        if trial.configuration is not None and trial.feasible:
            found.setdefault(trial.configuration.key(), trial)
    return list(found.values())


def check_numbers(
    trials: Sequence[TrialRecord], numbers: Collection[int], study_name: str, store_options: str = ""
) -> None:
    """Raises UsageError for the number of a trial that cannot be promoted (--trial).

    `store_options` are those with which a command finds the study's store.
    """
    by_number = {trial.number: trial for trial in trials}
    for number in numbers:
        if number not in by_number:
            listing = f"sweeper trials {shlex.quote(study_name)}{store_options}"
            raise UsageError(f"study {study_name} has no trial {number} (--trial); `{listing}` lists its trials")
        trial = by_number[number]
        if trial.state not in (State.COMPLETE, State.PRUNED, State.DUPLICATE):
            raise UsageError(
                f"a trial to promote must be complete or pruned, trial {number} is {trial.state} (--trial)"
            )
        if not trial.feasible:
            raise UsageError(f"trial {number} cannot be promoted: {trial.reason} (--trial)")


def _named(trials: Sequence[TrialRecord], numbers: Collection[int], metric: str) -> list[TrialRecord]:
    """The trials with these numbers, the best first and pruned ones last, each configuration once."""
    found: dict[str, TrialRecord] = {}
    for trial in [*trial_records.ranking(trials, metric), *trials]:
        if trial.number in numbers and trial.configuration is not None:
            found.setdefault(trial.configuration.key(), trial)
    return list(found.values())


def _baseline_trial(trials: Sequence[TrialRecord], baseline: Configuration, metric: str) -> TrialRecord:
    """The baseline's best complete trial, or else the trial of the variant `baseline`."""
    for trial in trial_records.ranking(trials, metric):
        if trial.configuration == baseline:
            return trial
    found = next((trial for trial in trials if trial.variant == "baseline"), None)
    if found is None:
        raise SweeperError("the study cannot be promoted: it has no trial of the variant baseline")
    return found


def ordered(finalists: Sequence[Finalist], predictions: Mapping[int, Predictions], prefer: str) -> list[Finalist]:
    """Orders the finalists by the mean metric over fresh seeds on the validation part, the champion first.

    `predictions` are by trial, in the study's metric. With `prefer` small or fast, a finalist is tied with the leader
    if the 95 % interval of their difference contains 0; the fewest parameters or multiply-adds win among the tied.
    Finalists that are not eligible come last.
    """
    remaining = sorted(finalists, key=lambda f: (not f.eligible, predictions[f.trial].cost(), f.trial))
    order = []
    while remaining:
        leader = remaining[0]
        tied = [leader]
        if prefer != "accuracy":
            tied += [f for f in remaining[1:] if f.eligible == leader.eligible and _is_tied(predictions, leader, f)]
        chosen = min(tied, key=TIE_BREAKERS[prefer])  # min() takes the first of equals, the one with the best metric
        order.append(chosen)
        remaining.remove(chosen)
    return order


def _is_tied(predictions: Mapping[int, Predictions], leader: Finalist, other: Finalist) -> bool:
    interval = predictions[leader.trial].minus(predictions[other.trial]).interval()
    return interval is None or interval[0] <= 0 <= interval[1]
