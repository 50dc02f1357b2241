"""Sets the champion's choices back to the baseline's, one at a time, as far as that gives a network and a training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from sweeper.config import Configuration, TrainConfig, shortly
from sweeper.promotion.effects import is_drawn, is_effective
from sweeper.promotion.finalists import Finalist
from sweeper.spaces import feasibility

# Most choices that are set back together to find a valid configuration: more are another network, not one choice less.
MOST_TOGETHER = 4


@dataclass(frozen=True, kw_only=True)
class SetBack:
    """The champion with a choice set back: `values` has its and the baseline's value of each field of the choice.

    There are several such fields if none of them can be set back without the others. `along` has the same of the fields
    that only mean something with one of the two values. `configuration` is None if the choice cannot be set back;
    `refused` then says why.
    """

    values: Mapping[str, tuple[Any, Any]]
    along: Mapping[str, tuple[Any, Any]]
    configuration: Configuration | None
    epochs: int
    refused: str = ""

    @property
    def name(self) -> str:
        """The choice's field, or its fields with commas between them."""
        return ", ".join(self.values)

    @property
    def change(self) -> str:
        """The choice and its values, in words."""
        return in_words({**self.values, **self.along})


def in_words(values: Mapping[str, Sequence[Any]]) -> str:
    """The champion's and the baseline's values of fields: "batch_norm true instead of false"."""
    return "; ".join(f"{name} {shortly(ours)} instead of {shortly(theirs)}" for name, (ours, theirs) in values.items())


def each(
    champion: Finalist,
    baseline: Finalist,
    parameters: Mapping[str, Mapping[str, Any]],
    input_shape: tuple[int, int, int],
    n_classes: int,
    *,
    follow: Sequence[str] = (),
) -> list[SetBack]:
    """All choices in which the two differ, each set back alone or in the smallest group that is valid together.

    `parameters` are those of the study's space, as Space.describe gives them. Choices that can only be set back
    together are one entry. Fields that `follow` from the network are no choices, and stay as the champion's.
    """
    kept = {name: value for name, value in champion.configuration.values().items() if name in follow}
    usual = Configuration.from_values({**baseline.configuration.values(), **kept})
    sides = _Sides(champion.configuration, usual, parameters, (input_shape, n_classes))
    found: dict[str, SetBack] = {}
    for name in sides.choices:
        one = sides.set_back(name, champion.epochs)
        key = one.configuration.key() if one.configuration else name
        found.setdefault(key, one)
    if champion.epochs != baseline.epochs:
        values = {"epochs": (champion.epochs, baseline.epochs)}
        found["epochs"] = SetBack(values=values, along={}, configuration=champion.configuration, epochs=baseline.epochs)
    return list(found.values())


class _Sides:
    """The values of champion and baseline, and which of them are choices."""

    def __init__(
        self,
        champion: Configuration,
        baseline: Configuration,
        parameters: Mapping[str, Mapping[str, Any]],
        images: tuple[tuple[int, int, int], int],
    ) -> None:
        self.ours, self.theirs, self.parameters, self.images = champion.values(), baseline.values(), parameters, images
        # The field that decides about all others of the network, if they differ in one.
        self.whole = next((name for name in ("family", "network") if self.ours.get(name) != self.theirs.get(name)), "")
        names = list(self.ours)
        if self.whole:  # the fields of one family say nothing of another's: the whole network is one choice
            names = [self.whole, *(f.name for f in fields(TrainConfig))]
        self.differing = [name for name in names if self.ours[name] != self.theirs[name]]
        # A field that means nothing on one side has no value there to choose: it goes along with the field that decides
        # about it.
        self.choices = [
            name
            for name in self.differing
            if all(is_effective(name, side) for side in (self.ours, self.theirs))
            and self._is_drawn(name, self.ours) == self._is_drawn(name, self.theirs)
        ]
        deciding = {other for parameter in parameters.values() for other in parameter.get("when", {})}
        # The choices on which it may depend whether another can be set back.
        self.coupled = {*champion.model.values(), "weight_decay_layers", *deciding}

    def set_back(self, name: str, epochs: int) -> SetBack:
        """The champion with this choice set back, if need be together with the fewest others that make it valid."""
        refused = ""
        for group in self._groups(name):
            values = self._values(group)
            try:
                configuration = self._checked(values)
            except ValueError as error:
                refused = refused or str(error)
                continue
            along = [other for other in self.differing if other not in group and values[other] != self.ours[other]]
            return SetBack(
                values=self._both([choice for choice in self.choices if choice in group]),
                along=self._both(along),
                configuration=configuration,
                epochs=epochs,
            )
        return SetBack(values=self._both([name]), along={}, configuration=None, epochs=epochs, refused=refused)

    def _groups(self, name: str) -> Iterator[Sequence[str]]:
        """The choice alone, then with each other one, then with each two, and so on."""
        others = [other for other in self.choices if other != name and other in self.coupled]
        for size in range(min(MOST_TOGETHER, len(others) + 1)):
            for more in combinations(others, size):
                yield (name, *more)

    def _values(self, group: Sequence[str]) -> dict[str, Any]:
        """The champion's values with the group's set back, and those of the fields that go along."""
        if self.whole in group:
            kept = {f.name for f in fields(TrainConfig)} - set(group)
            values = self.theirs | {name: self.ours[name] for name in kept}
        else:
            values = self.ours | {name: self.theirs[name] for name in group}
        goes_along = True
        while goes_along:  # what goes along may decide about others
            goes_along = False
            for name in self.differing:
                if values[name] != self.theirs[name] and name not in self.choices and self._differs(name, values):
                    values[name], goes_along = self.theirs[name], True
        return values

    def _differs(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether the field is drawn, or means something, with these values and not with the champion's, or reverse."""
        return any(rule(name, values) != rule(name, self.ours) for rule in (self._is_drawn, is_effective))

    def _checked(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration; ValueError if it is none, cannot take the images, or would have to be chosen in part."""
        for name in self.parameters:
            if (
                name in values
                and self._is_drawn(name, values)
                and not self._is_drawn(name, self.ours)
                and not self._is_drawn(name, self.theirs)
            ):
                raise ValueError(f"{name} would have to be chosen, and neither champion nor baseline has a value of it")
        configuration = Configuration.from_values(values)
        feasibility.trace(configuration, *self.images)
        return configuration

    def _is_drawn(self, name: str, values: Mapping[str, Any]) -> bool:
        return is_drawn(name, values, self.parameters)

    def _both(self, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
        return {name: (self.ours[name], self.theirs[name]) for name in names}
