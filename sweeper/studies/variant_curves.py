"""Stores the learning curves of variants in the study, because their files are gone when the study ends."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import optuna
from optuna.trial import Trial

from sweeper.evaluation.metrics import LEARNING_CURVES
from sweeper.store.stored_values import checked
from sweeper.studies.storage_errors import reading

if TYPE_CHECKING:
    from sweeper.training.epoch_metrics import EpochMetrics

_CURVES = "curves"


def save(trial: Trial, histories: "Sequence[Sequence[EpochMetrics]]") -> None:
    """Stores the curves of a trial's trainings with the trial."""
    # Five digits are more than a plot shows; 15 trainings of 100 epochs then fit into 64 KB, some databases' limit.
    curves = [
        {name: [float(f"{getattr(epoch, name):.5g}") for epoch in history] for name in LEARNING_CURVES}
        for history in histories
    ]
    trial.set_user_attr(_CURVES, curves)


def load(study: optuna.Study, number: int) -> list[list[dict[str, float]]]:
    """The epochs of each of a trial's trainings, with the metrics in LEARNING_CURVES; empty if none were stored.

    Raises SweeperError for curves that cannot be read.
    """
    stored = study.get_trials(deepcopy=False)[number].user_attrs.get(_CURVES, [])
    with reading(f"trial {number} of study {study.study_name}"):
        trainings: Sequence[Mapping[str, Sequence[float]]] = checked(
            Sequence[Mapping[str, Sequence[float]]], stored, _CURVES
        )
        return [
            [
                {"epoch": epoch, **dict(zip(LEARNING_CURVES, values, strict=True))}
                for epoch, values in enumerate(zip(*(training[name] for name in LEARNING_CURVES), strict=True), start=1)
            ]
            for training in trainings
        ]
