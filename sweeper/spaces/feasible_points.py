"""Refuses, before anything is trained, a search that provably has no feasible configuration."""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sweeper.config import MODEL_FAMILIES, Configuration, ModelConfig
from sweeper.errors import UsageError, plain, shortened
from sweeper.models import layers
from sweeper.models.limits import NetworkLimits
from sweeper.spaces.feasibility import trace
from sweeper.spaces.parameter import Parameter
from sweeper.spaces.space import Space

# Random configurations to try first: of most spaces, one of the first few is feasible.
N_DRAWS = 300
# The most networks to list for a proof, which takes 3 s of arithmetic; of networks that must be built, far fewer.
MOST_NETWORKS = 20_000
MOST_BUILT = 300


@dataclass
class _Attempt:
    """A search for one feasible configuration; remembers the smallest networks and why others are impossible.

    A configuration is feasible if its network can take images of `input_shape` (channels, height, width) and keeps the
    `limits` that arithmetic can tell: a latency has to be measured.
    """

    input_shape: tuple[int, int, int]
    n_classes: int
    limits: NetworkLimits
    smallest: int | None = None
    fewest: int | None = None
    impossible: str = ""

    def succeeds(self, configurations: Iterable[Configuration]) -> bool:
        """Whether one of them is feasible; those after it are not tried."""
        return any(map(self._is_feasible, configurations))

    def reasons(self) -> str:
        """Why none was feasible."""
        found = []
        if self.smallest is not None and self.limits.max_params is not None:
            found.append(f"the smallest has {self.smallest:,} parameters")
        if self.fewest is not None and self.limits.max_madds is not None:
            found.append(f"the fewest multiply-adds are {self.fewest:,}")
        found += [f"some cannot take the images: {self.impossible}" if found else self.impossible] * bool(
            self.impossible
        )
        return "; ".join(found)

    def _is_feasible(self, configuration: Configuration) -> bool:
        try:
            network = trace(configuration, self.input_shape, self.n_classes)
        except ValueError as error:
            self.impossible = self.impossible or shortened(str(error))
            return False
        n_parameters, n_multiply_adds = layers.n_parameters(network), layers.n_multiply_adds(network)
        self.smallest = min(n_parameters, self.smallest or n_parameters)
        self.fewest = min(n_multiply_adds, self.fewest or n_multiply_adds)
        return not self.limits.exceeded(n_parameters, n_multiply_adds)


def check_feasible(
    space: Space, input_shape: tuple[int, int, int], n_classes: int, limits: NetworkLimits, *, variants_only: bool
) -> str:
    """Raises UsageError if no network of the space, or with `variants_only` no variant, can take the images and win.

    A network over one of the `limits` cannot win; that of latency is not checked here. A space of more than
    MOST_NETWORKS networks is not tried whole: if no variant and no random configuration is feasible, returns a sentence
    that says so, and otherwise "".
    """
    attempt, given = _Attempt(input_shape, n_classes, limits), replace(limits, max_latency=None).options()
    if attempt.succeeds(variant.configuration for variant in space.variants.values()):
        return ""
    tried = "no variant"
    if not variants_only:
        rng = random.Random(0)
        if attempt.succeeds(space.suggest(_Draw(rng)) for _ in range(N_DRAWS)):
            return ""
        networks = _networks(space)
        if networks is None:
            fits = f"fits {given}" if given else "can take the images"
            return (
                f"Warning: no variant and none of {N_DRAWS} drawn configurations {fits}: {attempt.reasons()}; the "
                "space has too many networks to try them all, so the search may find none"
            )
        if attempt.succeeds(networks):
            return ""
        tried = "no network"
    raise UsageError(
        f"{tried} of space {plain(space.name)} is feasible: {attempt.reasons()}{f' ({given})' if given else ''}"
    )


def _networks(space: Space) -> Iterator[Configuration] | None:
    """The networks of the space, with default values for what changes no layer; None if they are too many to list."""
    axes = _axes(space)
    n_values = [parameter.n_values for parameter in axes.values()]
    most = MOST_BUILT if _is_own(space) else MOST_NETWORKS
    if None in n_values or math.prod(n or 1 for n in n_values) > most:
        return None
    reduced = replace(space, parameters=axes)
    return (Configuration.from_values({**space.fixed, **reduced.decode(point)}) for point in reduced.grid())


def _axes(space: Space) -> dict[str, Parameter]:
    """The parameters that change a network's layers or their names, and those that their conditions refer to.

    A field of the network with infinitely many values, such as a dropout rate, changes no layer, but an argument of a
    user's network may.
    """
    wanted: set[str] = set()
    # In reverse order, because conditions refer to earlier parameters.
    for name, parameter in reversed(list(space.parameters.items())):
        shapes = parameter.table == "model" or name == "weight_decay_layers"
        if name in wanted or (shapes and (parameter.n_values is not None or _is_own(space))):
            wanted |= {name, *parameter.when}
    return {name: parameter for name, parameter in space.parameters.items() if name in wanted}


def _is_own(space: Space) -> bool:
    return space.fixed.get("family", ModelConfig.family) not in MODEL_FAMILIES


class _Draw:
    """Draws values uniformly, in place of a trial."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._rng.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return self._rng.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._rng.choice(choices)
