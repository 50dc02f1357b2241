"""The options of a promotion, with all defaults. Imports nothing slow."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.config.fields import Checked, ruled
from sweeper.errors import UsageError
from sweeper.validators import boolean, count, one_of, sequence

PREFERENCES = ("accuracy", "small", "fast")


@dataclass(frozen=True)
class PromotionOptions(Checked):
    """The options of a promotion.

    `top` configurations of the search, or the `trials` with these numbers, are retrained, each with `seeds` seeds for
    the order and as many for the estimate. `prefer`, one of PREFERENCES, decides among finalists that cannot be told
    apart. With `test`, the best are evaluated on the test set, only once per study unless `allow_retest`. A study that
    was promoted before is only shown, unless `again`. `replace` makes the champion the registered champion whatever a
    comparison says.
    """

    top: int = ruled(2, count(1))
    seeds: int = ruled(3, count(1))
    prefer: str = ruled("accuracy", one_of(*PREFERENCES))
    test: bool = ruled(False, boolean)
    allow_retest: bool = ruled(False, boolean)
    again: bool = ruled(False, boolean)
    replace: bool = ruled(False, boolean)
    trials: Sequence[int] = ruled((), sequence(count(0), empty=True))

    def check(self, given: Collection[str]) -> None:
        """Raises UsageError for options that contradict each other; `given` are the names of those that a user gave."""
        if {"top", "trials"} <= set(given):
            raise UsageError("give one of --top and --trial, got both")
        if self.allow_retest and not self.test:
            raise UsageError("--allow-retest needs --test")

    @property
    def n_asked(self) -> int:
        """How many configurations are to be retrained, besides the baseline."""
        return len(self.trials) or self.top

    def decisive(self) -> dict[str, Any]:
        """The options that decide what is found, by name, as plain data."""
        chosen = {"trials": sorted(self.trials)} if self.trials else {"top": self.top}
        return {**chosen, "seeds": self.seeds, "prefer": self.prefer}
