"""The verdict of a promotion, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.errors import shortened
from sweeper.evaluation.amounts import amount, number, signed, unit, with_interval
from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.comparisons import Comparison, bounded, shrinkage
from sweeper.promotion.finalists import Finalist
from sweeper.studies.findings import beats, in_words
from sweeper.studies.objective import LABELS, direction


def on_configurations(
    order: Sequence[Finalist],
    estimate: Estimate,
    part: str,
    n_images: int,
    n_seeds: int,
    trained_share: float,
    comparisons: Sequence[Comparison],
    dropped: Sequence[str] = (),
    metric: str = "accuracy",
    constant: Constant | None = None,
    only_classes: Sequence[str] = (),
) -> list[str]:
    """The verdict on the configurations: the champion's `estimate` on `part`, then its comparisons.

    `metric` is the study's, `constant` what always saying one class scores on the part. `only_classes` has the only
    class that each of the champion's networks gives to every image of the part, if each gives only one. `dropped` has a
    sentence for each finalist without a result.
    """
    champion = order[0]
    label, (low, high) = LABELS[metric], bounded(estimate, metric)
    value = with_interval(metric, estimate.value, low, high, 1)
    trained = f"trained on {100 * trained_share:.0f} % of the training images"
    if low is not None and high is not None:
        sentences = [
            f"Estimated {label} of this configuration ({champion.name}), {trained}, over images and {n_seeds} seeds: "
            f"{value}."
        ]
    elif n_seeds == 1:
        sentences = [
            f"{_capital(label)} of this configuration ({champion.name}), {trained} with one seed, on {n_images:,} "
            f"images: {value}. There is no interval, because one seed does not show how much other seeds differ."
        ]
    else:
        sentences = [
            f"{_capital(label)} of this configuration ({champion.name}), {trained}, over {n_seeds} seeds: {value}. "
            + "There is no interval, because the result is the same for every image."
        ]
    if part == "confirm":
        sentences[0] += " No choice was made on these confirm images."
    else:
        sentences[0] += (
            " This study has no confirm part: the search and the promotion chose by the same validation images, so "
            "the estimate is better than the truth."
        )
    sentences += _constant_sentences(estimate.value, metric, constant, only_classes)
    sentences += [f"{text}." for text in dropped]
    if len(order) == 1:
        sentences.append("The baseline is the only finalist: nothing is compared.")
    elif champion.is_baseline:
        sentences.append(
            "The baseline wins: with fresh seeds no other finalist was better on the validation images, or not by more "
            "than chance explains."
        )
    sentences += [_configurations_sentence(comparison) for comparison in comparisons]
    shrunk = shrinkage(order, comparisons)
    if shrunk is not None:
        seen = next(c for c in comparisons if c.other == "baseline").difference
        promised = seen - shrunk if direction(metric) == "minimize" else seen + shrunk
        sentences.append(
            f"Champion - baseline was {signed(metric, promised)} {unit(metric)} of validation {label} in the search, "
            f"and is {signed(metric, seen)} on the confirm images: the lead {_changed(metric, -shrunk)}."
        )
    return sentences


def _changed(metric: str, growth: float) -> str:
    """What became of a lead that has grown by so much, or has shrunk if the growth is negative."""
    size = number(metric, abs(growth), 1)
    if not float(size):
        return "stayed the same"
    return f"{'grew' if growth > 0 else 'shrank'} by {size} {unit(metric)}"


def _constant_sentences(value: float, metric: str, constant: Constant | None, only_classes: Sequence[str]) -> list[str]:
    """What a predictor that ignores the image would reach on the same images, and whether the champion is one."""
    sentences = []
    if only_classes:
        classes = " or ".join(shortened(repr(name)) for name in only_classes)
        sentences.append(
            f"The champion is a constant predictor: each of its networks says {classes} of every one of these images."
        )
    if constant is not None:
        no_better = "" if beats(metric, value, constant) else ": the champion is no better"
        score = amount(metric, constant.score, 1)
        sentences.append(f"{in_words(metric, constant)} would reach {score} on these images{no_better}.")
    return sentences


def _configurations_sentence(comparison: Comparison) -> str:
    metric = comparison.metric
    head = f"Champion - {comparison.other} {signed(metric, comparison.difference)}"
    if comparison.low is None or comparison.high is None:
        return f"{head} {unit(metric)}: undecided; without an interval, the difference may be chance."
    return f"{head} {interval(comparison, 1)} {unit(metric)}: {_decision(comparison)}"


def on_networks(
    tested: Mapping[str, Mapping[str, Any]], comparisons: Sequence[Comparison], evaluations: tuple[int, int]
) -> list[str]:
    """The verdict on the trained networks; `tested` holds the fields of TestMetrics by name, nothing before a test.

    Tests of older versions were in accuracy.
    """
    if not tested:
        return []
    first = next(iter(tested.values()))
    metric, n_images = first.get("metric", "accuracy"), first["n"]
    values = [f"{name} {_tested_value(metric, fields)}" for name, fields in tested.items()]
    counted = f"tests on these images so far: {evaluations[0]} by this study, {evaluations[1]} in this store"
    head = f"{_capital(LABELS[metric])} of the refitted networks on {n_images:,} test images: {', '.join(values)} "
    head += f"({counted})."
    said = []
    if "constant" in first:  # tests of older versions lack it
        constant = Constant(**first["constant"])
        names = [name for name, fields in tested.items() if not beats(metric, fields[metric], constant)]
        no_better = f": {', '.join(names)} {'are' if len(names) > 1 else 'is'} no better" if names else ""
        said = [f"{in_words(metric, constant)} would reach {amount(metric, constant.score, 2)} on them{no_better}."]
    said += [
        f"The network of the {name} is a constant predictor: it says {shortened(repr(fields['only_class']))} of every "
        "test image."
        for name, fields in tested.items()
        if fields.get("only_class") is not None
    ]
    return [head, *said, *(_networks_sentence(comparison) for comparison in comparisons)]


def _networks_sentence(comparison: Comparison) -> str:
    if comparison.p_adjusted is None:
        return (
            f"These two trained networks, champion and {comparison.other}, cannot be told apart on the test set: "
            f"their {LABELS[comparison.metric]} differs by {signed(comparison.metric, comparison.difference, 2)} "
            f"{unit(comparison.metric)}, without an interval."
        )
    differ = "differ" if comparison.decided else "cannot be told apart"
    metric, counts = comparison.metric, ""
    if comparison.b is not None:
        counts = (
            f"only the champion is right on {comparison.b:,} images, only the {comparison.other} on {comparison.c:,}; "
        )
    # Two decimals, because one image of 10,000 is 0.01 points.
    difference = f"{signed(metric, comparison.difference, 2)} {interval(comparison, 2)} {unit(metric)}"
    return (
        f"These two trained networks, champion and {comparison.other}, {differ} on the test set: {counts}p "
        f"{_p(comparison.p_adjusted)} after Holm's adjustment; {difference}: {_decision(comparison)}"
    )


def _decision(comparison: Comparison) -> str:
    """Which one is better, or "undecided", and the smallest difference that four of five such tests would detect."""
    low, high, detectable = comparison.low, comparison.high, comparison.detectable
    assert low is not None
    assert high is not None
    seen = None if detectable is None else f"{number(comparison.metric, detectable, 1)} {unit(comparison.metric)}"
    often = "in four of five comparisons like this one"
    if comparison.decided:
        better = f"the {'champion' if comparison.champion_leads else comparison.other} is better"
        return f"{better}; a true difference of {seen} is detected {often}." if seen else f"{better}."
    undecided = "undecided" if low <= 0 <= high else "undecided, because the p-value and the interval disagree"
    if seen is None:
        return f"{undecided}; no true difference, however large, would be detected {often}."
    return f"{undecided}; a true difference of {seen} would be detected {often}, a smaller one more rarely."


def interval(comparison: Comparison, decimals: int) -> str:
    """The interval of a comparison that has one, with its level if Holm's adjustment has widened the usual 95 %."""
    assert comparison.low is not None
    assert comparison.high is not None
    metric, level = comparison.metric, comparison.level
    ends = f"[{signed(metric, comparison.low, decimals)}, {signed(metric, comparison.high, decimals)}]"
    return ends if abs(level - 0.95) < 1e-9 else f"{ends} ({100 * level:.1f} %)"


def _tested_value(metric: str, fields: Mapping[str, Any]) -> str:
    """A tested network's value in the study's metric, with its interval."""
    if metric not in fields:  # an older sweeper tested it, and compared accuracies
        metric = "accuracy"
    # Older test results have bounds of the accuracy only.
    names = ("low", "high") if metric == "accuracy" else ("metric_low", "metric_high")
    low, high = (fields.get(name) for name in names)
    return with_interval(metric, fields[metric], low, high)


def _capital(label: str) -> str:
    return label[0].upper() + label[1:]


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"
