"""The learning curves that a study keeps of its variants: their files are gone when the study ends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import optuna
from optuna.trial import Trial

from sweeper.evaluation.metrics import LEARNING_CURVES

if TYPE_CHECKING:
    from sweeper.training.loop import EpochMetrics

_CURVES = "curves"


def keep(trial: Trial, histories: "Sequence[Sequence[EpochMetrics]]") -> None:
    """Keeps the curves of a trial's trainings beside it."""
    # Five digits are more than a figure shows, and let 15 trainings of 100 epochs pass where a text has 64 KB at most.
    kept = [
        {name: [float(f"{getattr(epoch, name):.5g}") for epoch in history] for name in LEARNING_CURVES}
        for history in histories
    ]
    trial.set_user_attr(_CURVES, kept)


def kept(study: optuna.Study, number: int) -> list[list[dict[str, float]]]:
    """The epochs of each of a trial's trainings, with the figures in LEARNING_CURVES; empty where none were kept."""
    trainings = study.get_trials(deepcopy=False)[number].user_attrs.get(_CURVES, [])
    return [
        [
            {"epoch": epoch, **dict(zip(LEARNING_CURVES, values, strict=True))}
            for epoch, values in enumerate(zip(*(training[name] for name in LEARNING_CURVES), strict=True), start=1)
        ]
        for training in trainings
    ]
