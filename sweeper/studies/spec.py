"""The trainings that a trial has, one a fold and repeat, from a study's spec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.data.summary import Scaling


@dataclass(frozen=True)
class FoldRepeat:
    """One of a trial's trainings: its fold and repeat, counted from 0, and its name, empty for the only one."""

    fold: int
    repeat: int
    label: str


def scalings_of(spec: Mapping[str, Any]) -> list[Scaling]:
    """The scalings of the study's folds, or its only one."""
    return spec["fold_scalings"]


def n_epochs(spec: Mapping[str, Any], variant: str | None) -> int:
    """The epochs of a trial's trainings: the study's, but where variants are compared each may have its own."""
    epochs: int = spec.get("variant_epochs", {}).get(variant, spec["epochs"])
    return epochs


def trainings_of(spec: Mapping[str, Any]) -> list[FoldRepeat]:
    """The trainings of a trial of the study, the folds of the first repeat first."""
    folds, repeats = spec["folds"], spec["repeats"]
    return [
        FoldRepeat(
            fold,
            repeat,
            ", ".join([f"fold {fold + 1}"] * bool(folds) + [f"repeat {repeat + 1}"] * (repeats > 1)),
        )
        for repeat in range(repeats)
        for fold in range(folds or 1)
    ]
