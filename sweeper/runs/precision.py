"""Settles what precision "auto" stands for in a study or a training by itself, by the processor that trains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweeper.config import Configuration
from sweeper.config.training import AUTO, TrainConfig
from sweeper.engine.execution import Execution
from sweeper.engine.start import processor_of
from sweeper.events import State
from sweeper.models.precision import PrecisionRule, Resolution, rule_of
from sweeper.spaces.space import Space

Images = tuple[tuple[int, int, int], int]  # their shape (channels, height, width), and the number of classes


@dataclass(frozen=True)
class Settled:
    """The space of a study with its precisions settled, and the execution whose processors they are for.

    `rule` is StudySpec.precision_rule, and `told` says in words what "auto" stands for; both are empty if it stands
    nowhere. `refusal` says why nothing more may be trained here: the study has the rule of another processor.
    """

    space: Space
    execution: Execution
    rule: str = ""
    told: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class SettledTraining:
    """The configuration of a training by itself with its precision settled, and the execution that it is for.

    `told` says in words what "auto" stands for; it is empty if it stands nowhere.
    """

    configuration: Configuration
    execution: Execution
    told: str = ""


def of_study(
    space: Space, execution: Execution, images: Images | None, stored: Mapping[str, Any], name: str
) -> Settled:
    """Settles the precisions of the study `name` by its rule, or by this execution's processors if it is new.

    `stored` is the study's stored spec, empty if it is new. Without `images` only the space of a new one stays open. A
    study that was begun in float32, before its space said "auto", goes on in float32.
    """
    if not space.leaves_precision_open:
        return Settled(space, execution)
    if stored and not stored.get("precision_rule"):
        return _as_begun(space, execution, stored)
    refusal = ""
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
            refusal = (
                f'study {name} cannot go on here: its precision "{AUTO}" is {begun}, and by this machine\'s processor '
                f"it would be {rule}; go on where it began, or give --new --set precision=float32 for a study that any "
                "machine can go on with"
            )
        rule = begun  # another version of sweeper may have another bound
    if execution.engine == "ray":
        execution = replace(execution, required_processor=kind)
    if images is not None:
        space = space.resolved(Resolution(rule, *images))
    elif stored:
        space = space.with_precision(space.fixed.get("precision"), _known(stored))
    return Settled(space, execution, str(rule), f'Precision "{AUTO}": {rule}', refusal)


def of_training(
    configuration: Configuration,
    execution: Execution,
    images: Images,
    state_of: Callable[[Configuration], State | None],
) -> SettledTraining:
    """Settles the precision of a training by itself, by this execution's processors unless it was interrupted before.

    `state_of` says whether the training with a settled configuration is complete or was interrupted (or None). One that
    was interrupted in float32 goes on in it, since older versions of sweeper, and other processors, begin it so. The
    other way round, bfloat16 may have been asked for by name, and is not what "auto" means here.
    """
    if configuration.train.precision != AUTO:
        return SettledTraining(configuration, execution)
    kind = processor_of(execution)
    rule = rule_of(kind)
    usual = Resolution(rule, *images)(configuration)
    here, began = usual.train.precision, TrainConfig.precision
    older = replace(usual, train=replace(usual.train, precision=began))
    if here != began and state_of(usual) is None and state_of(older) == State.INTERRUPTED:
        told = f"Precision: {began}, as this training began; --set precision={here} trains it anew as a new one would"
        return SettledTraining(older, execution, told)
    if execution.engine == "ray":
        execution = replace(execution, required_processor=kind)
    return SettledTraining(usual, execution, f'Precision "{AUTO}": {usual.train.precision} ({rule})')


def _as_begun(space: Space, execution: Execution, stored: Mapping[str, Any]) -> Settled:
    described = stored.get("space", {})
    fixed = described.get("fixed", {}).get("precision")
    if (fixed or TrainConfig.precision) != TrainConfig.precision:
        return Settled(space, execution)  # begun with a choice of the user's: another space
    told = f'Precision: {TrainConfig.precision}, as the study began; new studies of this space have "{AUTO}"'
    return Settled(space.with_precision(fixed, _known(stored)), execution, told=told)


def _known(stored: Mapping[str, Any]) -> dict[str, str]:
    """The precisions of the study's variants, by name."""
    variants = stored.get("space", {}).get("variants", {}).items()
    return {name: values["precision"] for name, values in variants if "precision" in values}
