"""Optuna's samplers by name, and the shuffled grid. Imports Optuna only to make one, as pruners.py does."""

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError
from sweeper.studies.seeds import derive_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from sweeper.spaces.space import Space

SAMPLERS = ("tpe", "random", "grid")
MOST_GRID_POINTS = 100_000


def make_sampler(name: str, space: "Space", seed: int) -> "BaseSampler":
    """The sampler for one proposal. A grid's points are enqueued, so its sampler does not matter."""
    from optuna.samplers import RandomSampler, TPESampler

    if name != "tpe":
        return RandomSampler(seed=seed)
    # Without groups, a conditional parameter would be left out of the joint model.
    return TPESampler(seed=seed, group=space.has_conditions)


def shuffled_grid(space: "Space", seed: int) -> list[dict[str, Any]]:
    """Every point of the space, shuffled so that even a partial sweep samples the whole space.

    Raises UsageError for a space that is infinite, or too large to list.
    """
    try:
        points = list(islice(space.grid(), MOST_GRID_POINTS + 1))
    except ValueError as error:
        raise UsageError(f"{error} (--sampler grid)") from error
    if len(points) > MOST_GRID_POINTS:
        raise UsageError(f"the grid has more than {MOST_GRID_POINTS:,} points (--sampler grid)")
    random.Random(derive_seed(seed, "grid")).shuffle(points)
    return points
