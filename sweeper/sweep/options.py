"""The options of a search, with all defaults. Imports nothing slow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search.

    `trials` is the total number of distinct configurations, including those of earlier commands on the study. With
    `variants_only`, exactly the space's named variants are trained. `pruner` auto is resolved when the study starts, by
    the number of its validation images. `max_params`, `max_madds` and `max_latency`
    (milliseconds an image) limit the parameters, multiply-adds and latency of a winner. `target` (the metric's value)
    and `timeout` (seconds) end the search early; `trial_timeout` (seconds of training) ends a trial. `keep` is how many
    of the best trials keep their weights.
    """

    trials: int = 50
    variants_only: bool = False
    sampler: str = "tpe"
    pruner: str = "auto"
    metric: str = "accuracy"
    max_params: int | None = None
    max_madds: int | None = None
    max_latency: float | None = None
    target: float | None = None
    timeout: float | None = None
    trial_timeout: float | None = None
    keep: int = 5
