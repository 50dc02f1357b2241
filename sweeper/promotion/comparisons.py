"""Compares the finalists of a promotion in the study's metric, as plain data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeper.evaluation.amounts import is_share
from sweeper.evaluation.holm import Adjusted, holm
from sweeper.evaluation.statistics import Estimate, PairedTest
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.predictions import Predictions
from sweeper.studies.objective import direction


@dataclass(frozen=True)
class Comparison:
    """The champion's metric minus another finalist's, on one part of the data: a share of 1, or nats for the loss.

    On the confirm part (or the validation part, if there is no confirm part) it compares configurations, over seeds and
    images. On the test part it compares the two trained networks; of accuracies, only the champion is right on `b`
    images, only the other on `c` images. `p_adjusted` and the interval's `level` are adjusted by Holm's method over the
    comparisons on the same part. `decided` means that both show a difference. `detectable` is the smallest true
    difference that would be detected with a power of 80 %. Values that one seed cannot give are None.
    """

    part: str
    other: str
    trials: tuple[int, int]
    difference: float
    low: float | None
    high: float | None
    level: float
    p: float | None
    p_adjusted: float | None
    decided: bool
    detectable: float | None
    b: int | None = None
    c: int | None = None
    metric: str = "accuracy"

    @property
    def champion_leads(self) -> bool:
        """Whether the champion has the better value."""
        return (self.difference < 0) == (direction(self.metric) == "minimize")

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return {"first": "champion", "second": self.other, **{k: v for k, v in asdict(self).items() if k != "other"}}


def family(order: Sequence[Finalist]) -> list[tuple[str, Finalist]]:
    """The finalists that the champion is compared with: baseline and challenger, fixed before anything is measured."""
    champion, rest = order[0], order[1:]
    pairs = [("baseline", finalist) for finalist in rest if finalist.is_baseline]
    if rest and not rest[0].is_baseline:
        pairs.append(("challenger", rest[0]))
    assert all(finalist.trial != champion.trial for _, finalist in pairs)
    return pairs


def compare_configurations(
    part: str, order: Sequence[Finalist], predictions: Mapping[int, Predictions]
) -> list[Comparison]:
    """Compares configurations over seeds and images; `predictions` are by trial."""
    champion = predictions[order[0].trial]
    differences = [champion.minus(predictions[other.trial]) for _, other in family(order)]
    return compared(part, _sides(order), differences, champion.metric)


def compare_networks(order: Sequence[Finalist], predictions: Mapping[int, Predictions]) -> list[Comparison]:
    """Compares the trained networks on the test part; `predictions` are by trial, each of one network."""
    champion = predictions[order[0].trial]
    tests = [champion.network_minus(predictions[other.trial]) for _, other in family(order)]
    return compared("test", _sides(order), tests, champion.metric)


def compared(
    part: str,
    sides: Sequence[tuple[str, tuple[int, int]]],
    tests: Sequence[Estimate | PairedTest],
    metric: str,
    n_without: int = 0,
) -> list[Comparison]:
    """The comparisons of one family, one for each test: `sides` has the other's role, and both trials.

    `n_without` is how many more the family has, fixed beforehand, of which nothing could be measured.
    """
    p_values = [test.p_value() for test in tests]
    # The family was fixed beforehand, so a comparison without a p-value still counts in it.
    adjusted = holm([*(1.0 if p is None else p for p in p_values), *[1.0] * n_without])[: len(tests)]
    return [
        _comparison(part, metric, trials, role, test, p, holm_result)
        for (role, trials), test, p, holm_result in zip(sides, tests, p_values, adjusted, strict=True)
    ]


def _sides(order: Sequence[Finalist]) -> list[tuple[str, tuple[int, int]]]:
    return [(role, (order[0].trial, other.trial)) for role, other in family(order)]


def _comparison(
    part: str,
    metric: str,
    trials: tuple[int, int],
    role: str,
    test: Estimate | PairedTest,
    p: float | None,
    adjusted: Adjusted,
) -> Comparison:
    low, high = test.interval(adjusted.level) or (None, None)
    most = 1.0 if is_share(metric) else math.inf  # shares cannot differ by more than 1
    detectable = test.detectable(adjusted.level)
    b, c = (test.b, test.c) if isinstance(test, PairedTest) else (None, None)
    return Comparison(
        part=part,
        other=role,
        trials=trials,
        difference=test.difference if isinstance(test, PairedTest) else test.value,
        low=None if low is None else max(low, -most),
        high=None if high is None else min(high, most),
        level=adjusted.level,
        p=p,
        p_adjusted=None if p is None else adjusted.p_value,
        # The score interval inverts another test than the mid-p test. Near the threshold the two can disagree; then
        # the comparison is undecided.
        decided=adjusted.decided and low is not None and high is not None and not low <= 0 <= high,
        # The formula can give more than `most` for two seeds.
        detectable=detectable if detectable and detectable <= most else None,
        b=b,
        c=c,
        metric=metric,
    )


def bounded(estimate: Estimate, metric: str = "accuracy") -> tuple[float | None, float | None]:
    """The 95 % interval of a metric, within its range; (None, None) if the estimate has no interval."""
    low, high = estimate.interval() or (None, None)
    most = 1.0 if is_share(metric) else math.inf
    return (None, None) if low is None or high is None else (max(low, 0.0), min(high, most))


def shrinkage(order: Sequence[Finalist], comparisons: Sequence[Comparison]) -> float | None:
    """How much the champion's lead over the baseline has shrunk since the search, in the study's metric.

    (search score of champion - of baseline) - (confirm of champion - of baseline); the reverse for a loss, so that
    a lead that has shrunk is above 0. None without a confirm part, if the champion is the baseline, or if the search
    did not finish one of the two.
    """
    champion = order[0].score
    baseline = next((finalist.score for finalist in order if finalist.is_baseline), None)
    seen = next((c for c in comparisons if c.part == "confirm" and c.other == "baseline"), None)
    if champion is None or baseline is None or seen is None:
        return None
    lost = (champion - baseline) - seen.difference
    return -lost if direction(seen.metric) == "minimize" else lost
