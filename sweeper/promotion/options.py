"""The options of a promotion, with all defaults. Imports nothing slow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PREFERENCES = ("accuracy", "small", "fast")


@dataclass(frozen=True)
class PromotionOptions:
    """The options of a promotion.

    `top` configurations of the search, or the `trials` with these numbers, are retrained, each with `seeds` seeds for
    the order and as many for the estimate. `prefer`, one of PREFERENCES, decides among finalists that cannot be told
    apart. With `test`, the best are evaluated on the test set, only once per study unless `allow_retest`. A study that
    was promoted before is only shown, unless `again`. `replace` makes the champion the registered champion whatever a
    comparison says.
    """

    top: int = 2
    seeds: int = 3
    prefer: str = "accuracy"
    test: bool = False
    allow_retest: bool = False
    again: bool = False
    replace: bool = False
    trials: Sequence[int] = ()

    @property
    def n_asked(self) -> int:
        """How many configurations are to be retrained, besides the baseline."""
        return len(self.trials) or self.top

    def decisive(self) -> dict[str, Any]:
        """The options that decide what is found, by name, as plain data."""
        chosen = {"trials": sorted(self.trials)} if self.trials else {"top": self.top}
        return {**chosen, "seeds": self.seeds, "prefer": self.prefer}
