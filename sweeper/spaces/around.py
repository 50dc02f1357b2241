"""Narrows a space around its best configurations, and writes it as a space file."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from sweeper.config import Configuration, Protocol, TrainConfig
from sweeper.config.training import AUTO
from sweeper.models.precision import Resolution
from sweeper.spaces.space import precision_follows
from sweeper.spaces.writer import table

# Digits of a new bound: it is for people, and lies inside the old range anyway.
DIGITS = 4


def narrowed(
    described: Mapping[str, Any],
    good: Sequence[Mapping[str, Any]],
    shrink: float,
    resolution: Resolution | None = None,
) -> dict[str, Any]:
    """The space, in the form of Space.describe, with less to search, and only the variants baseline and best.

    `good` are the searched values of the good configurations, the best first. A range shrinks to `shrink` of its width,
    on its own scale, around its value in the best configuration that has one, and stays inside the old range. Choices
    are those that good configurations use. What has one value left is fixed, and a parameter whose condition can no
    longer hold is left out. If the fixed values leave the precision open, it is left open again where the study's
    `resolution` gives it.
    """
    fixed = dict(described["fixed"])
    if not precision_follows(fixed):
        resolution = None
    parameters: dict[str, Any] = {}
    dropped: set[str] = set()
    for name, definition in described["parameters"].items():
        conditions = definition.get("when", {}).items()
        if not all(_can_be(key, wanted, fixed, parameters, dropped) for key, wanted in conditions):
            dropped.add(name)
            continue
        values = [values[name] for values in good if name in values]
        found = _narrower(definition, values, shrink)
        if isinstance(found, dict):
            parameters[name] = found
        elif "when" in definition:  # fixed, it would hold without its condition, too
            parameters[name] = {"type": "categorical", "choices": [found], "when": definition["when"]}
        else:
            fixed[name] = found
    variants = {"baseline": _reopened(described["variants"]["baseline"], resolution)}
    best = _plain(Configuration.from_values({**described["fixed"], **good[0]}).values())
    if best != _plain(variants["baseline"]):
        variants["best"] = best
    return {"fixed": fixed, "parameters": parameters, "variants": variants}


def space_text(described: Mapping[str, Any], protocol: Protocol, title: str, comment: str) -> str:
    """A space in the form of Space.describe as the text of a space file; `comment`, of any lines, comes first."""
    trained = {field.name for field in fields(TrainConfig)}
    own: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for name, value in {**described["fixed"], **described["parameters"]}.items():
        own["train" if name in trained else "model"][name] = value
    usual = _plain(Configuration.from_values(described["fixed"]).values())
    parts = ["\n".join(f"# {line}" for line in comment.splitlines())]
    parts += [table("space", {"title": title}), table("protocol", asdict(protocol))]
    parts += [table(name, values) for name, values in own.items() if values]
    for name, values in described["variants"].items():
        parts.append(table(f"variants.{name}", _own_values(_plain(values), usual)))
        usual = _plain(values)  # the others extend the baseline, which comes first
    return "\n\n".join(parts) + "\n"


def _reopened(values: Mapping[str, Any], resolution: Resolution | None) -> Mapping[str, Any]:
    """The values of a variant, with precision "auto" where it was that, or gives the same."""
    if resolution is None:
        return values
    left_open = {**values, "precision": AUTO}
    resolved = resolution(Configuration.from_values(left_open)).train.precision
    return left_open if resolved == values.get("precision") else values


def _can_be(
    key: str, wanted: Any, fixed: Mapping[str, Any], parameters: Mapping[str, Any], dropped: Collection[str]
) -> bool:
    """Whether a field can still have the value that a condition wants; a dropped parameter has none."""
    if key in parameters:
        return _plain(wanted) in _plain(parameters[key]["choices"])
    if key in dropped:
        return False
    values = Configuration.from_values(fixed).values()
    return key in values and bool(_plain(values[key]) == _plain(wanted))


def _narrower(definition: Mapping[str, Any], values: Sequence[Any], shrink: float) -> Any:
    """The parameter's definition with less to search, or the only value that is left."""
    if definition["type"] == "categorical":
        used = _plain(values)
        choices = [choice for choice in definition["choices"] if _plain(choice) in used] or definition["choices"]
        return choices[0] if len(choices) == 1 else {**definition, "choices": choices}
    low, high, step, log = (definition[word] for word in ("low", "high", "step", "log"))
    if values and low < high:
        ends = _around(values[0], low, high, shrink, log=log)
        if definition["type"] == "int" or step is not None:
            low, high = (_on_grid(end, values[0], low, high, step or 1) for end in ends)
        else:
            low, high = (max(low, min(high, float(f"{end:.{DIGITS}g}"))) for end in ends)
        low, high = min(low, values[0]), max(high, values[0])
    if low == high:
        return low
    return {word: value for word, value in definition.items() if value is not None} | {"low": low, "high": high}


def _around(best: float, low: float, high: float, shrink: float, *, log: bool) -> tuple[float, float]:
    """The range around the best value, on its scale."""
    scale, back = (math.log, math.exp) if log else (float, float)
    first, last = scale(low), scale(high)
    width = shrink * (last - first)
    start = min(max(scale(best) - width / 2, first), last - width)
    return back(start), back(start + width)


def _on_grid(value: float, best: Any, low: Any, high: Any, step: Any) -> Any:
    """The value of the grid, from `low` in steps, next to this one; an integer if the grid's are."""
    # In decimal arithmetic, as in Optuna: 0.1 + 2 * 0.1 is then 0.3.
    apart = Decimal(str(step))
    last = int((Decimal(str(high)) - Decimal(str(low))) / apart)
    number = min(max(round((value - low) / step), 0), last)
    return type(best)(Decimal(str(low)) + number * apart)


def _own_values(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What a variant must set: all that differs from what it inherits."""
    if values.get("family") != usual.get("family"):
        return dict(values)
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


def _plain(value: Any) -> Any:
    """A value as JSON has it: arrays become lists."""
    return json.loads(json.dumps(value))
