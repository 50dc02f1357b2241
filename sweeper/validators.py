"""Rules for a configuration's fields: each normalises a value, or raises ValueError with rule and value."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The largest integer that torch accepts everywhere as a size.
MOST_INTEGER = 2**31 - 1
# Seeds have 32 bits, as those that sweeper derives for its trials.
MOST_SEED = 2**32 - 1
# Limited because each fold's images lie on disk for the workers while a study runs.
MOST_FOLDS = 100
MOST_REPEATS = 1000
MOST_PATH = 4096  # characters, as in Linux
MOST_PER_GPU = 32  # trainings at once: the number of torch's streams


@dataclass(frozen=True)
class Rule:
    """A check that returns the normalised value, or raises ValueError; `text` says what a value must be."""

    text: str
    check: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        return self.check(value)


def must_be(text: str) -> Callable[[Callable[[Any], Any]], Rule]:
    """Makes a rule with this text of a check."""
    return lambda check: Rule(text, check)


def refusal(text: str, value: Any) -> ValueError:
    """The error for a value that is not what `text` says."""
    return ValueError(f"must be {text}, got {value!r}")


def is_number(value: Any) -> bool:
    """Whether it is an integer or a float; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def bounded(value: int) -> int:
    """The integer; ValueError for one that torch cannot take as a size."""
    if value > MOST_INTEGER:
        raise refusal(f"an integer of at most {MOST_INTEGER}", value)
    return value


def integer(minimum: int, maximum: int | None = None) -> Rule:
    """An integer in these bounds, both included; without a `maximum`, one that torch can take as a size."""
    least, most = f"an integer of at least {minimum}", f"an integer of at most {maximum}"

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise refusal(least, value)
        if maximum is not None and value > maximum:
            raise refusal(most, value)
        return value if maximum is not None else bounded(value)

    return Rule(least if maximum is None else f"{least} and at most {maximum}", check)


def count(minimum: int) -> Rule:
    """An integer of any size, such as a number of trials: more than there are means all."""
    text = f"an integer of at least {minimum}"

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise refusal(text, value)
        return value

    return Rule(text, check)


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return Rule(f"{rule.text}, or none", lambda value: None if value is None else rule(value))


def number(text: str, allowed: Callable[[int | float], bool]) -> Rule:
    """A number that is `allowed`, which `text` says in words; NaN is allowed nowhere."""

    def check(value: Any) -> float:
        if not is_number(value) or not allowed(value):
            raise refusal(text, value)
        return float(value)

    return Rule(text, check)


finite = number("a finite number", lambda value: abs(value) <= sys.float_info.max)
share = number("in [0, 1)", lambda value: 0 <= value < 1)
probability = number("in [0, 1]", lambda value: 0 <= value <= 1)
degrees = number("in [0, 180]", lambda value: 0 <= value <= 180)
positive_share = number("in (0, 1)", lambda value: 0 < value < 1)
factor = number("in (0, 1]", lambda value: 0 < value <= 1)
positive = number("a positive number", lambda value: 0 < value <= sys.float_info.max)
not_negative = number("a number of at least 0", lambda value: 0 <= value <= sys.float_info.max)
# A factor of 255 turns any pixel but 0 white.
strength = number("in [0, 255]", lambda value: 0 <= value <= 255)


@must_be("a non-empty text")
def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise refusal(text.text, value)
    return value


@must_be("true or false")
def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refusal(boolean.text, value)
    return value


def instance_of(kind: type) -> Rule:
    """A value of this class."""
    text = f"a {kind.__name__}"

    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise refusal(text, value)
        return value

    return Rule(text, check)


def one_of(*names: str) -> Rule:
    """One of these texts."""
    text = f"one of {', '.join(names)}"

    def check(value: Any) -> str:
        if value not in names:
            raise refusal(text, value)
        return str(value)

    return Rule(text, check)


@must_be('an integer of at least 0, or "same"')
def padding(value: Any) -> int | str:
    if value == "same":
        return "same"
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise refusal(padding.text, value)
    return bounded(value)


def sequence(rule: Rule, *, empty: bool = False) -> Rule:
    """An array, which becomes a tuple, whose entries the rule allows; it may be `empty`."""
    kind = "an array" if empty else "a non-empty array"

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not (value or empty):
            raise refusal(kind, value)
        return tuple(rule(entry) for entry in value)

    return Rule(f"{kind} whose entries are each {rule.text}", check)


def per_layer(rule: Rule) -> Rule:
    """One value for all layers, or an array with one value per layer."""
    entries = sequence(rule)
    return Rule(
        f"{rule.text}; or a non-empty array of such values",
        lambda value: entries(value) if isinstance(value, list | tuple) else rule(value),
    )


@must_be("an array of layer numbers in rising order")
def layer_numbers(value: Any) -> tuple[int, ...]:
    numbers: tuple[int, ...] = sequence(integer(1), empty=True)(value)
    if list(numbers) != sorted(set(numbers)):
        raise refusal(layer_numbers.text, value)
    return numbers


def names(pattern: str, examples: str) -> Rule:
    """An array of different names, each of which the pattern matches whole; `examples` are shown where one does not."""
    text = f"an array of names such as {examples}"

    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise refusal(text, value)
        for name in value:
            if not isinstance(name, str) or not re.fullmatch(pattern, name):
                raise ValueError(f"must hold names such as {examples}, got {name!r}")
        if len(set(value)) != len(value):
            raise ValueError(f"must not name a layer twice, got {value!r}")
        return tuple(value)

    return Rule(text, check)


head_names = names(r"(conv|pool)[1-9][0-9]*", '"conv2" or "pool1"')
layer_names = names(
    r"((aux_)?conv|aux_pool|hidden|shortcut)[1-9][0-9]*|output", '"conv2", "hidden1", "output" or "aux_conv2"'
)


@must_be('the name of a timm model, such as "resnet18" or "resnet18.a1_in1k"')
def timm_name(value: Any) -> str:
    # In timm 1.0.31 the longest name has 39 characters and the longest tag 37.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,60}(\.[A-Za-z0-9_]{1,60})?", value):
        raise refusal(timm_name.text, value)
    return value


@must_be("the path of a file or folder")
def path(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > MOST_PATH:
        raise refusal(path.text, value)
    return value


def part(*, empty: bool) -> Rule:
    """A share of the training set (a float), or a count of images (an integer)."""
    text = "a share below 1 or a count of images" + (", 0 for none" if empty else "")

    def check(value: Any) -> int | float:
        if not is_number(value) or not (value >= 0 if empty else value > 0):
            raise refusal(text, value)
        if isinstance(value, float) and value >= 1:
            raise refusal("a share below 1 or a whole count of images", value)
        return bounded(value) if isinstance(value, int) else value

    return Rule(text, check)


@must_be(f"0 for none, or an integer of at least 2 and at most {MOST_FOLDS}")
def folds(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not (value == 0 or 2 <= value <= MOST_FOLDS):
        raise refusal(folds.text, value)
    return value
