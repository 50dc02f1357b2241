"""The options of a promotion, with all defaults. Imports nothing slow."""

from dataclasses import dataclass

PREFERENCES = ("accuracy", "small", "fast")


@dataclass(frozen=True)
class PromotionOptions:
    """The options of a promotion.

    `top` configurations of the search are retrained, each with `seeds` seeds for the order and as many for the
    estimate. `prefer`, one of PREFERENCES, decides among finalists that cannot be told apart. With `test`, the best
    are evaluated on the test set, only once per study unless `allow_retest`. A study that was promoted before is only
    shown, unless `again`. `replace` makes the champion the registered champion whatever a comparison says.
    """

    top: int = 2
    seeds: int = 3
    prefer: str = "accuracy"
    test: bool = False
    allow_retest: bool = False
    again: bool = False
    replace: bool = False
