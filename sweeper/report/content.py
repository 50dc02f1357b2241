"""A report on a study, as plain data: the page, the Markdown and the JSON are made from it and from nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.report.blocks import Section

SCHEMA_VERSION = 1
# How a file begins that `sweeper report` has written, whatever its form.
GENERATOR = "sweeper report"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report; `study` says of which study, when it was made, and whether the study was still running then."""

    study: Mapping[str, Any]
    answer: Section
    trials: Section
    importance: Section
    ablation: Section
    frontier: Section
    networks: Section
    data: Section
    provenance: Section

    @property
    def sections(self) -> list[tuple[str, Section, list[Section]]]:
        """The sections in order, each with its name in addresses and the sections that are parts of it."""
        return [
            ("answer", self.answer, []),
            ("trials", self.trials, []),
            ("importance", self.importance, [self.ablation]),
            ("frontier", self.frontier, []),
            ("networks", self.networks, []),
            ("data", self.data, []),
            ("provenance", self.provenance, []),
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as one object of JSON values."""
        found: dict[str, Any] = _finite({
            "generator": GENERATOR,
            "schema_version": SCHEMA_VERSION,
            "study": dict(self.study),
            **{
                name: getattr(self, name).as_json()
                for name in (
                    "answer", "trials", "importance", "ablation", "frontier", "networks", "data", "provenance",
                )
            },
        })  # fmt: skip
        return found


def _finite(value: Any) -> Any:
    """The value with null for each number that JSON lacks: a score may be NaN."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
