"""The options of a search, with all defaults. Imports nothing slow."""

from dataclasses import dataclass

from sweeper.config.fields import Checked, ruled
from sweeper.studies.objective import METRICS
from sweeper.studies.pruners import AUTO, PRUNERS
from sweeper.studies.samplers import SAMPLERS
from sweeper.validators import boolean, count, finite, one_of, optional, positive, text


@dataclass(frozen=True)
class SearchOptions(Checked):
    """The options of a search.

    `trials` is the total number of distinct configurations, including those of earlier commands on the study. With
    `variants_only`, exactly the space's named variants are trained. `pruner` auto is resolved when the study starts, by
    the number of its validation images. `max_params`, `max_madds` and `max_latency`
    (milliseconds an image) limit the parameters, multiply-adds and latency of a winner. `target` (the metric's value)
    and `timeout` (seconds) end the search early; `trial_timeout` (seconds of training) ends a trial. `keep` is how many
    of the best trials keep their weights. `warm_start` names a study of the store from whose trials a new study starts.
    `take_over` says that the machine of the study's last process is gone.
    """

    trials: int = ruled(50, count(1))
    variants_only: bool = ruled(False, boolean)
    sampler: str = ruled("tpe", one_of(*SAMPLERS))
    pruner: str = ruled(AUTO, one_of(AUTO, *PRUNERS))
    metric: str = ruled("accuracy", one_of(*METRICS))
    max_params: int | None = ruled(None, optional(count(1)))
    max_madds: int | None = ruled(None, optional(count(1)))
    max_latency: float | None = ruled(None, optional(positive))
    target: float | None = ruled(None, optional(finite))
    timeout: float | None = ruled(None, optional(positive))
    trial_timeout: float | None = ruled(None, optional(positive))
    keep: int = ruled(5, count(0))
    warm_start: str | None = ruled(None, optional(text))
    take_over: bool = ruled(False, boolean)
