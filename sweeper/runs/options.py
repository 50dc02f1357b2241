"""The options that decide how trainings are repeated and seeded."""

from dataclasses import dataclass, replace
from typing import Any

from sweeper.config import Protocol


@dataclass(frozen=True)
class TrainingOptions:
    """How trainings are repeated and seeded.

    `epochs`, `folds` and `repeats` override the space's protocol unless they are None. `seed` determines the splits and
    all seeds of trainings. `subset` is how many images of the training set are used; None means all.
    """

    epochs: int | None = None
    folds: int | None = None
    repeats: int | None = None
    seed: int = 0
    subset: int | None = None

    def protocol(self, default: Protocol) -> Protocol:
        """The space's protocol with these options applied."""
        asked: dict[str, Any] = {"epochs": self.epochs, "folds": self.folds, "repeats": self.repeats}
        return replace(default, **{name: value for name, value in asked.items() if value is not None})
