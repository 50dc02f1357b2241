"""A study's trials in the order that the user wants, with their parameters, and as rows of a table for programs."""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

from sweeper.config import shortly
from sweeper.errors import UsageError, shortened
from sweeper.events import State
from sweeper.store.shown import shown
from sweeper.studies.objective import direction
from sweeper.studies.pruners import is_reason
from sweeper.studies.queries import trial_as_dict
from sweeper.studies.trial_records import TrialRecord

# What trials can be sorted by, besides the fields of their configurations, `value`, and the metric's name for it.
FIGURES = ("number", "state", "epochs", "n_parameters", "seconds")


def ordered(trials: Sequence[TrialRecord], metric: str, sort: str) -> list[TrialRecord]:
    """The trials by `sort`: a name of FIGURES, a parameter, or `value`, the best first; "-NAME" turns the order round.

    By `value`, trials that are not complete come after the complete ones. Trials that lack what is sorted by come
    last. Raises UsageError for an unknown name.
    """
    name, turned = sort.removeprefix("-"), sort.startswith("-")
    found: Sequence[Any]
    if by_value := name in ("value", metric):
        found = [trial.value for trial in trials]
    elif name in FIGURES:
        found = [trial.outcome if name == "state" else getattr(trial, name) for trial in trials]
    else:
        fields = configured(trials)
        if not any(name in values for values in fields):
            choices = ", ".join(("value", *FIGURES, *parameters(trials)))
            raise UsageError(
                f"--sort must be one of {choices}; or -NAME for the other way; got {shortened(repr(sort))}"
            )
        found = [values.get(name) for values in fields]
    keys = {
        trial.number: _comparable(value)
        for trial, value in zip(trials, found, strict=True)
        if value is not None and value == value  # NaN has no place among numbers
    }
    present = [trial for trial in trials if trial.number in keys]
    high_first = by_value and direction(metric) == "maximize"
    present.sort(key=lambda trial: keys[trial.number], reverse=high_first != turned)
    if by_value:
        present.sort(key=lambda trial: trial.state != State.COMPLETE)
    return present + [trial for trial in trials if trial.number not in keys]


def configured(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Each trial's configuration, with None for parameters that do not apply; empty if the trial has none yet.

    A parameter does not apply if the study searches it, but the condition that its space sets does not hold.
    """
    searched = {name for trial in trials for name in trial.params}
    found = []
    for trial in trials:
        values = trial.configuration.values() if trial.configuration else {}
        omitted = searched - set(trial.params) if trial.params else set()
        found.append(values | dict.fromkeys(omitted & values.keys()))
    return found


def from_baseline(trials: Sequence[TrialRecord]) -> dict[int, str]:
    """In what each trial differs from the trial of the baseline, as far as it applies, by the trial's number."""
    fields = configured(trials)
    usual = next((values for trial, values in zip(trials, fields, strict=True) if trial.variant == "baseline"), {})
    return {
        trial.number: ", ".join(
            f"{name} {shown(shortly(value))}"
            for name, value in values.items()
            if value is not None and value != usual.get(name)
        )
        for trial, values in zip(trials, fields, strict=True)
    }


def parameters(trials: Sequence[TrialRecord]) -> dict[str, list[Any]]:
    """What was searched and what differs between the trials, each with its value in every trial.

    The value is None where a parameter does not apply, and in a trial without configuration.
    """
    fields = configured(trials)
    searched = {name for trial in trials for name in trial.params}
    known = [values for values in fields if values]
    return {
        name: [values.get(name) for values in fields]
        for name in dict.fromkeys(chain.from_iterable(known))
        if name in searched or _differs(name, known)
    }


def _differs(name: str, known: Sequence[dict[str, Any]]) -> bool:
    usual = known[0].get(name)
    return any(values.get(name) != usual for values in known)


def rows(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """All that is known of each trial, in full precision; all rows have the same keys in the same order.

    The names of metrics and of parameters have a prefix: a trial's last learning rate is a metric of the name lr.
    """
    fields = configured(trials)
    metrics = sorted({name for trial in trials for name in trial.metrics})
    names = list(dict.fromkeys(name for values in fields for name in values))
    found = []
    for trial, values in zip(trials, fields, strict=True):
        row = trial_as_dict(trial) | {"seconds": trial.seconds}
        del row["params"], row["metrics"]
        row |= {f"metrics.{name}": trial.metrics.get(name) for name in metrics}
        found.append(row | {f"params.{name}": values.get(name) for name in names})
    return found


def reason(trial: TrialRecord) -> str:
    """Why a trial ended early, unless the pruner ended it, where it comes from, and what is odd about it."""
    said = "" if is_reason(trial.reason) else trial.reason
    if not said and trial.constant:
        said = f"always says {' or '.join(trial.constant)}"
    started = f"from {trial.warm_start}" if trial.warm_start and trial.state != State.WARM_START else ""
    return "; ".join(filter(None, ["tried again" * trial.retried, started, said]))


def pruned(trials: Sequence[TrialRecord]) -> str:
    """Why the pruner has ended trials, once for all of them; empty if it ended none, or an older sweeper did not say.

    It does not say after how many epochs: that is a figure of each trial.
    """
    found = (re.fullmatch(r"pruner: (.+) after (\w+) \d+", trial.reason) for trial in trials)
    said = sorted({f"{match[1]} after as many {match[2]}s" for match in found if match})
    return f"Pruned trials were {' or '.join(said)}." if said else ""


def _comparable(value: Any) -> tuple[int, Any]:
    """A value as it can be compared with one of another type."""
    match value:
        case list() | tuple():
            return 2, [_comparable(item) for item in value]
        case str():
            return 1, value
        case dict():
            return 3, sorted((name, _comparable(item)) for name, item in value.items())
    return 0, value
