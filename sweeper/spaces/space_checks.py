"""Checks a space as a whole: whether its networks can take the images, and whether its variants make sense."""

from collections.abc import Mapping

from sweeper.config import Configuration
from sweeper.errors import plain, refuse
from sweeper.spaces.feasibility import SHAPE_FIELDS, check_decayed_layers, check_network, unusable
from sweeper.spaces.space import Space
from sweeper.spaces.variants import variant_place


def check_space(space: Space, file: str, overridden: Mapping[str, str]) -> None:
    """Raises UsageError with file or override, table, key, rule and value.

    `overridden` has the place of each override by its key.
    """
    _check_shapes(space, file, overridden)
    _check_cycles(space, file, overridden)
    # Overrides may make variants equal.
    if not overridden:
        _check_variants_differ(space, file)


def _check_shapes(space: Space, file: str, overridden: Mapping[str, str]) -> None:
    """Refuses a variant whose network cannot take the images, and a choice that fits no network of the space."""
    if not space.datasets:
        return
    dataset = space.datasets[0]
    for variant in space.variants.values():
        try:
            check_decayed_layers(variant.configuration, check_network(variant.configuration.model, dataset))
        except ValueError as error:
            blamed = (*SHAPE_FIELDS, "weight_decay_layers")
            causes = [place for key, place in overridden.items() if key in blamed]
            refuse(str(error), ", ".join([variant_place(file, variant.name), *causes]))
    if misfit := unusable(space.fixed, space.parameters, dataset):
        name, reason = misfit
        refuse(reason, overridden.get(name) or f"{file}, [model]")


def _check_cycles(space: Space, file: str, overridden: Mapping[str, str]) -> None:
    """Refuses a variant whose momentum would rise and fall with the learning rate instead of against it."""
    for variant in space.variants.values():
        low, high = variant.configuration.train.momentum_low, variant.configuration.train.momentum_high
        if low > high:
            causes = [overridden[key] for key in ("momentum_low", "momentum_high") if key in overridden]
            refuse(
                f"momentum_low must be at most momentum_high, got {low!r} and {high!r}",
                ", ".join([variant_place(file, variant.name), *causes]),
            )


def _check_variants_differ(space: Space, file: str) -> None:
    names: dict[Configuration, str] = {}
    for name, variant in space.variants.items():
        first = names.setdefault(variant.configuration, name)
        if first != name:
            refuse(f"variants must differ, got {plain(first)} and {plain(name)} equal", f"{file}, [variants]")
