"""The baseline of a study, and in what a trial's configuration differs from it."""

from typing import Any

from sweeper.config import Configuration
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord


def baseline_of(spec: StudySpec) -> Configuration | None:
    """The baseline of the study's space; None if an older sweeper has recorded none."""
    values = spec.space.get("variants", {}).get("baseline")
    return None if values is None else Configuration.from_values(values)


def without_effect(spec: StudySpec, trial: TrialRecord) -> set[str]:
    """The searched parameters that do not apply to the trial, because the condition that its space sets did not hold.

    A variant outside the space has no parameters of its trial, and all fields apply.
    """
    return set(spec.space.get("parameters", {})) - set(trial.params) if trial.params else set()


def differences(spec: StudySpec, trial: TrialRecord) -> dict[str, Any]:
    """The fields in which the trial differs from the baseline, as far as they apply, with its values."""
    if trial.configuration is None:
        return {}
    baseline = baseline_of(spec)
    usual, ignored = baseline.values() if baseline else {}, without_effect(spec, trial)
    return {
        name: value
        for name, value in trial.configuration.values().items()
        if name not in ignored and value != usual.get(name)
    }
