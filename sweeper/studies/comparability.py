"""Whether the scores of two studies are of the same kind: measured on the same images, in the same way."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sweeper.config import ModelConfig, Protocol
from sweeper.images.options import TOLD_BY_CONVERSIONS
from sweeper.studies.spec import RunSpec, StudySpec

# What must be equal, so that a score of one study means the same in another; the broadest comes first.
SCORES = ("data", "reading of the images", "metric", "split")
# What makes a score of the same configuration higher or lower: the protocol, without the sizes of the split's parts.
EFFORT = tuple(field.name for field in fields(Protocol) if field.name not in ("validation", "confirm"))


def conditions(spec: StudySpec) -> dict[str, Any]:
    """What the study's scores depend on, besides configurations and seeds, by the names of SCORES and EFFORT."""
    options = spec.data_options.as_json()
    reading = {name: value for name, value in options.items() if name not in TOLD_BY_CONVERSIONS}
    return {
        "data": f"{spec.dataset} {spec.data_sha256[:12]}",
        "reading of the images": [reading, list(spec.conversions)],
        "metric": f"{spec.metric} of an older version" if spec.has_old_scores else spec.metric,
        "split": spec.split_sha256[:12],
        **{name: getattr(spec.protocol, name) for name in EFFORT},
    }


def start_alike(model: ModelConfig, first: RunSpec, second: RunSpec) -> bool:
    """Whether a network starts from the same weights in both studies: random ones, or files of one hash."""
    one, other = (spec.pretrained.get(model.weights, {}) for spec in (first, second))
    return one.get("sha256") == other.get("sha256")


def differing(specs: Mapping[str, StudySpec]) -> dict[str, dict[str, Any]]:
    """Those of SCORES and EFFORT in which the studies differ, each with its value by study."""
    found = {name: conditions(spec) for name, spec in specs.items()}
    return {
        what: {name: one[what] for name, one in found.items()}
        for what in (*SCORES, *EFFORT)
        if len({repr(one[what]) for one in found.values()}) > 1
    }
