"""What a promotion does, as a user asks for it, with all defaults. Imports nothing that is slow."""

from dataclasses import dataclass

PREFERENCES = ("accuracy", "small", "fast")


@dataclass(frozen=True)
class PromotionOptions:
    """`top` configurations of the search are retrained with `seeds` seeds for the order, and as many for the estimate.

    `prefer`, one of PREFERENCES, decides among finalists that cannot be told apart. With `test`, the best are
    evaluated on the test set, once a study unless `allow_retest`.
    """

    top: int = 2
    seeds: int = 3
    prefer: str = "accuracy"
    test: bool = False
    allow_retest: bool = False
