"""Decides whether a promotion's champion replaces the registered champion, and says why.

A registered champion of the same data and the same part is compared on what both promotions recorded of that part. It
stays unless the new estimate is at least as good in the metric of both studies. It also stays if the two cannot be
compared, or if a person chose it. `replace` overrules all of this.

A promotion chooses nothing on the confirm part, but between promotions the alias goes by it. So the best champion of
many promotions is estimated too high, as the best of many results always is.
"""

from typing import Any

import numpy as np

from sweeper.errors import first_line
from sweeper.evaluation.amounts import signed_with_interval, with_interval
from sweeper.evaluation.statistics import over_seeds_and_images
from sweeper.events import Listener, Note
from sweeper.studies.objective import LABELS, METRICS, direction
from sweeper.tracking.aliases import RegisteredVersion
from sweeper.tracking.registry import Registry

# What must be equal for a comparison, and how a message calls it.
SAME = {
    "data_sha256": "data",
    "classes": "classes",
    "input_shape": "image size",
    "split_sha256": "split",
    "part": "part",
}


def settle(
    registry: Registry, model: str, champion: str, challenger: str | None, *, replace: bool, listener: Listener
) -> list[str]:
    """Moves the aliases to these versions, or leaves them, and returns what to say of it; `listener` hears it first."""
    found = registry.champion(model)
    if found is None or found[0].version == champion:
        registry.set_aliases(model, champion, challenger)
        return []
    incumbent, by_hand = found
    new = registry.version(model, champion)
    told, is_lower = _compared(new, incumbent)
    old = incumbent.label(new.study, new.study_id)
    if by_hand:
        told = f"a person, and not sweeper, gave it the alias; {told}"
    stays = not replace and (by_hand or is_lower)
    if stays:
        sentence = f"The registered champion stays {old}: {told}. --replace gives the alias to version {champion}."
    else:
        despite = "because of --replace, although " if by_hand or is_lower else "because "
        sentence = f"Version {champion} replaces {old} as the registered champion, {despite}{told}."
    listener(Note(sentence))
    if not stays:
        registry.set_aliases(model, champion, challenger)
    return [sentence]


def _compared(new: RegisteredVersion, old: RegisteredVersion) -> tuple[str, bool]:
    """How the new version compares with the old one, in words, and whether it is lower or may be."""
    try:
        other = [name for key, name in SAME.items() if old.estimate.get(key) in (None, "") or _differ(new, old, key)]
        # Plain images have none, and older versions recorded none.
        if any(_differ(new, old, key) for key in ("conversions", "value_range")):
            other.append("reading of the images")
        metrics = {one.estimate.get("metric", "accuracy") for one in (new, old)}  # older versions had only this one
        if metrics - METRICS.keys() or len(metrics) > 1:
            other.append("metric")
        if other:
            return (
                f"the two cannot be compared, because the {other[0]} of their estimates differs or is not known",
                True,
            )
        part = f"the same {new.estimate['part']} images"
        if new.estimate.get("correct") and old.estimate.get("correct"):
            return _paired(new.estimate["correct"], old.estimate["correct"], part)
        return _by_intervals(metrics.pop(), new.estimate, old.estimate, part)
    except (ValueError, KeyError, TypeError) as error:
        return f"the two cannot be compared, because MLflow's record of them is damaged ({first_line(error)})", True


def _differ(new: RegisteredVersion, old: RegisteredVersion, key: str) -> bool:
    return bool(new.estimate.get(key) != old.estimate.get(key))


def _paired(new: Any, old: Any, part: str) -> tuple[str, bool]:
    n_seeds = min(len(new), len(old))
    correct = [
        np.array([[int(image) for image in seed] for seed in seeds[:n_seeds]], np.int8).T for seeds in (new, old)
    ]
    difference = over_seeds_and_images(correct[0] - correct[1])
    interval = difference.interval()
    low, high = interval or (None, None)
    shown = signed_with_interval("accuracy", difference.value, low, high)
    text = f"on {part}, new minus registered champion is {shown} points of accuracy"
    if low is None or high is None:
        return f"{text}, without an interval: undecided", difference.value < 0
    decision = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return f"{text}: {decision}", difference.value < 0


def _by_intervals(metric: str, new: Any, old: Any, part: str) -> tuple[str, bool]:
    """Compares two estimates whose images are not known one by one: only intervals that are apart decide."""
    decision, smaller = "undecided", direction(metric) == "minimize"
    if None not in (new["low"], old["low"]):
        above, below = new["low"] > old["high"], new["high"] < old["low"]
        if above or below:
            decision = "better" if below == smaller else "worse"
    shown = " and ".join(with_interval(metric, one[metric], one["low"], one["high"], 1) for one in (new, old))
    of = "" if metric == "accuracy" else f" of {LABELS[metric]}"
    is_worse = new[metric] > old[metric] if smaller else new[metric] < old[metric]
    said = f"on {part}, the estimates{of} are {shown} for the new and the registered champion: {decision}"
    return said, bool(is_worse)
