"""What a search does, as a user asks for it, with all defaults. Imports nothing that is slow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchOptions:
    """`trials` is the total of distinct configurations, earlier runs of the study included.

    With `variants_only`, exactly the space's named variants are trained. `max_params` bounds the parameters of a
    winner, `target` (the metric's value) and `timeout` (seconds) end the search early, and `keep` is how many of the
    best trials keep their weights.
    """

    trials: int = 50
    variants_only: bool = False
    sampler: str = "tpe"
    pruner: str = "halving"
    metric: str = "accuracy"
    max_params: int | None = None
    target: float | None = None
    timeout: float | None = None
    keep: int = 5
