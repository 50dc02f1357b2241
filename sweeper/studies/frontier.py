"""A study's networks by score and by cost (parameters, multiply-adds or latency), and its Pareto front."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import optuna

from sweeper.config import ModelConfig
from sweeper.errors import SweeperError
from sweeper.evaluation.amounts import number, unit
from sweeper.models import families, layers
from sweeper.models.latency import deployed, milliseconds
from sweeper.plots import Plot
from sweeper.studies import network_input, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.objective import direction
from sweeper.studies.trial_records import TrialRecord

# Gives the milliseconds that a network takes for an image of this shape, with so many classes.
Measure = Callable[[ModelConfig, tuple[int, int, int], int], float]
Cost = Literal["parameters", "multiply_adds", "latency"]
COSTS: tuple[Cost, ...] = get_args(Cost)
# Each cost as people read it.
COST_LABELS = {"parameters": "parameters", "multiply_adds": "multiply-adds", "latency": "milliseconds an image"}
# What a plot needs of a point, besides its cost.
_DRAWN = ("trial", "value", "may_win", "on_front")
# Two scores that differ by fewer standard errors of their difference are not told apart: the usual 95 %.
N_ERRORS = 1.96


@dataclass(frozen=True)
class Point:
    """A network of the study: its trial, its validation score and its costs.

    A network is `on_front` if no other that may win is as good at less cost, or better at the same cost.
    """

    trial: int
    name: str
    value: float
    n_parameters: int
    n_multiply_adds: int | None
    milliseconds: float | None
    may_win: bool
    on_front: bool = False


@dataclass(frozen=True)
class Frontier:
    """The complete trials of a study by score and `cost`, the cheapest first, each configuration once.

    `noise` is the difference between two scores of one seed each below which they are not told apart, as far as it
    comes from the choice of the `n_images` validation images; None if it is not known for the study's metric.
    """

    metric: str
    cost: Cost
    points: Sequence[Point]
    n_images: int | None = None
    noise: float | None = None

    @property
    def front(self) -> list[Point]:
        """The points on the front, the cheapest first."""
        return [point for point in self.points if point.on_front]

    def as_json(self) -> dict[str, Any]:
        """The frontier as plain data."""
        return {"metric": self.metric, "cost": self.cost, "n_images": self.n_images, "noise": self.noise} | {
            "points": [asdict(point) for point in self.points]
        }


def of_study(
    study: optuna.Study,
    cost: Cost,
    measure: Measure = milliseconds,
    notify: Callable[[str], None] = lambda text: None,
) -> Frontier:
    """The frontier of a study; latencies are measured now, which takes about a tenth of a second a network.

    Raises SweeperError if the cost needs the size of the images, and an older version of sweeper did not store it.
    """
    trials, metric = trial_records.records(study), spec_of(study).metric
    try:
        found = network_input.of(study, trials)
    except SweeperError:
        if cost != "parameters":
            raise
        return frontier(trials, metric)
    if cost != "latency":
        return frontier(trials, metric, cost, found)
    notify("Measuring the networks one by one")
    return frontier(trials, metric, cost, found, lambda network: measure(network, found.input_shape, found.n_classes))


def frontier(
    trials: Sequence[TrialRecord],
    metric: str,
    cost: Cost = "parameters",
    found: NetworkInput | None = None,
    measure: Callable[[ModelConfig], float] | None = None,
) -> Frontier:
    """The frontier of a study's complete trials, whose networks take and give what `found` says.

    Multiply-adds are known only with `found`. `measure` gives the milliseconds that a network takes for an image; it is
    asked once for each network that differs in use. Raises ValueError if the cost needs what is not given.
    """
    points = []
    known: dict[ModelConfig, float] = {}
    for trial in _distinct(trials, metric):
        assert trial.configuration is not None
        assert trial.value is not None
        assert trial.n_parameters is not None
        model = trial.configuration.model
        network = deployed(model)
        if measure is not None and network not in known:
            known[network] = measure(network)
        n_multiply_adds = None
        if found is not None:
            n_multiply_adds = layers.n_multiply_adds(families.trace(model, found.input_shape, found.n_classes))
        points.append(
            Point(
                trial.number, trial.name, trial.value, trial.n_parameters, n_multiply_adds, known.get(network),
                trial.feasible,
            )
        )  # fmt: skip
    points = _with_front(points, metric, cost)
    n_images = found.n_images if found else None
    return Frontier(metric, cost, points, n_images, _noise(points, metric, n_images))


def plot(found: Frontier, roles: Mapping[int, str] | None = None) -> Plot:
    """The plot of a frontier that has points; `roles` names some of them, by trial."""
    points = [
        {"cost": cost_of(point, found.cost), **{name: value for name, value in asdict(point).items() if name in _DRAWN}}
        | ({"role": roles[point.trial]} if roles and point.trial in roles else {})
        for point in found.points
    ]
    arguments = {"metric": found.metric, "cost": found.cost, "direction": direction(found.metric), "noise": found.noise}
    return Plot("accuracy_and_cost", {"points": points, **arguments})


def sentence(found: Frontier) -> str:
    """How to read the front: which network is the cheapest whose score is not told apart from the best one."""
    front, metric = found.front, found.metric
    if not front:
        return "No network that may win has completed yet."
    best, seeds = front[-1], "each score is of one seed, and another seed changes it, too"
    if len(front) == 1:
        return f"{best.name} is the best network and the cheapest: no other is on the front."
    if found.noise is None:
        return f"Small gaps on the front may be chance: {seeds}."
    needed = (
        f"on {found.n_images:,} validation images, two scores are told apart from about "
        f"{number(metric, found.noise, 1)} {unit(metric)} on; {seeds}"
    )
    near = [point for point in front[:-1] if abs(best.value - point.value) <= found.noise]
    if not near:
        return f"The score of {best.name} is told apart from those of all cheaper networks on the front: {needed}."
    saved = 1 - cost_of(near[0], found.cost) / cost_of(best, found.cost)
    return (
        f"{near[0].name} is the cheapest whose score is not told apart from the best, that of {best.name}: "
        f"{number(metric, abs(best.value - near[0].value), 1)} {unit(metric)} apart, at {100 * saved:.0f} % less "
        f"({needed})."
    )


def _distinct(trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """The complete trials with a finite score, best first, each configuration once."""
    found: dict[str, TrialRecord] = {}
    for trial in trial_records.ranking(trials, metric):
        if trial.configuration is not None and trial.value is not None and math.isfinite(trial.value):
            found.setdefault(trial.configuration.key(), trial)
    return list(found.values())


def _with_front(points: Sequence[Point], metric: str, cost: Cost) -> list[Point]:
    """The points by cost, the better first at the same cost, with those marked that no other beats."""
    sign = 1 if direction(metric) == "maximize" else -1
    best, found = -math.inf, []
    for point in sorted(points, key=lambda p: (cost_of(p, cost), -sign * p.value, p.trial)):
        on_front = point.may_win and sign * point.value > best
        if on_front:
            best = sign * point.value
        found.append(replace(point, on_front=on_front))
    return found


def cost_of(point: Point, cost: Cost) -> float:
    """The point's cost of this kind. Raises ValueError if it was not measured."""
    found = {"parameters": point.n_parameters, "multiply_adds": point.n_multiply_adds, "latency": point.milliseconds}
    if (value := found[cost]) is None:
        raise ValueError(f"{point.name} has no {COST_LABELS[cost]}")
    return value


def _noise(points: Sequence[Point], metric: str, n_images: int | None) -> float | None:
    """N_ERRORS standard errors of the difference of two accuracies like the best one, on `n_images` each.

    The two networks classify the same images and mostly err on the same ones, so this is rather too large than too
    small for the images; what another seed would change comes on top. Other metrics have no such formula.
    """
    front = [point.value for point in points if point.on_front]
    if metric != "accuracy" or not n_images or not front:
        return None
    best = max(front)
    return N_ERRORS * math.sqrt(2 * best * (1 - best) / n_images)
