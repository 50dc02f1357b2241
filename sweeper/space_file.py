"""Reading a space file: every mistake in it is found here, and named by file, table, key, rule and value."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeper.config import MODEL_FAMILIES, Configuration, ModelConfig, Protocol, TrainConfig, check_value
from sweeper.data.catalog import INPUT_SHAPES
from sweeper.errors import UsageError, plain, shortened
from sweeper.overrides import Override, parse_override, read_toml
from sweeper.space import Parameter, Space, Variant, encode
from sweeper.space_shapes import SHAPE_FIELDS, check_network, unusable

TABLES = ("space", "protocol", "model", "train", "variants")
SPLITS = ("train", "validation", "test")
# More steps than anybody searches: such a step is a slip of the pen.
MOST_STEPS = 10**6
# A hundred times the largest space that ships, and a bound on the time that any file takes to be refused.
MOST_BYTES = 10**6
MOST_NAME = 100


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
        name, file = path.stem, path.name
        try:
            if not path.is_file():
                raise UsageError(f"no space {shortened(repr(source))}: neither a file nor one of {', '.join(names())}")
            with path.open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
            text = content.decode("utf-8")
        except OSError as error:
            raise UsageError(f"{plain(source)} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{plain(source)} cannot be read: {error}") from error
        if len(content) > MOST_BYTES:
            raise UsageError(f"a space file must have at most {MOST_BYTES:,} bytes, got more ({plain(file)})")
    return parse(text, name=name, file=file, overrides=overrides)


def parse(text: str, *, name: str, file: str, overrides: Sequence[str] = ()) -> Space:
    """The space in this TOML text; `file` is named in errors. Raises UsageError."""
    try:
        document = read_toml(text)
    except ValueError as error:
        raise UsageError(f"not valid TOML: {shortened(str(error))} ({plain(file)})") from error
    return _Reader(document, name, file, text, overrides).space()


class _Reader:
    """One document on its way to a `Space`."""

    def __init__(self, document: dict[str, Any], name: str, file: str, text: str, overrides: Sequence[str]) -> None:
        self.name, self.file, self.text = name, plain(file), text
        self.overridden: dict[str, str] = {}
        # Fixed values that an override has made a search of: variants that do not name the key keep them.
        self.kept: dict[str, Any] = {}
        self.document = document
        for table, value in document.items():
            if table not in TABLES:
                _refuse(f"unknown table [{plain(table)}]{_nearest(table, TABLES)}", self.file)
            if not isinstance(value, dict):
                _refuse(f"{table} must be a table, got {value!r}", self.file)
        for override in overrides:
            self._override(parse_override(override))

    def space(self) -> Space:
        title, datasets = self._header()
        protocol = self._protocol()
        fixed, parameters = self._fields()
        variants = self._variants(fixed)
        space = Space(self.name, title, datasets, protocol, fixed, parameters, variants, self.text)
        self._check_shapes(space)
        return space

    def _place(self, table: str, key: str = "") -> str:
        """Where a value of [table] comes from: an override replaces values of all tables but a variant's."""
        override = self.overridden.get(key) if table in _kinds() else None
        return override or f"{self.file}, [{table}]"

    def _variant_place(self, name: str) -> str:
        return self._place(f"variants.{plain(name)}")

    def _override(self, override: Override) -> None:
        key, value = override.key, override.value
        homes = {f.name: table for table, kind in _kinds().items() for f in fields(kind)}
        if key not in homes:
            _refuse(f"unknown key {plain(key)}{_nearest(key, homes)}", override.place)
        table = self.document.setdefault(homes[key], {})
        old = table.get(key)
        if override.is_shorthand and isinstance(old, dict):
            # Shorthand has no words for these; a table written out is taken as it stands.
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

    def _header(self) -> tuple[str, tuple[str, ...]]:
        header = self.document.get("space", {})
        place = self._place("space")
        for key in header:
            if key not in ("title", "datasets"):
                _refuse(f"unknown key {plain(key)}{_nearest(key, ('title', 'datasets'))}", place)
        title, datasets = header.get("title", self.name), header.get("datasets", [])
        if not isinstance(title, str):
            _refuse(f"title must be a string, got {title!r}", place)
        if not title.isprintable():
            _refuse(f"title must be one line of printable text, got {title!r}", place)
        if not isinstance(datasets, list):
            _refuse(f"datasets must be an array of names, got {datasets!r}", place)
        for dataset in datasets:
            if not isinstance(dataset, str) or dataset not in INPUT_SHAPES:
                _refuse(f"datasets must be among {', '.join(INPUT_SHAPES)}, got {dataset!r}", place)
        return title, tuple(datasets)

    def _protocol(self) -> Protocol:
        table = self.document.get("protocol", {})
        values = {key: self._value(Protocol, "protocol", key, value) for key, value in table.items()}
        try:
            return Protocol(**values)
        except ValueError as error:
            overridden = [self.overridden[key] for key in ("validation", "confirm") if key in self.overridden]
            _refuse(str(error), ", ".join(overridden) or self._place("protocol"))

    def _value(self, kind: type, table: str, key: str, value: Any) -> Any:
        """A checked field value; refuses unknown keys and bad values."""
        known = [f.name for f in fields(kind)]
        if key not in known:
            _refuse(f"unknown key {plain(key)}{_nearest(key, known)}", self._place(table, key))
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
        seen: set[tuple[type, Any]] = set()  # by type too: true is not 1
        for i, choice in enumerate(choices):
            if (type(choice), choice) in seen:
                _refuse(f"{key}.choices must differ, got {raw[i]!r} twice", place)
            seen.add((type(choice), choice))
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
            # In decimals, as Optuna counts, which would lower `high` to the last step with a mere warning.
            if (high - low) / step > MOST_STEPS:
                _refuse(
                    f"{key}.step must make at most {MOST_STEPS:,} steps, got {step!r} for {low!r} to {high!r}", place
                )
            if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
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
                _refuse(f"{parameter.name}.when names unknown key {plain(name)}{_nearest(name, defaults)}", place)
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
        for name in tables:
            # Tables, runs and reports show it as it is.
            if not (name.isprintable() and name.strip() and len(name) <= MOST_NAME):
                _refuse(
                    f"a variant's name must be 1 to {MOST_NAME} printable characters, got {name!r}",
                    f"{self.file}, [variants]",
                )
        # The baseline comes first wherever it stands: it is trial 0.
        order = ["baseline", *(name for name in tables if name != "baseline")]
        usual = {**fixed, **self._kept_values()}
        known: dict[str, dict[str, Any]] = {}
        return {name: self._variant(name, tables, usual, known) for name in order}

    def _kept_values(self) -> dict[str, Any]:
        values = {}
        for key, value in self.kept.items():
            table, kind = next((t, kind) for t, kind in _kinds().items() if key in {f.name for f in fields(kind)})
            try:
                values[key] = check_value(kind, key, value)
            except ValueError as error:
                _refuse(f"{key} {error}", f"{self.file}, [{table}]")
        return values

    def _variant(
        self, name: str, tables: Mapping[str, Any], usual: Mapping[str, Any], known: dict[str, dict[str, Any]]
    ) -> Variant:
        """The variant, by way of those that it extends; `known` keeps the values of each for the next one."""
        chain: dict[str, None] = {}
        current: str | None = name
        place = self._variant_place(name)
        while current is not None and current not in known:
            if current in chain:
                _refuse(f"extends goes round in a circle: {' -> '.join(map(plain, [*chain, current]))}", place)
            if current not in tables:
                _refuse(f"extends names unknown variant {current!r}{_nearest(current, tables)}", place)
            if not isinstance(tables[current], dict):
                _refuse(f"{plain(current)} must be a table, got {tables[current]!r}", f"{self.file}, [variants]")
            chain[current] = None
            place = self._variant_place(current)
            parent = tables[current].get("extends", None if current == "baseline" else "baseline")
            if parent is not None and not isinstance(parent, str):
                _refuse(f"extends must be a variant's name, got {parent!r}", place)
            current = parent
        values = known.get(current or "", dict(usual))
        for link in reversed(chain):
            values = values | self._own_values(link, tables[link], values.get("family", "convnet"))
            known[link] = values
        return Variant(name, Configuration.from_values(values), self._reported(name, tables[name]))

    def _own_values(self, name: str, table: Mapping[str, Any], family: str) -> dict[str, Any]:
        where = f"variants.{plain(name)}"
        family = self._value(ModelConfig, where, "family", table.get("family", family))
        model, train = ({f.name for f in fields(kind)} for kind in (MODEL_FAMILIES[family], TrainConfig))
        own = {}
        for key, value in table.items():
            if key in ("extends", "reported"):
                continue
            if key not in model | train:
                known = [*sorted(model | train), "extends", "reported"]
                _refuse(f"unknown key {plain(key)}{_nearest(key, known)}", self._place(where))
            own[key] = self._value(MODEL_FAMILIES[family] if key in model else TrainConfig, where, key, value)
        return own

    def _reported(self, name: str, table: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        raw = table.get("reported", [])
        place = self._variant_place(name)
        entries = [raw] if isinstance(raw, dict) else raw
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            _refuse(f"reported must be a table or an array of tables, got {raw!r}", place)
        for entry in entries:
            if entry.get("split") not in SPLITS:
                _refuse(f"reported.split must be one of {', '.join(SPLITS)}, got {entry.get('split')!r}", place)
            for key, value in entry.items():
                number = isinstance(value, int | float) and not isinstance(value, bool)
                if key != "split" and not (number and math.isfinite(value)):
                    _refuse(f"reported.{plain(key)} must be a finite number, got {value!r}", place)
        return tuple(entries)

    def _check_shapes(self, space: Space) -> None:
        """Refuses a variant that cannot take the data, and a choice that can in no combination."""
        if not space.datasets:
            return
        dataset = space.datasets[0]
        for variant in space.variants.values():
            try:
                check_network(variant.configuration.model, dataset)
            except ValueError as error:
                causes = [place for key, place in self.overridden.items() if key in SHAPE_FIELDS]
                _refuse(str(error), ", ".join([self._variant_place(variant.name), *causes]))
        if misfit := unusable(space.fixed, space.parameters, dataset):
            name, reason = misfit
            _refuse(reason, self._place("model", name))


def _kinds() -> dict[str, type]:
    return {"protocol": Protocol, "model": ModelConfig, "train": TrainConfig}


def _only(key: str, words: Mapping[str, Any], allowed: Sequence[str], place: str) -> None:
    for word in words:
        if word not in allowed:
            _refuse(f"unknown word {key}.{plain(word)}{_nearest(word, allowed)}", place)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {plain(near[0])}?" if near else ""


def _refuse(message: str, place: str) -> NoReturn:
    raise UsageError(f"{shortened(message)} ({place})")
