"""The verdict of a promotion, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.errors import shortened
from sweeper.evaluation.amounts import amount, number, signed, unit, with_interval
from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.comparisons import Comparison, bounded, shrinkage
from sweeper.promotion.finalists import Finalist
from sweeper.quantities import counted
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
    seeds = "with one seed" if n_seeds == 1 else f"with {n_seeds} seeds"
    head = (
        f"{_capital(label)} of this configuration ({champion.name}), trained on {100 * trained_share:.0f} % of the "
        f"training images {seeds}, on {counted(n_images, f'{part} image')}: {value}."
    )
    if low is not None and high is not None:
        sentences = [f"{head} The interval covers chance in the images and in the seeds."]
    elif n_seeds == 1:
        sentences = [f"{head} There is no interval, because one seed does not show how much other seeds differ."]
    else:
        sentences = [f"{head} There is no interval, because the result is the same for every image."]
    if part == "confirm":
        sentences[0] += " No choice was made on these images."
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
    sentences += _power(comparisons)
    shrunk = shrinkage(order, comparisons)
    if shrunk is not None:
        compared = next(c for c in comparisons if c.other == "baseline")
        seen = compared.difference
        promised = seen - shrunk if direction(metric) == "minimize" else seen + shrunk
        sentences.append(
            f"Champion minus baseline was {signed(metric, promised)} {unit(metric)} of validation {label} in the "
            f"search, and is {signed(metric, seen)} on the confirm images: {_became(metric, shrunk, compared)}."
        )
    return sentences


def _became(metric: str, shrunk: float, comparison: Comparison) -> str:
    """What became of the lead over the baseline since the search, as far as the comparison's interval tells."""
    size = number(metric, abs(shrunk), 1)
    if not float(size):
        return "the lead stayed the same"
    if comparison.low is None or comparison.high is None or abs(shrunk) <= (comparison.high - comparison.low) / 2:
        return "the change of the lead may be chance"
    return f"the lead {'shrank' if shrunk > 0 else 'grew'} by {size} {unit(metric)}"


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
    head = f"Champion minus {comparison.other} {signed(metric, comparison.difference)}"
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
    by_study, by_store = evaluations
    looks = f"tests on these images so far: {by_study} by this study, {by_store} in this store"
    if evaluations == (1, 1):
        looks = "the first and only test on these images in this store"
    head = f"{_capital(LABELS[metric])} of the refitted networks on {counted(n_images, 'test image')}: "
    head += f"{', '.join(values)} ({looks})."
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
    return [head, *said, *(_networks_sentence(comparison) for comparison in comparisons), *_power(comparisons)]


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
    """Which one is better, or "undecided"."""
    assert comparison.low is not None
    assert comparison.high is not None
    if comparison.decided:
        return f"the {'champion' if comparison.champion_leads else comparison.other} is better."
    if comparison.low <= 0 <= comparison.high:
        return "undecided, the difference may be chance."
    return "undecided, because the p-value and the interval disagree."


def _power(comparisons: Sequence[Comparison]) -> list[str]:
    """How large true differences must be for four of five such comparisons to find them, in a sentence for all."""
    measured = [one for one in comparisons if one.low is not None]
    often = "would be found in four of five such comparisons"

    def beside(one: Comparison) -> str:
        return f" (champion and {one.other})" * (len(comparisons) > 1)

    seen = [
        f"{number(one.metric, one.detectable, 1)} {unit(one.metric)}{beside(one)}"
        for one in measured
        if one.detectable is not None
    ]
    said = [f"Power: a true difference of {' or '.join(seen)} {often}, a smaller one more rarely."] if seen else []
    for one in measured:
        if one.detectable is not None or one.decided:
            continue
        if one.b is None or one.c is None:
            said.append(f"Power: no true difference, however large, {often}{beside(one)}.")
        else:  # of paired images, the formula takes the share on which the networks differ as it was observed
            n = one.b + one.c
            said.append(
                f"Power: only one of the two networks is right on {counted(n, 'image')}{beside(one)}, too few to "
                "say which true difference would be found."
            )
    return said


def interval(comparison: Comparison, decimals: int) -> str:
    """The interval of a comparison that has one, with its level if Holm's adjustment has widened the usual 95 %."""
    assert comparison.low is not None
    assert comparison.high is not None
    metric, level = comparison.metric, comparison.level
    ends = f"[{signed(metric, comparison.low, decimals)}, {signed(metric, comparison.high, decimals)}]"
    return ends if abs(level - 0.95) < 1e-9 else f"{ends} ({100 * level:.1f} %, for several comparisons)"


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
