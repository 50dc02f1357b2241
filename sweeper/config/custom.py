"""The fields of networks that users bring: where the network is, which code it is, and its own arguments."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.config.fields import ruled
from sweeper.config.models import ModelConfig
from sweeper.validators import bounded, must_be, refusal

CUSTOM = "custom"
# "module:attribute", as in the entry points of packages.
NETWORK = re.compile(r"[A-Za-z_]\w{0,99}(\.[A-Za-z_]\w{0,99}){0,9}:[A-Za-z_]\w{0,99}", re.ASCII)
MOST_ENTRIES = 10_000  # of an array, those within its arrays included


@must_be('a class or function as "module:name", such as "nets:TinyNet"')
def network_name(value: Any) -> str:
    if not isinstance(value, str) or not NETWORK.fullmatch(value):
        raise refusal(network_name.text, value)
    return value


@must_be("a SHA-256 in 64 hexadecimal digits")
def sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise refusal(sha256.text, value)
    return value


@must_be(f"{CUSTOM} or the name of a family that a package adds")
def family_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][\w.-]{0,99}", value, re.ASCII):
        raise refusal(family_name.text, value)
    return value


def plain_value(value: Any) -> Any:
    """A value of an argument that can be stored: a boolean, number or string, or an array (a tuple) of them, or None.

    A space file has no word for None, which only a default can be.
    """
    if isinstance(value, list | tuple):
        if len(value) > MOST_ENTRIES:
            raise ValueError(f"must have at most {MOST_ENTRIES:,} entries, got {len(value):,}")
        return tuple(plain_value(entry) for entry in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value!r}")
    if isinstance(value, int) and not isinstance(value, bool):
        return bounded(value)
    if not isinstance(value, bool | float | str | None):
        raise ValueError(f"must be true, false, a number, a string or an array of them, got {value!r}")
    return value


@must_be("pairs of an argument's name and its value")
def arguments(value: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, plain_value(given)) for name, given in dict(value).items()))


@dataclass(frozen=True)
class CustomConfig(ModelConfig):
    """A network of the user's: the class or function `network`, called with its own `arguments` (pairs, by name).

    `code_sha256` is the hash of the file that defines it: other code is another network.
    """

    family: str = ruled(CUSTOM, family_name, "custom, or a family of networks that an installed package adds")
    network: str = ruled("", network_name, "the class or function that makes the network")
    code_sha256: str = ruled("", sha256, "hash of the file that defines the network; sweeper fills it in")
    arguments: tuple[tuple[str, Any], ...] = ruled(
        (), arguments, "the network's own arguments: in a space file, keys of [model] beside the others"
    )

    def values(self) -> Mapping[str, Any]:
        """The fields, and the arguments beside them."""
        return {name: value for name, value in vars(self).items() if name != "arguments"} | dict(self.arguments)
