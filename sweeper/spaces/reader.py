"""Reads a space file and finds every mistake in it; errors name file, table, key, rule and value."""

from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from sweeper.config import Protocol, TrainConfig
from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.errors import UsageError, nearest, plain, refuse, shortened
from sweeper.spaces import weight_paths
from sweeper.spaces.model_fields import implied, kind_of, missing, table_fields
from sweeper.spaces.overrides import Override, parse_override
from sweeper.spaces.parameter import Parameter
from sweeper.spaces.parameter_reader import (
    check_conditions_on_precision,
    read_parameter,
    read_value,
    with_checked_condition,
)
from sweeper.spaces.space import Space
from sweeper.spaces.space_checks import check_space
from sweeper.spaces.variants import read_variants
from sweeper.store.toml_text import read_toml

TABLES = ("space", "protocol", "model", "train", "variants")
# The keys of [space], with their meanings.
HEADER = {
    "title": "what the space is for, in one line; its name, if left out",
    "datasets": "known data sets that the space suits; its networks are checked against the images of the first",
}
# More than a hundred times the largest space that ships; bounds the time that it takes to refuse any file.
MOST_BYTES = 10**6


def names() -> list[str]:
    """The names of the spaces that ship with sweeper."""
    entries = files("sweeper.search_spaces").iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def load(source: str, overrides: Sequence[str] = ()) -> Space:
    """Loads the space that ships under this name, or the one in this file, and applies `KEY=VALUE` overrides.

    Raises UsageError with file, table, key, rule and value.
    """
    if source in names():
        name, file = source, f"{source}.toml"
        text = files("sweeper.search_spaces").joinpath(file).read_text(encoding="utf-8")
    else:
        path = Path(source)
        name, file = path.stem, path.name
        try:
            if not path.is_file():
                raise UsageError(
                    f"no space {shortened(repr(source))}: neither a file nor one of {', '.join(names())}"
                    f"{nearest(source, names())}"
                )
            with path.open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
            text = content.decode("utf-8")
        except OSError as error:
            raise UsageError(f"{plain(source)} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{plain(source)} cannot be read: {error}") from error
        if len(content) > MOST_BYTES:
            raise UsageError(f"a space file must have at most {MOST_BYTES:,} bytes, got more ({plain(file)})")
    return parse(text, name=name, file=file, folder=Path(source).parent, overrides=overrides)


def parse(text: str, *, name: str, file: str, folder: Path = Path(), overrides: Sequence[str] = ()) -> Space:
    """Parses the space in this TOML text, whose relative paths start at `folder`; raises UsageError, naming `file`."""
    try:
        document = read_toml(text)
    except ValueError as error:
        raise UsageError(f"not valid TOML: {shortened(str(error))} ({plain(file)})") from error
    return _Reader(document, name, file, text, folder, overrides).space()


class _Reader:
    """Turns one TOML document into a `Space`."""

    def __init__(
        self, document: dict[str, Any], name: str, file: str, text: str, folder: Path, overrides: Sequence[str]
    ) -> None:
        self.name, self.file, self.text = name, plain(file), text
        self.overridden: dict[str, str] = {}
        # Fixed values that an override replaced by a parameter: variants that do not name the key keep them.
        self.kept: dict[str, Any] = {}
        self.document = document
        for table, value in document.items():
            if table not in TABLES:
                refuse(f"unknown table [{plain(table)}]{nearest(table, TABLES)}", self.file)
            if not isinstance(value, dict):
                refuse(f"{table} must be a table, got {value!r}", self.file)
        weight_paths.make_absolute(document, folder)
        parsed = [parse_override(override) for override in overrides]
        # The family and the network come first: they decide which other keys there are.
        for one in sorted(parsed, key=lambda one: one.key not in ("family", "network")):
            self._override(one)
        weight_paths.imply_pretrained(document)

    def space(self) -> Space:
        title, datasets = self._header()
        protocol = self._protocol()
        fixed, parameters = self._fields()
        variants = read_variants(self._table("variants"), fixed | self._kept_values(), self.file)
        space = Space(self.name, title, datasets, protocol, fixed, parameters, variants, self.text)
        check_space(space, self.file, self.overridden)
        return space

    def _place(self, table: str, key: str = "") -> str:
        """The place of a value, for errors: its override, else file and table ([space] and [variants] take none)."""
        override = self.overridden.get(key) if table in ("protocol", "model", "train") else None
        return override or f"{self.file}, [{table}]"

    def _override(self, override: Override) -> None:
        key, value = override.key, override.value
        homes = self._homes(key)
        if key not in homes:
            refuse(f"unknown key {plain(key)}{nearest(key, homes)}", override.place)
        if key == weight_paths.KEY and weight_paths.are_meant(self.document, self._table("model")):
            value = weight_paths.absolute(value, Path.cwd())
        table = self.document.setdefault(homes[key], {})
        old = table.get(key)
        if override.is_shorthand and isinstance(old, dict):
            # Shorthand cannot express `log` and `when`; a table written out in full replaces the old one.
            inherited = ("log", "when") if "low" in value else ("when",)
            value = value | {word: old[word] for word in inherited if word in old}
        table[key] = value
        self.overridden[key] = override.place
        if isinstance(value, dict):
            if old is not None and not isinstance(old, dict):
                self.kept[key] = old
            return
        self.kept.pop(key, None)
        for variant in self._table("variants").values():
            if isinstance(variant, dict):
                variant.pop(key, None)

    def _homes(self, key: str) -> dict[str, str]:
        """The table of each key that an override may name: for [model], the keys of all families.

        The arguments of the user's network are among them if `key` is none of the others.
        """
        names = {"protocol": [f.name for f in fields(Protocol)], "model": table_fields()}
        names["train"] = [f.name for f in fields(TrainConfig)]
        homes = {name: table for table, known in names.items() for name in known}
        if key not in homes:
            homes |= {f.name: "model" for f in fields(self._kind("model"))}
        return homes

    def _header(self) -> tuple[str, tuple[str, ...]]:
        header = self.document.get("space", {})
        place = self._place("space")
        for key in header:
            if key not in HEADER:
                refuse(f"unknown key {plain(key)}{nearest(key, HEADER)}", place)
        title, datasets = header.get("title", self.name), header.get("datasets", [])
        if not isinstance(title, str):
            refuse(f"title must be a string, got {title!r}", place)
        if not title.isprintable():
            refuse(f"title must be one line of printable text, got {title!r}", place)
        if not isinstance(datasets, list):
            refuse(f"datasets must be an array of names, got {datasets!r}", place)
        for dataset in datasets:
            if not isinstance(dataset, str) or dataset not in INPUT_SHAPES:
                refuse(f"datasets must be among {', '.join(INPUT_SHAPES)}, got {dataset!r}", place)
        return title, tuple(datasets)

    def _protocol(self) -> Protocol:
        table = self.document.get("protocol", {})
        values = {key: self._value(Protocol, "protocol", key, value) for key, value in table.items()}
        try:
            return Protocol(**values)
        except ValueError as error:
            overridden = [self.overridden[key] for key in ("validation", "confirm") if key in self.overridden]
            refuse(str(error), ", ".join(overridden) or self._place("protocol"))

    def _value(self, kind: type, table: str, key: str, value: Any) -> Any:
        """A checked field value; refuses unknown keys and bad values."""
        self._check_known(kind, table, key)
        try:
            return read_value(kind, key, value)
        except ValueError as error:
            refuse(str(error), self._place(table, key))

    def _check_known(self, kind: type, table: str, key: str) -> None:
        known = [f.name for f in fields(kind)]
        if key not in known:
            refuse(f"unknown key {plain(key)}{nearest(key, known)}", self._place(table, key))

    def _fields(self) -> tuple[dict[str, Any], dict[str, Parameter]]:
        """The fixed values, and the parameters, ordered so that conditions refer to earlier ones."""
        fixed = self._implied()
        parameters: dict[str, Parameter] = {}
        for table in ("model", "train"):
            kind = self._kind(table)
            for key, value in self._table(table).items():
                if isinstance(value, dict):
                    parameters[key] = self._parameter(kind, table, key, value)
                else:
                    fixed[key] = self._value(kind, table, key, value)
        in_order = self._in_order(parameters)
        try:
            check_conditions_on_precision(fixed, in_order)
        except ValueError as error:
            refuse(str(error), self._place("train", "precision"))
        always = fixed | {name: None for name, parameter in in_order.items() if not parameter.when}
        argument, network = missing(always)
        if argument:
            refuse(
                f"{argument} must always have a value, because {network} has no default for it", self._place("model")
            )
        return fixed, in_order

    def _implied(self) -> dict[str, Any]:
        try:
            return implied(self._table("model"))
        except ValueError as error:
            refuse(str(error), self._network_place())

    def _network_place(self) -> str:
        """The place of what decides which fields a network has."""
        given = next((key for key in ("network", "family") if key in self.overridden), "family")
        return self._place("model", given)

    def _kind(self, table: str) -> type:
        """The dataclass whose fields are the keys of a table."""
        if table != "model":
            return {"protocol": Protocol, "train": TrainConfig}[table]
        try:
            return kind_of(self._table("model"))
        except ValueError as error:
            refuse(str(error), self._network_place())

    def _table(self, name: str) -> dict[str, Any]:
        table: dict[str, Any] = self.document.get(name, {})
        return table

    def _parameter(self, kind: type, table: str, key: str, definition: dict[str, Any]) -> Parameter:
        self._check_known(kind, table, key)
        try:
            return read_parameter(kind, table, key, definition)
        except ValueError as error:
            refuse(str(error), self._place(table, key))

    def _in_order(self, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        checked = {}
        for name, parameter in parameters.items():
            try:
                checked[name] = with_checked_condition(parameter, parameters, self._kind("model"), self.overridden)
            except ValueError as error:
                refuse(str(error), self._place(parameter.table, name))
        ordered: dict[str, Parameter] = {}
        while len(ordered) < len(checked):
            ready = [
                p
                for p in checked.values()
                if p.name not in ordered and all(name in ordered or name not in checked for name in p.when)
            ]
            if not ready:
                name, stuck = next((n, p) for n, p in checked.items() if n not in ordered)
                refuse(f"{name}.when goes round in a circle: {dict(stuck.when)!r}", self._place(stuck.table))
            ordered |= {p.name: p for p in ready}
        return ordered

    def _kept_values(self) -> dict[str, Any]:
        values = {}
        for key, value in self.kept.items():
            table = self._homes(key)[key]
            try:
                values[key] = read_value(self._kind(table), key, value)
            except ValueError as error:
                refuse(str(error), f"{self.file}, [{table}]")
        return values
