"""Settles what precision "auto" stands for in a study or a training by itself, by the processor that trains."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweeper.config import Configuration
from sweeper.config.training import AUTO, TrainConfig
from sweeper.engine.execution import Execution
from sweeper.engine.start import processor_of
from sweeper.errors import UsageError
from sweeper.models.precision import PrecisionRule, Resolution, rule_of
from sweeper.spaces.space import Space

Images = tuple[tuple[int, int, int], int]  # their shape (channels, height, width), and the number of classes


@dataclass(frozen=True)
class Settled:
    """The space of a study with its precisions settled, and the execution whose processors they are for.

    `rule` is StudySpec.precision_rule, and `told` says in words what "auto" stands for; both are empty if it stands
    nowhere.
    """

    space: Space
    execution: Execution
    rule: str = ""
    told: str = ""


def of_study(
    space: Space, execution: Execution, images: Images | None, stored: Mapping[str, Any], name: str
) -> Settled:
    """Settles the precisions of the study `name` by its rule, or by this execution's processors if it is new.

    `stored` is the study's stored spec, empty if it is new. Without `images` the space stays open. A study that was
    begun in float32, before its space said "auto", goes on in float32. Raises UsageError for a study with the rule of
    another processor.
    """
    if not space.leaves_precision_open:
        return Settled(space, execution)
    if stored and not stored.get("precision_rule"):
        return _as_begun(space, execution, stored)
    kind = "" if stored and execution.engine == "ray" else processor_of(execution)
    rule = rule_of(kind)
    if stored:
        try:
            begun = PrecisionRule.parse(stored["precision_rule"])
        except ValueError:  # damaged: reading the study says so
            begun = rule
        if execution.engine == "ray":  # the study's processor is the only one that trains it there
            rule = begun
        elif begun.instructions != rule.instructions:
            raise UsageError(
                f'study {name} cannot go on here: its precision "{AUTO}" is {begun}, and by this machine\'s processor '
                f"it would be {rule}; go on where it began, or give --new --set precision=float32 for a study that any "
                "machine can go on with"
            )
        rule = begun  # another version of sweeper may have another bound
    if execution.engine == "ray":
        execution = replace(execution, required_processor=kind)
    if images is not None:
        space = space.resolved(Resolution(rule, *images))
    return Settled(space, execution, str(rule), f'Precision "{AUTO}": {rule}')


def of_training(configuration: Configuration, execution: Execution, images: Images) -> tuple[Configuration, str]:
    """The configuration with its precision settled, and what "auto" stands for, in words; "" if it names one."""
    if configuration.train.precision != AUTO:
        return configuration, ""
    rule = rule_of(processor_of(execution))
    resolved = Resolution(rule, *images)(configuration)
    return resolved, f'Precision "{AUTO}": {resolved.train.precision} ({rule})'


def _as_begun(space: Space, execution: Execution, stored: Mapping[str, Any]) -> Settled:
    described = stored.get("space", {})
    fixed = described.get("fixed", {}).get("precision")
    if (fixed or TrainConfig.precision) != TrainConfig.precision:
        return Settled(space, execution)  # begun with a choice of the user's: another space
    variants = described.get("variants", {}).items()
    known = {name: values["precision"] for name, values in variants if "precision" in values}
    told = f'Precision: {TrainConfig.precision}, as the study began; new studies of this space have "{AUTO}"'
    return Settled(space.with_precision(fixed, known), execution, told=told)
