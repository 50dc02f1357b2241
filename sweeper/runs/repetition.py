"""Compares a training by itself with the trial of a study that it repeats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.config import Configuration
from sweeper.errors import SweeperError
from sweeper.evaluation.amounts import amount
from sweeper.events import State
from sweeper.runs import pretrained_weights
from sweeper.runs.study_trial import StudyTrial
from sweeper.studies.conversions import other_reading
from sweeper.studies.objective import METRICS
from sweeper.studies.spec import RunSpec


@dataclass(frozen=True)
class Repetition:
    """A trial that is trained again; `changes` names what differs this time, so that the metrics will differ, too."""

    trial: StudyTrial
    changes: Sequence[str]

    def notes(self, spec: RunSpec) -> Iterator[str]:
        """Which trainings the trial has again, if there are several, and what differs this time."""
        if len(spec.trainings) > 1:
            counts = {"fold": spec.protocol.folds, "repeat": spec.protocol.repeats * (spec.protocol.repeats > 1)}
            each = " of ".join(f"{number} {kind}s" for kind, number in counts.items() if number)
            yield f"Trains {len(spec.trainings)} networks, as trial {self.trial.name} did: {each}"
        if self.changes:
            yield f"Unlike trial {self.trial.name} in {', '.join(self.changes)}: the metrics will differ"

    def is_equal(self, metrics: Mapping[str, float] | None) -> bool | None:
        """Whether the metrics give the trial's score.

        None if it was not to be given again, the trial did not reach its end, or there are no metrics yet.
        """
        record = self.trial.record
        if self.changes or metrics is None or record.value is None or record.state != State.COMPLETE:
            return None
        spec = self.trial.spec
        value = metrics[METRICS[spec.metric]]
        if spec.has_old_scores:  # a network of the study that does not end in a softmax has only one loss
            value = metrics.get("validation_softmax_loss", value)
        return value == record.value

    def as_json(self, metrics: Mapping[str, float] | None) -> dict[str, Any]:
        """The object that `sweeper train --json` prints."""
        value = self.trial.record.value
        found = {"trial": self.trial.name, "value": value, "changes": list(self.changes)}
        return {**found, "equal": self.is_equal(metrics)}

    def told(self, metrics: Mapping[str, float]) -> str:
        """Whether the training gave the trial's score again, in words; "" if that cannot be said."""
        equal, name, value = self.is_equal(metrics), self.trial.name, self.trial.record.value
        if equal is None:
            return ""
        assert value is not None
        shown = amount(self.trial.spec.metric, value, 4)
        if equal:
            return f"The score equals that of trial {name} to the last bit: {shown}"
        return (
            f"The score is not that of trial {name}, {shown}: the same processor and version of PyTorch would give "
            "the same bits"
        )


def repetition_of(trial: StudyTrial, spec: RunSpec, configuration: Configuration) -> Repetition:
    """The trial as a training with this spec and configuration repeats it; SweeperError if the data are others."""
    expected = trial.spec.data_sha256
    if spec.data_sha256 != expected:
        raise SweeperError(
            f"the data of study {trial.study_name} have changed since the search: their hash was {expected[:12]}, and "
            f"is {spec.data_sha256[:12]} now"
        )
    if reading := other_reading(trial.spec.conversions, spec.conversions):
        raise SweeperError(f"a trial of study {trial.study_name} cannot be repeated: {reading}")
    for name in trial.spec.pretrained.keys() & spec.pretrained.keys():
        if change := pretrained_weights.changed(name, trial.spec.pretrained[name], spec.pretrained[name]):
            raise SweeperError(f"a trial of study {trial.study_name} cannot be repeated: {change}")
    before, now = trial.spec.as_json(), spec.as_json()
    before |= {"seed": trial.seed(), "epochs": trial.spec.n_epochs(trial.record.variant)}
    names = {name: name for name in ("seed", "epochs", "folds", "repeats", "device", "threads", "layout")}
    names |= {"split_sha256": "splits", "init_sha256": "initial weights"}
    changes = [words for name, words in names.items() if before.get(name) != now.get(name)]
    own = trial.configuration.values()
    changes += [name for name, value in configuration.values().items() if value != own.get(name)]
    return Repetition(trial, changes)
