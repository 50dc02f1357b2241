"""The verdict of a promotion: estimates and comparisons, as plain data and as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.evaluation.statistics import Adjusted, Estimate, PairedTest, holm, over_seeds_and_images, paired
from sweeper.promotion.finalists import Finalist

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """The champion's accuracy minus another finalist's, on one part of the data; shares of 1.

    On the confirm part (or the validation part, if there is no confirm part) it compares configurations, over seeds and
    images. On the test part it compares the two trained networks: only the champion is right on `b` images, only the
    other on `c` images. `p_adjusted` and the interval's `level` are adjusted by Holm's method over the comparisons on
    the same part. `decided` means that both show a difference. `detectable` is the smallest true difference that would
    be detected with a power of 80 %. Values that one seed cannot give are None.
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


def compare_configurations(part: str, order: Sequence[Finalist], correct: Mapping[int, Correct]) -> list[Comparison]:
    """Compares configurations over seeds and images; `correct` holds arrays (images, seeds) by trial."""
    champion = correct[order[0].trial].astype(np.int8)
    differences = [over_seeds_and_images(champion - correct[other.trial]) for _, other in family(order)]
    return _compared(part, order, differences)


def compare_networks(order: Sequence[Finalist], correct: Mapping[int, Correct]) -> list[Comparison]:
    """Compares the trained networks on the test part; `correct` holds arrays (images,) by trial."""
    champion = correct[order[0].trial]
    return _compared("test", order, [paired(champion, correct[other.trial]) for _, other in family(order)])


def _compared(part: str, order: Sequence[Finalist], tests: Sequence[Estimate | PairedTest]) -> list[Comparison]:
    p_values = [test.p_value() for test in tests]
    # The family was fixed beforehand, so a comparison without a p-value still counts in it.
    adjusted = holm([1.0 if p is None else p for p in p_values])
    return [
        _comparison(part, order[0], role, other, test, p, holm_result)
        for (role, other), test, p, holm_result in zip(family(order), tests, p_values, adjusted, strict=True)
    ]


def _comparison(
    part: str,
    champion: Finalist,
    role: str,
    other: Finalist,
    test: Estimate | PairedTest,
    p: float | None,
    adjusted: Adjusted,
) -> Comparison:
    low, high = test.interval(adjusted.level) or (None, None)
    detectable = test.detectable(adjusted.level)
    b, c = (test.b, test.c) if isinstance(test, PairedTest) else (None, None)
    return Comparison(
        part=part,
        other=role,
        trials=(champion.trial, other.trial),
        difference=test.difference if isinstance(test, PairedTest) else test.value,
        low=None if low is None else max(low, -1.0),
        high=None if high is None else min(high, 1.0),
        level=adjusted.level,
        p=p,
        p_adjusted=None if p is None else adjusted.p_value,
        # The score interval inverts another test than the mid-p test. Near the threshold the two can disagree; then
        # the comparison is undecided.
        decided=adjusted.decided and low is not None and high is not None and not low <= 0 <= high,
        # Shares cannot differ by more than 1, but the formula can give more for two seeds.
        detectable=detectable if detectable and detectable <= 1 else None,
        b=b,
        c=c,
    )


def bounded(estimate: Estimate) -> tuple[float | None, float | None]:
    """The 95 % interval of an accuracy, clipped to [0, 1]; (None, None) if the estimate has no interval."""
    low, high = estimate.interval() or (None, None)
    return (None, None) if low is None or high is None else (max(low, 0.0), min(high, 1.0))


def shrinkage(order: Sequence[Finalist], comparisons: Sequence[Comparison]) -> float | None:
    """The accuracy, as a share of 1, that luck added in the search to the champion's lead over the baseline.

    (search score of champion - of baseline) - (confirm of champion - of baseline), all accuracies. None without a
    confirm part, if the champion is the baseline, or if the search did not finish one of the two.
    """
    champion = order[0].search_accuracy
    baseline = next((finalist.search_accuracy for finalist in order if finalist.is_baseline), None)
    seen = next((c for c in comparisons if c.part == "confirm" and c.other == "baseline"), None)
    if champion is None or baseline is None or seen is None:
        return None
    return (champion - baseline) - seen.difference


def on_configurations(
    order: Sequence[Finalist],
    estimate: Estimate,
    part: str,
    n_images: int,
    n_seeds: int,
    trained_share: float,
    comparisons: Sequence[Comparison],
    dropped: Sequence[str] = (),
) -> list[str]:
    """The verdict on the configurations: the champion's `estimate` on `part`, then its comparisons.

    `dropped` has a sentence for each finalist without a result.
    """
    champion = order[0]
    value, (low, high) = f"{100 * estimate.value:.1f} %", bounded(estimate)
    trained = f"trained on {100 * trained_share:.0f} % of the pool"
    if low is not None and high is not None:
        sentences = [
            f"Estimated accuracy of this configuration ({champion.name}), {trained}, over images and {n_seeds} seeds: "
            f"{value} [{100 * low:.1f}, {100 * high:.1f}]."
        ]
    elif n_seeds == 1:
        sentences = [
            f"Accuracy of this configuration ({champion.name}), {trained} with one seed, on {n_images:,} images: "
            f"{value}. One seed says nothing of other seeds: no interval."
        ]
    else:
        sentences = [
            f"Accuracy of this configuration ({champion.name}), {trained}, over {n_seeds} seeds: {value}. "
            "Every image is right as often as every other: no interval."
        ]
    if part == "confirm":
        sentences[0] += " Confirm images chose nothing."
    else:
        sentences[0] += (
            " This study has no confirm part: these are the validation images that the search and the final chose on, "
            "and the estimate is flattered by that."
        )
    sentences += [f"{text}." for text in dropped]
    if len(order) == 1:
        sentences.append("The baseline is the only finalist: nothing is compared.")
    elif champion.is_baseline:
        sentences.append(
            "The baseline wins: with fresh seeds no other finalist was better than it on the validation part, or none "
            "that was could be told from it."
        )
    sentences += [_configurations_sentence(comparison) for comparison in comparisons]
    luck = shrinkage(order, comparisons)
    if luck is not None:
        seen = next(c for c in comparisons if c.other == "baseline").difference
        sentences.append(
            f"In the search the champion stood {points(seen + luck)} points from the baseline in validation accuracy, "
            f"on the confirm images {points(seen)}: a shrinkage of {points(luck)}."
        )
    return sentences


def _configurations_sentence(comparison: Comparison) -> str:
    head = f"Champion - {comparison.other} {points(comparison.difference)}"
    if comparison.low is None or comparison.high is None:
        return f"{head} points: undecided; without an interval no difference can be told from luck."
    head += f" [{points(comparison.low)}, {points(comparison.high)}]{_level(comparison)} points"
    return f"{head}: {_decision(comparison)}"


def on_networks(
    tested: Mapping[str, Mapping[str, Any]], comparisons: Sequence[Comparison], evaluations: tuple[int, int]
) -> list[str]:
    """The verdict on the trained networks; `tested` holds the fields of TestMetrics by name, nothing before a test."""
    if not tested:
        return []
    accuracies = [
        f"{name} {100 * f['accuracy']:.2f} % [{100 * f['low']:.2f}, {100 * f['high']:.2f}]"
        for name, f in tested.items()
    ]
    n_images = next(iter(tested.values()))["n"]
    counted = f"looks at these test data: {evaluations[0]} by this study, {evaluations[1]} in this store"
    head = f"Accuracy of the refitted networks on {n_images:,} test images: {', '.join(accuracies)} ({counted})."
    return [head, *(_networks_sentence(comparison) for comparison in comparisons)]


def _networks_sentence(comparison: Comparison) -> str:
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.p_adjusted is not None
    differ = "differ" if comparison.decided else "cannot be told apart"
    # Two decimals, because one image of 10,000 is 0.01 points.
    difference = f"{points(comparison.difference, 2)} [{points(comparison.low, 2)}, {points(comparison.high, 2)}]"
    difference += _level(comparison)
    return (
        f"These two trained networks, champion and {comparison.other}, {differ} on the test set: b = {comparison.b}, "
        f"c = {comparison.c}, p (Holm) {_p(comparison.p_adjusted)}; {difference} points: {_decision(comparison)}"
    )


def _decision(comparison: Comparison) -> str:
    """Which one is better, or "undecided", and the smallest difference that four of five such tests would detect."""
    low, high, detectable = comparison.low, comparison.high, comparison.detectable
    assert low is not None
    assert high is not None
    seen = None if detectable is None else f"{100 * detectable:.1f}"
    if comparison.decided:
        better = f"the {'champion' if comparison.difference > 0 else comparison.other} is better"
        return f"{better}; differences of {seen} and more are seen here four times in five." if seen else f"{better}."
    undecided = "undecided" if low <= 0 <= high else "undecided, as p and the interval disagree"
    if seen is None:
        return f"{undecided}; no true difference could have been relied on to show here."
    return f"{undecided}; differences below {seen} are invisible here."


def _level(comparison: Comparison) -> str:
    """The interval's level if it is not the usual 95 %: Holm's adjustment widens the first interval."""
    return "" if abs(comparison.level - 0.95) < 1e-9 else f" ({100 * comparison.level:.1f} %)"


def points(share: float, decimals: int = 1) -> str:
    """A difference in percentage points; the sign shows its side of 0 even if it rounds to 0."""
    return f"{100 * share:+.{decimals}f}" if share else f"{0:.{decimals}f}"


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"
