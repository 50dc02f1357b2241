"""The options that decide how trainings are repeated and seeded."""

from dataclasses import dataclass, replace
from typing import Any

from sweeper.config import Protocol
from sweeper.config.fields import Checked, ruled
from sweeper.validators import MOST_INTEGER, MOST_REPEATS, MOST_SEED, count, folds, integer, optional


@dataclass(frozen=True)
class TrainingOptions(Checked):
    """How trainings are repeated and seeded.

    `epochs`, `folds` and `repeats` override the space's protocol unless they are None. `seed` determines all seeds of
    trainings, and `split_seed` the splits; None means the same as `seed`. `subset` is how many images of the training
    set are used; None means all.
    """

    epochs: int | None = ruled(None, optional(integer(1, MOST_INTEGER)))
    folds: int | None = ruled(None, optional(folds))
    repeats: int | None = ruled(None, optional(integer(1, MOST_REPEATS)))
    seed: int = ruled(0, integer(0, MOST_SEED))
    subset: int | None = ruled(None, optional(count(1)))
    split_seed: int | None = ruled(None, optional(integer(0, MOST_SEED)))

    @property
    def seed_of_splits(self) -> int:
        """The seed that cuts the data."""
        return self.seed if self.split_seed is None else self.split_seed

    def protocol(self, default: Protocol) -> Protocol:
        """The space's protocol with these options applied."""
        asked: dict[str, Any] = {"epochs": self.epochs, "folds": self.folds, "repeats": self.repeats}
        return replace(default, **{name: value for name, value in asked.items() if value is not None})
