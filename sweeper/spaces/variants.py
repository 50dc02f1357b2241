"""Reads the variants of a space file: each is a complete configuration, with values inherited by `extends`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sweeper.config import Configuration, Protocol, TrainConfig
from sweeper.errors import nearest, plain, refuse
from sweeper.spaces.model_fields import implied, inherited, kind_of, missing
from sweeper.spaces.parameter_reader import read_value
from sweeper.spaces.reported import read_reported
from sweeper.spaces.space import Variant

MOST_NAME = 100
# The keys of a variant that are no fields, with their meanings.
OWN_KEYS = {
    "extends": "the variant from which this one takes what it does not set; baseline, if left out",
    "reported": "metrics that somebody has reported: a table for one split, or an array of tables for several",
}


def read_variants(tables: Mapping[str, Any], usual: Mapping[str, Any], file: str) -> dict[str, Variant]:
    """The variants in these tables by name. The baseline is always first, because it is trial 0.

    `usual` has the values of keys that a variant neither sets nor inherits. Raises UsageError with file, table, key,
    rule and value.
    """
    if "baseline" not in tables:
        refuse("a space needs [variants.baseline]", file)
    for name in tables:
        # Tables, runs and reports show the name unchanged.
        if not (name.isprintable() and name.strip() and len(name) <= MOST_NAME):
            refuse(
                f"a variant's name must be 1 to {MOST_NAME} printable characters, got {name!r}", f"{file}, [variants]"
            )
    order = ["baseline", *(name for name in tables if name != "baseline")]
    known: dict[str, dict[str, Any]] = {}
    return {name: _variant(name, tables, usual, known, file) for name in order}


def variant_place(file: str, name: str) -> str:
    """The place of a variant, as errors name it."""
    return f"{file}, [variants.{plain(name)}]"


def _variant(
    name: str, tables: Mapping[str, Any], usual: Mapping[str, Any], known: dict[str, dict[str, Any]], file: str
) -> Variant:
    """Reads one variant; `known` caches its values, and those of the variants that it extends, for the next call."""
    chain: dict[str, None] = {}
    current: str | None = name
    place = variant_place(file, name)
    while current is not None and current not in known:
        if current in chain:
            refuse(f"extends goes round in a circle: {' -> '.join(map(plain, [*chain, current]))}", place)
        if current not in tables:
            refuse(f"extends names unknown variant {current!r}{nearest(current, tables)}", place)
        if not isinstance(tables[current], dict):
            refuse(f"{plain(current)} must be a table, got {tables[current]!r}", f"{file}, [variants]")
        chain[current] = None
        place = variant_place(file, current)
        parent = tables[current].get("extends", None if current == "baseline" else "baseline")
        if parent is not None and not isinstance(parent, str):
            refuse(f"extends must be a variant's name, got {parent!r}", place)
        current = parent
    values = known.get(current or "", dict(usual))
    for link in reversed(chain):
        try:
            own = _own_values(tables[link], values)
            values = inherited(values, own) | own
            values = implied(values) | values
        except ValueError as error:
            refuse(str(error), variant_place(file, link))
        known[link] = values
    try:
        reported = read_reported(tables[name].get("reported", []))
    except ValueError as error:
        refuse(str(error), variant_place(file, name))
    argument, network = missing(values)
    if argument:
        refuse(f"{argument} must have a value, because {network} has no default for it", variant_place(file, name))
    return Variant(name, Configuration.from_values(values), reported, values.get("epochs"))


def _own_values(table: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the variant's own table, beside those that it inherits.

    Raises ValueError with key, rule and value.
    """
    where = {key: table[key] for key in ("family", "network") if key in table}
    model = kind_of(inherited(values, where) | where)
    kinds: dict[str, type] = {f.name: kind for kind in (model, TrainConfig) for f in fields(kind)}
    kinds["epochs"] = Protocol  # the only key of the protocol that a variant may set
    own = {}
    for key, value in table.items():
        if key in OWN_KEYS:
            continue
        if key not in kinds:
            raise ValueError(f"unknown key {plain(key)}{nearest(key, [*sorted(kinds), *OWN_KEYS])}")
        own[key] = read_value(kinds[key], key, value)
    return own
