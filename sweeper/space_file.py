"""Reading a space file: every mistake in it is found here, and named by file, table, key, rule and value."""

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeper.config import MODEL_FAMILIES, Configuration, ModelConfig, Protocol, TrainConfig, check_value
from sweeper.data.catalog import INPUT_SHAPES
from sweeper.errors import UsageError
from sweeper.layers import trace
from sweeper.space import Parameter, Space, Variant, encode, same

TABLES = ("space", "protocol", "model", "train", "variants")
SPLITS = ("train", "validation", "test")
# The fields that decide whether a network can take an image.
SHAPE_FIELDS = (
    "filters", "kernel_size", "padding", "input_padding", "pool_after", "hidden",
    "dropout", "dropout_conv", "dropout_pool", "aux_heads",
)  # fmt: skip
# Enough for any space written by hand; above it only the variants' shapes are checked on loading.
MOST_SHAPES = 20_000
RANGE = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?):([-+]?[\d.]+(?:e[-+]?\d+)?)", re.IGNORECASE)


def names() -> list[str]:
    """The spaces that ship with sweeper."""
    entries = files("sweeper.search_spaces").iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def load(source: str, overrides: Sequence[str] = ()) -> Space:
    """The space that ships under this name, or that is in this file, with `KEY=VALUE` overrides applied.

    Raises UsageError with file, table, key, rule and value.
    """
    if source in names():
        name, file = source, f"{source}.toml"
        text = files("sweeper.search_spaces").joinpath(file).read_text(encoding="utf-8")
    else:
        path = Path(source)
        if not path.is_file():
            raise UsageError(f"no space {source!r}: neither a file nor one of {', '.join(names())}")
        name, file = path.stem, path.name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{source} cannot be read: {error}") from error
    return parse(text, name=name, file=file, overrides=overrides)


def parse(text: str, *, name: str, file: str, overrides: Sequence[str] = ()) -> Space:
    """The space in this TOML text; `file` is named in errors. Raises UsageError."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error} ({file})") from error
    return _Reader(document, name, file, text, overrides).space()


def parse_override(text: str) -> tuple[str, Any]:
    """Key and value of a `KEY=VALUE` override; UsageError if it is not one.

    The value is TOML, a bare word, `LOW:HIGH` for a range, or `A,B,...` for choices.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise UsageError(f"an override must be KEY=VALUE, got {text!r} (--set)")
    try:
        return key.strip(), _override_value(value.strip())
    except ValueError:
        raise UsageError(
            f"{key.strip()} must be a TOML value, a word, LOW:HIGH or A,B,..., got {value!r} (--set {text})"
        ) from None


def _override_value(text: str) -> Any:
    if span := RANGE.fullmatch(text):
        low, high = (tomllib.loads(f"value = {end}")["value"] for end in span.groups())
        return {"low": low, "high": high}
    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        if "," in text and text[0] not in "[{\"'":
            return {"choices": [_override_value(part.strip()) for part in text.split(",")]}
        if re.fullmatch(r"[A-Za-z_][\w.-]*", text):
            return text
        raise ValueError(text) from None
    if list(document) != ["value"]:
        raise ValueError(text)
    return document["value"]


class _Reader:
    """One document on its way to a `Space`."""

    def __init__(self, document: dict[str, Any], name: str, file: str, text: str, overrides: Sequence[str]) -> None:
        self.name, self.file, self.text = name, file, text
        self.overridden: dict[str, str] = {}
        self.document = document
        for table, value in document.items():
            if table not in TABLES:
                _refuse(f"unknown table [{table}]{_nearest(table, TABLES)}", file)
            if not isinstance(value, dict):
                _refuse(f"{table} must be a table, got {value!r}", file)
        for override in overrides:
            self._override(override)

    def space(self) -> Space:
        title, datasets = self._header()
        protocol = self._protocol()
        fixed, parameters = self._fields()
        variants = self._variants(fixed)
        if datasets:
            self._check_shapes(fixed, parameters, variants, datasets[0])
        return Space(self.name, title, datasets, protocol, fixed, parameters, variants, self.text)

    def _place(self, table: str, key: str = "") -> str:
        return self.overridden.get(key) or f"{self.file}, [{table}]"

    def _override(self, text: str) -> None:
        key, value = parse_override(text)
        homes = {f.name: table for table, kind in _kinds().items() for f in fields(kind)}
        if key not in homes:
            _refuse(f"unknown key {key}{_nearest(key, homes)}", f"--set {text}")
        table = self.document.setdefault(homes[key], {})
        old = table.get(key)
        if isinstance(value, dict) and "low" in value and "log" not in value and isinstance(old, dict):
            # A new range for a parameter searched on a log scale stays on it.
            value |= {"log": old.get("log", False)}
        table[key] = value
        self.overridden[key] = f"--set {text}"
        for variant in self.document.get("variants", {}).values():
            if isinstance(variant, dict) and not isinstance(value, dict):
                variant.pop(key, None)

    def _header(self) -> tuple[str, tuple[str, ...]]:
        header = self.document.get("space", {})
        place = self._place("space")
        for key in header:
            if key not in ("title", "datasets"):
                _refuse(f"unknown key {key}{_nearest(key, ('title', 'datasets'))}", place)
        title, datasets = header.get("title", self.name), header.get("datasets", [])
        if not isinstance(title, str):
            _refuse(f"title must be a string, got {title!r}", place)
        if not isinstance(datasets, list):
            _refuse(f"datasets must be an array of names, got {datasets!r}", place)
        for dataset in datasets:
            if not isinstance(dataset, str) or dataset not in INPUT_SHAPES:
                _refuse(f"datasets must be among {', '.join(INPUT_SHAPES)}, got {dataset!r}", place)
        return title, tuple(datasets)

    def _protocol(self) -> Protocol:
        table = self.document.get("protocol", {})
        return Protocol(**{key: self._value(Protocol, "protocol", key, value) for key, value in table.items()})

    def _value(self, kind: type, table: str, key: str, value: Any) -> Any:
        """A checked field value; refuses unknown keys and bad values."""
        known = [f.name for f in fields(kind)]
        if key not in known:
            _refuse(f"unknown key {key}{_nearest(key, known)}", self._place(table, key))
        try:
            return check_value(kind, key, value)
        except ValueError as error:
            _refuse(f"{key} {error}", self._place(table, key))

    def _fields(self) -> tuple[dict[str, Any], dict[str, Parameter]]:
        """The fixed values, and the parameters in an order in which conditions refer to earlier ones."""
        fixed: dict[str, Any] = {}
        parameters: dict[str, Parameter] = {}
        family = self._value(ModelConfig, "model", "family", self._table("model").get("family", "convnet"))
        for table, kind in (("model", MODEL_FAMILIES[family]), ("train", TrainConfig)):
            for key, value in self._table(table).items():
                if isinstance(value, dict):
                    parameters[key] = self._parameter(kind, table, key, value)
                else:
                    fixed[key] = self._value(kind, table, key, value)
        defaults = Configuration.from_values(fixed).values()
        return fixed, self._in_order(parameters, defaults)

    def _table(self, name: str) -> dict[str, Any]:
        table: dict[str, Any] = self.document.get(name, {})
        return table

    def _parameter(self, kind: type, table: str, key: str, words: dict[str, Any]) -> Parameter:
        self._value(kind, table, key, getattr(kind, key, None))  # an unknown key is refused first
        place = self._place(table, key)
        words = dict(words)
        when = words.pop("when", {})
        if not isinstance(when, dict):
            _refuse(f'{key}.when must be a table such as {{ optimizer = "sgd" }}, got {when!r}', place)
        if "choices" in words:
            _only(key, words, ("type", "choices"), place)
            if words.get("type", "categorical") != "categorical":
                _refuse(f'{key}.type must be "categorical" beside choices, got {words["type"]!r}', place)
            return self._categorical(kind, table, key, words["choices"], when)
        return Parameter(key, table, self._range(kind, table, key, words), when=when)

    def _categorical(self, kind: type, table: str, key: str, raw: Any, when: Mapping[str, Any]) -> Parameter:
        place = self._place(table, key)
        if not isinstance(raw, list) or not raw:
            _refuse(f"{key}.choices must be a non-empty array, got {raw!r}", place)
        choices = tuple(self._value(kind, table, key, choice) for choice in raw)
        for i, choice in enumerate(choices):
            if any(same(choice, earlier) for earlier in choices[:i]):
                _refuse(f"{key}.choices must differ, got {raw[i]!r} twice", place)
        distribution = CategoricalDistribution(tuple(encode(choice) for choice in choices))
        return Parameter(key, table, distribution, choices, when)

    def _range(self, kind: type, table: str, key: str, words: dict[str, Any]) -> BaseDistribution:
        place = self._place(table, key)
        _only(key, words, ("type", "low", "high", "log", "step"), place)
        for end in ("low", "high"):
            if end not in words:
                _refuse(f"{key} must have choices, or low and high; got {words!r}", place)
            if not isinstance(words[end], int | float) or isinstance(words[end], bool):
                _refuse(f"{key}.{end} must be a number, got {words[end]!r}", place)
        low, high = (self._value(kind, table, key, words[end]) for end in ("low", "high"))
        natural = "int" if isinstance(low, int) and isinstance(high, int) else "float"
        scale, log, step = words.get("type", natural), words.get("log", False), words.get("step")
        if scale != natural:
            _refuse(f"{key}.type must be {natural!r}, got {scale!r}", place)
        if not low <= high:
            _refuse(f"{key}.low must be at most high, got {low!r} and {high!r}", place)
        if not isinstance(log, bool):
            _refuse(f"{key}.log must be true or false, got {log!r}", place)
        if log and (low <= 0 or step is not None):
            _refuse(f"{key}.log needs low above 0 and no step, got low {low!r}, step {step!r}", place)
        if step is not None and (
            isinstance(step, bool)
            or not isinstance(step, int if scale == "int" else int | float)
            or not 0 < step < math.inf
        ):
            _refuse(f"{key}.step must be a positive {scale}, got {step!r}", place)
        if step is not None:
            # Optuna would lower `high` to the last step below it, with a mere warning.
            n_steps = (high - low) / step
            if abs(n_steps - round(n_steps)) > 1e-9:
                _refuse(f"{key}.step must divide high - low, got {step!r} for {low!r} to {high!r}", place)
        if scale == "int":
            return IntDistribution(int(low), int(high), log=log, step=step or 1)
        return FloatDistribution(float(low), float(high), log=log, step=step)

    def _in_order(self, parameters: dict[str, Parameter], defaults: Mapping[str, Any]) -> dict[str, Parameter]:
        checked = {name: self._condition(p, parameters, defaults) for name, p in parameters.items()}
        ordered: dict[str, Parameter] = {}
        while len(ordered) < len(checked):
            ready = [
                p
                for p in checked.values()
                if p.name not in ordered and all(name in ordered or name not in checked for name in p.when)
            ]
            if not ready:
                name, stuck = next((n, p) for n, p in checked.items() if n not in ordered)
                _refuse(f"{name}.when goes round in a circle: {dict(stuck.when)!r}", self._place(stuck.table))
            ordered |= {p.name: p for p in ready}
        return ordered

    def _condition(
        self, parameter: Parameter, parameters: Mapping[str, Parameter], defaults: Mapping[str, Any]
    ) -> Parameter:
        """The parameter with its condition's values checked as those of the fields that they name."""
        when = {}
        for name, raw in parameter.when.items():
            place = self._place(parameter.table, parameter.name)
            if name not in defaults:
                _refuse(f"{parameter.name}.when names unknown key {name}{_nearest(name, defaults)}", place)
            kind = TrainConfig if name in {f.name for f in fields(TrainConfig)} else ModelConfig
            try:
                value = check_value(kind, name, raw)
            except ValueError as error:
                _refuse(f"{parameter.name}.when.{name} {error}", place)
            other = parameters.get(name)
            if other and not isinstance(other.distribution, CategoricalDistribution):
                _refuse(f"{parameter.name}.when may name only parameters with choices, got {name}", place)
            if other and name not in self.overridden and not other.contains(value):
                _refuse(f"{parameter.name}.when.{name} must be one of its choices, got {raw!r}", place)
            when[name] = value
        return Parameter(parameter.name, parameter.table, parameter.distribution, parameter.choices, when)

    def _variants(self, fixed: Mapping[str, Any]) -> dict[str, Variant]:
        tables = self._table("variants")
        if "baseline" not in tables:
            _refuse("a space needs [variants.baseline]", self.file)
        # The baseline comes first wherever it stands: it is trial 0.
        order = ["baseline", *(name for name in tables if name != "baseline")]
        return {name: self._variant(name, tables, fixed) for name in order}

    def _variant(self, name: str, tables: Mapping[str, Any], fixed: Mapping[str, Any]) -> Variant:
        chain: list[str] = []
        current: str | None = name
        while current is not None:
            place = f"{self.file}, [variants.{(chain or [name])[-1]}]"
            if current in chain:
                _refuse(f"extends goes round in a circle: {' -> '.join([*chain, current])}", place)
            if current not in tables:
                _refuse(f"extends names unknown variant {current!r}{_nearest(current, tables)}", place)
            if not isinstance(tables[current], dict):
                _refuse(f"{current} must be a table, got {tables[current]!r}", f"{self.file}, [variants]")
            chain.append(current)
            parent = tables[current].get("extends", None if current == "baseline" else "baseline")
            if parent is not None and not isinstance(parent, str):
                _refuse(f"extends must be a variant's name, got {parent!r}", f"{self.file}, [variants.{current}]")
            current = parent
        values = dict(fixed)
        for link in reversed(chain):
            values |= self._own_values(link, tables[link], values.get("family", "convnet"))
        return Variant(name, Configuration.from_values(values), self._reported(name, tables[name]))

    def _own_values(self, name: str, table: Mapping[str, Any], family: str) -> dict[str, Any]:
        where = f"variants.{name}"
        family = self._value(ModelConfig, where, "family", table.get("family", family))
        model, train = ({f.name for f in fields(kind)} for kind in (MODEL_FAMILIES[family], TrainConfig))
        own = {}
        for key, value in table.items():
            if key in ("extends", "reported"):
                continue
            if key not in model | train:
                _refuse(f"unknown key {key}{_nearest(key, model | train)}", self._place(where))
            own[key] = self._value(MODEL_FAMILIES[family] if key in model else TrainConfig, where, key, value)
        return own

    def _reported(self, name: str, table: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        raw = table.get("reported", [])
        place = f"{self.file}, [variants.{name}]"
        entries = [raw] if isinstance(raw, dict) else raw
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            _refuse(f"reported must be a table or an array of tables, got {raw!r}", place)
        for entry in entries:
            if entry.get("split") not in SPLITS:
                _refuse(f"reported.split must be one of {', '.join(SPLITS)}, got {entry.get('split')!r}", place)
            for key, value in entry.items():
                if key != "split" and (not isinstance(value, int | float) or isinstance(value, bool)):
                    _refuse(f"reported.{key} must be a number, got {value!r}", place)
        return tuple(entries)

    def _check_shapes(
        self,
        fixed: Mapping[str, Any],
        parameters: Mapping[str, Parameter],
        variants: Mapping[str, Variant],
        dataset: str,
    ) -> None:
        """Refuses a variant that cannot take the data, and a choice that can in no combination."""
        input_shape, n_classes = INPUT_SHAPES[dataset]
        for variant in variants.values():
            try:
                trace(variant.configuration.model, input_shape, n_classes)
            except ValueError as error:
                _refuse(f"{error}, with images of {dataset}", f"{self.file}, [variants.{variant.name}]")
        grids = {
            name: [(name, p.decode(stored)) for stored in p.grid() or []]
            for name, p in parameters.items()
            if name in SHAPE_FIELDS
        }
        axes = [axis for axis in grids.values() if axis]
        if math.prod(len(axis) for axis in axes) > MOST_SHAPES:
            return
        works: set[str] = set()
        reason: dict[str, str] = {}
        for point in product(*axes):
            marks = [json.dumps(entry) for entry in point]
            try:
                trace(Configuration.from_values({**fixed, **dict(point)}).model, input_shape, n_classes)
                works.update(marks)
            except ValueError as error:
                reason.update(dict.fromkeys(marks, str(error)))
        for name, value in (entry for axis in axes for entry in axis):
            mark = json.dumps((name, value))
            if mark not in works:
                _refuse(
                    f"{name} {value!r} fits no network of this space: {reason[mark]}, with images of {dataset}",
                    self._place("model", name),
                )


def _kinds() -> dict[str, type]:
    return {"protocol": Protocol, "model": ModelConfig, "train": TrainConfig}


def _only(key: str, words: Mapping[str, Any], allowed: Sequence[str], place: str) -> None:
    for word in words:
        if word not in allowed:
            _refuse(f"unknown word {key}.{word}{_nearest(word, allowed)}", place)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _refuse(message: str, place: str) -> NoReturn:
    raise UsageError(f"{message} ({place})")
