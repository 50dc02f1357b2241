"""Compares specs: what of a stored spec decides the results, and in what two specs differ."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sweeper.config import Configuration
from sweeper.config.training import AUTO
from sweeper.images.options import TOLD_BY_CONVERSIONS, with_fit
from sweeper.studies.spec import RunSpec, StudySpec

# The keys of the stored form whose values only the data can tell.
OF_THE_DATA = ("data_sha256", "conversions", "split_sha256", "mean", "std", "fold_scalings")
# Those that another reading of the same files changes.
OF_THE_PIXELS = OF_THE_DATA[1:]


def decisive(spec: RunSpec) -> dict[str, Any]:
    """The stored form without the options that changed no pixel, or whose changes `conversions` tells."""
    stored = spec.as_json()
    return _without(stored, {*TOLD_BY_CONVERSIONS, *_of_bad_files(stored)})


def first_difference(
    stored: Mapping[str, Any], spec: StudySpec, unknown: Collection[str] = ()
) -> tuple[str, Any, Any] | None:
    """The first field that differs, as (dotted name, stored value, value of `spec`); None if the specs are equal.

    Keys that are `unknown` of `spec` are not compared, and options only if they may have changed a pixel. A variant's
    field that an older sweeper did not know counts as its default.
    """
    before, now = (_with_all_fields(form) for form in (with_fit(stored), spec.as_json()))
    _close_precisions(now, before)
    told = TOLD_BY_CONVERSIONS if before.get("conversions", []) == now.get("conversions", []) else ()
    ignored = {*unknown, *told, *_of_bad_files(before)}
    return _difference(_without(before, ignored), _without(now, ignored), "")


def _with_all_fields(form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with all fields of each variant: a field that an older sweeper did not know had its default."""
    space = form.get("space", {})
    if not space.get("variants"):
        return dict(form)
    variants = {name: Configuration.from_values(values).values() for name, values in space["variants"].items()}
    full: dict[str, Any] = json.loads(json.dumps({**form, "space": {**space, "variants": variants}}))
    return full


def _close_precisions(now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Gives variants of `now` whose precision is still open, because their images are not known, that of `before`."""
    known = before.get("space", {}).get("variants", {})
    for name, values in now["space"].get("variants", {}).items():
        if values.get("precision") == AUTO and name in known:
            values["precision"] = known[name]["precision"]


def _of_bad_files(stored: Mapping[str, Any]) -> tuple[str, ...]:
    """The options that only say which files are refused: those that are left out must stay the same."""
    return () if stored.get("skip_bad") else ("max_pixels",)


def _without(form: Mapping[str, Any], ignored: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if key not in ignored}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any], path: str) -> tuple[str, Any, Any] | None:
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            return _difference(old, new, f"{path}{key}.") or (f"{path}{key}", old, new)
        return f"{path}{key}", old, new
    return None
