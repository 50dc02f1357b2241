"""All that is known of one trial: its configuration, what it scored and cost, its runs, and what they have kept."""

import math
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sweeper.errors import SweeperError, UsageError
from sweeper.models import families, layers
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import network_input, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.baseline import baseline_of, differences, without_effect
from sweeper.studies.objective import METRICS
from sweeper.studies.queries import find_study, trial_as_dict
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking import trial_runs
from sweeper.tracking.trial_runs import TrialRun


@dataclass(frozen=True)
class TrialDetails:
    """One trial of a study.

    `rank` counts from 1, among `n_ranked` complete trials; None for others. `duplicate_of` is the trial whose result it
    was given. `n_multiply_adds` is None if it cannot be computed here. `runs` are in MLflow; if they cannot be read,
    they are empty, and `not_read` says why.
    """

    study_name: str
    spec: StudySpec
    record: TrialRecord
    rank: int | None
    n_ranked: int
    duplicate_of: int | None
    started: datetime | None
    ended: datetime | None
    n_multiply_adds: int | None
    runs: Sequence[TrialRun]
    not_read: str

    @property
    def configuration(self) -> dict[str, Any]:
        """All fields by name; None for parameters that do not apply."""
        if self.record.configuration is None:
            return {}
        ignored = without_effect(self.spec, self.record)
        return {name: None if name in ignored else value for name, value in self.record.configuration.values().items()}

    @property
    def differences(self) -> dict[str, Any]:
        """The fields in which it differs from the baseline."""
        return differences(self.spec, self.record)

    @property
    def usual(self) -> Mapping[str, Any]:
        """The baseline's fields."""
        baseline = baseline_of(self.spec)
        return baseline.values() if baseline else {}

    @property
    def trainings(self) -> list[TrialRun]:
        """The runs of the trainings: of a trial with only one, its own."""
        return [run for run in self.runs if bool(run.training) == (len(self.spec.trainings) > 1)]

    def score_of(self, run: TrialRun) -> float | None:
        """A training's last score in the study's metric."""
        return _finite(run.metrics.get(METRICS[self.spec.metric]))

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper trials --trial N --json` prints."""
        by = "epoch" if len(self.spec.trainings) == 1 else "training"
        return {
            "schema_version": 1,
            "study_name": self.study_name,
            "metric": self.spec.metric,
            "trial": {
                **trial_as_dict(self.record),
                "rank": self.rank,
                "n_ranked": self.n_ranked,
                "duplicate_of": self.duplicate_of,
                "configuration": self.configuration,
                "differs_from_baseline": self.differences,
                "scores": [{by: step, "value": _finite(value)} for step, value in self.record.values.items()],
                "n_multiply_adds": self.n_multiply_adds,
                "started": self.started and self.started.isoformat(timespec="seconds"),
                "ended": self.ended and self.ended.isoformat(timespec="seconds"),
                "of_epochs": self.spec.n_epochs(self.record.variant),
                "device": self.spec.device,
                "threads": self.spec.threads,
                "layout": self.spec.layout,
                "weights": any(run.has_weights for run in self.runs),
                "runs": [
                    {
                        "run_id": run.run_id,
                        "training": run.training,
                        "state": run.state,
                        "seed": run.seed,
                        "value": self.score_of(run),
                        "weights": run.has_weights,
                        "artifacts": list(run.artifacts),
                    }
                    for run in self.runs
                ],
                "not_read": self.not_read,
            },
        }


def _finite(value: float | None) -> float | None:
    """The value, as JSON can have it."""
    return value if value is not None and math.isfinite(value) else None


def of(store: Store, name: str | None, number: int) -> TrialDetails:
    """The trial with this number of a study, or (None) of the latest.

    A store without MLflow, or without the trial's run, still has all that the study itself knows. Raises UsageError if
    there is none, and SweeperError if it cannot be read.
    """
    study = find_study(store, name)
    trials, spec = trial_records.records(study), spec_of(study)
    record = next((trial for trial in trials if trial.number == number), None)
    if record is None:
        listing = f"sweeper trials {shlex.quote(study.study_name)}{store_arguments(store)}"
        raise UsageError(f"study {study.study_name} has no trial {number} (--trial); `{listing}` lists its trials")
    frozen = study.get_trials(deepcopy=False)[number]
    ranked = [trial.number for trial in trial_records.ranking(trials, spec.metric)]
    runs: Sequence[TrialRun] = []
    not_read = "" if record.run_id else "the study knows the run of a trial in MLflow once the trial has ended"
    if record.run_id:
        try:
            runs = trial_runs.read(store, record.run_id)
        except SweeperError as error:
            not_read = str(error)
    n_multiply_adds = None
    if record.configuration is not None:
        with suppress(SweeperError, ValueError):  # the size of the images is not known, or fits no such network
            found = network_input.of(study, trials)
            network = families.trace(record.configuration.model, found.input_shape, found.n_classes)
            n_multiply_adds = layers.n_multiply_adds(network)
    return TrialDetails(
        study_name=study.study_name,
        spec=spec,
        record=record,
        rank=ranked.index(number) + 1 if number in ranked else None,
        n_ranked=len(ranked),
        duplicate_of=frozen.user_attrs.get("duplicate_of"),
        started=frozen.datetime_start,
        ended=frozen.datetime_complete,
        n_multiply_adds=n_multiply_adds,
        runs=runs,
        not_read=not_read,
    )
