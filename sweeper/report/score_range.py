"""The range of scores that a report's figures show, without the outliers that would squeeze the others into a line."""

import math
from collections.abc import Sequence

from sweeper.plots.study import shown_range
from sweeper.studies.objective import direction


def shown_scores(
    complete: Sequence[float | None], pruned: Sequence[float], metric: str, factor: float
) -> tuple[float, float]:
    """The range for scores times `factor` of complete and of pruned trials, as in the study's optimization history."""
    finite = [factor * value for value in complete if value is not None and math.isfinite(value)]
    others = [factor * value for value in pruned if math.isfinite(value)]
    if not finite and not others:
        return 0.0, factor
    low, high = shown_range(finite, others, direction(metric))
    margin = 0.06 * (high - low)
    return low - margin, high + margin
