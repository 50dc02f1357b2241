"""Rules for a configuration's fields: each returns the normalised value, or raises ValueError with rule and value."""

import math
import re
import sys
from collections.abc import Callable
from typing import Any

Rule = Callable[[Any], Any]

# The largest integer that torch accepts everywhere as a size.
MOST_INTEGER = 2**31 - 1
# Seeds have 32 bits, as those that sweeper derives for its trials.
MOST_SEED = 2**32 - 1
# Limited because each fold's images lie on disk for the workers while a study runs.
MOST_FOLDS = 100
MOST_REPEATS = 1000
MOST_PATH = 4096  # characters, as in Linux
MOST_PER_GPU = 32  # trainings at once: the number of torch's streams


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def bounded(value: int) -> int:
    if value > MOST_INTEGER:
        raise ValueError(f"must be an integer of at most {MOST_INTEGER}, got {value!r}")
    return value


def integer(minimum: int, maximum: int | None = None) -> Rule:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"must be an integer of at least {minimum}, got {value!r}")
        if maximum is not None and value > maximum:
            raise ValueError(f"must be an integer of at most {maximum}, got {value!r}")
        return value if maximum is not None else bounded(value)

    return check


def count(minimum: int) -> Rule:
    """An integer of any size, such as a number of trials: more than there are means all."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"must be an integer of at least {minimum}, got {value!r}")
        return value

    return check


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return lambda value: None if value is None else rule(value)


def finite(value: Any) -> float:
    if not is_number(value) or not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value!r}")
    return float(value)


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a non-empty text, got {value!r}")
    return value


def instance_of(kind: type) -> Rule:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"must be a {kind.__name__}, got {value!r}")
        return value

    return check


def share(value: Any) -> float:
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"must be in [0, 1), got {value!r}")
    return float(value)


def probability(value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"must be in [0, 1], got {value!r}")
    return float(value)


def degrees(value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 180:
        raise ValueError(f"must be in [0, 180], got {value!r}")
    return float(value)


def positive_share(value: Any) -> float:
    if not is_number(value) or not 0 < value < 1:
        raise ValueError(f"must be in (0, 1), got {value!r}")
    return float(value)


def positive(value: Any) -> float:
    if not is_number(value) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"must be a positive number, got {value!r}")
    return float(value)


def factor(value: Any) -> float:
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"must be in (0, 1], got {value!r}")
    return float(value)


def not_negative(value: Any) -> float:
    if not is_number(value) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"must be a number of at least 0, got {value!r}")
    return float(value)


def strength(value: Any) -> float:
    # A factor of 255 turns any pixel but 0 white.
    if not is_number(value) or not 0 <= value <= 255:
        raise ValueError(f"must be in [0, 255], got {value!r}")
    return float(value)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def one_of(*names: str) -> Rule:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}, got {value!r}")
        return str(value)

    return check


def padding(value: Any) -> int | str:
    if value == "same":
        return "same"
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f'must be an integer of at least 0, or "same", got {value!r}')
    return bounded(value)


def sequence(rule: Rule, *, empty: bool = False) -> Rule:
    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not (value or empty):
            raise ValueError(f"must be {'an' if empty else 'a non-empty'} array, got {value!r}")
        return tuple(rule(entry) for entry in value)

    return check


def per_layer(rule: Rule) -> Rule:
    """One value for all layers, or an array with one value per layer."""

    def check(value: Any) -> Any:
        return sequence(rule)(value) if isinstance(value, list | tuple) else rule(value)

    return check


def layer_numbers(value: Any) -> tuple[int, ...]:
    numbers = sequence(integer(1), empty=True)(value)
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"must be layer numbers in rising order, got {value!r}")
    return numbers


def names(pattern: str, examples: str) -> Rule:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be an array of names such as {examples}, got {value!r}")
        for name in value:
            if not isinstance(name, str) or not re.fullmatch(pattern, name):
                raise ValueError(f"must hold names such as {examples}, got {name!r}")
        if len(set(value)) != len(value):
            raise ValueError(f"must not name a layer twice, got {value!r}")
        return tuple(value)

    return check


head_names = names(r"(conv|pool)[1-9][0-9]*", '"conv2" or "pool1"')
layer_names = names(
    r"((aux_)?conv|aux_pool|hidden|shortcut)[1-9][0-9]*|output", '"conv2", "hidden1", "output" or "aux_conv2"'
)


def timm_name(value: Any) -> str:
    # In timm 1.0.31 the longest name has 39 characters and the longest tag 37.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,60}(\.[A-Za-z0-9_]{1,60})?", value):
        raise ValueError(f'must be the name of a timm model, such as "resnet18" or "resnet18.a1_in1k", got {value!r}')
    return value


def path(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > MOST_PATH:
        raise ValueError(f"must be the path of a file or folder, got {value!r}")
    return value


def part(*, empty: bool) -> Rule:
    """A share of the training set (a float), or a count of images (an integer)."""

    def check(value: Any) -> int | float:
        if not is_number(value) or not (value >= 0 if empty else value > 0):
            raise ValueError(f"must be a share below 1 or a count of images, got {value!r}")
        if isinstance(value, float) and value >= 1:
            raise ValueError(f"must be a share below 1 or a whole count of images, got {value!r}")
        return bounded(value) if isinstance(value, int) else value

    return check


def folds(value: Any) -> int:
    folds: int = integer(0)(value)
    if folds == 1 or folds > MOST_FOLDS:
        raise ValueError(f"must be 0 for none, or at least 2 and at most {MOST_FOLDS}, got {value!r}")
    return folds
