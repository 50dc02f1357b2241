"""Options that several commands share, and the values that click has no type for."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper import store as stores
from sweeper.config import MOST_FOLDS, MOST_INTEGER, Protocol

if TYPE_CHECKING:
    from sweeper.space import Space

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


MOST_REPEATS = 1000
# A data set's own space where --space is not given.
DEFAULT_SPACES = {"fashion_mnist": "lenet5"}
SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Duration(click.ParamType):
    """Seconds, from 90, 90s, 45m, 2h, 1d or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
        else:
            self.fail(f"must be a duration such as 90s, 45m, 2h or 1h30m, got {value!r}", param, ctx)
        if seconds <= 0:
            self.fail(f"must be longer than nothing, got {value!r}", param, ctx)
        return seconds


class Jobs(click.ParamType):
    """A number of workers, or auto (None)."""

    name = "auto|integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        if not re.fullmatch("0*[1-9][0-9]{0,3}", str(value)):
            self.fail(f"must be auto or an integer of at least 1 and at most 9999, got {value!r}", param, ctx)
        return int(value)


class Folds(click.ParamType):
    """A number of folds: 0 for none, or at least 2."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if not re.fullmatch("[0-9]{1,4}", str(value)) or int(value) == 1 or int(value) > MOST_FOLDS:
            text = f"must be 0 for none, or an integer of at least 2 and at most {MOST_FOLDS}, got {value!r}"
            self.fail(text, param, ctx)
        return int(value)


class Size(click.ParamType):
    """Bytes, from 800MB, 4GB or 1.5GiB, or auto (None)."""

    name = "auto|size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto" or isinstance(value, int):
            return value if isinstance(value, int) else None
        parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([MG])(i?)B", str(value), re.ASCII | re.IGNORECASE)
        if not parts:
            self.fail(f"must be auto or a size such as 4GB or 1.5GiB, got {value!r}", param, ctx)
        base = 1024 if parts[3] else 1000
        return round(float(parts[1]) * base ** (2 if parts[2].upper() == "M" else 3))


def store_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--store, --storage and --tracking-uri."""
    for option in reversed(
        (
            click.option(
                "--store",
                type=click.Path(path_type=Path),
                envvar="SWEEPER_STORE",
                show_envvar=True,
                help="Folder of the databases, artifacts and checkpoints.  [default: mlruns]",
            ),
            click.option(
                "--storage",
                metavar="URL",
                help="Optuna's storage, if not SQLite in the store.  [env var: OPTUNA_STORAGE]",
            ),
            click.option(
                "--tracking-uri",
                metavar="URL",
                help="MLflow's server, if not SQLite in the store.  [env var: MLFLOW_TRACKING_URI]",
            ),
        )
    ):
        function = option(function)
    return function


data_dir_option: Decorator = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="SWEEPER_DATA_DIR",
    show_envvar=True,
    help="Folder of the data files, plain or .gz, directly or in torchvision's layout.",
)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--data-dir and --offline: where data may come from."""
    offline = click.option("--offline", is_flag=True, help="Never use the network.")
    return data_dir_option(offline(function))


def progress_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--quiet and --verbose."""
    quiet = click.option("--quiet", "-q", is_flag=True, help="No progress.")
    verbose = click.option("--verbose", "-v", is_flag=True, help="Every epoch as a line.")
    return quiet(verbose(function))


space_option: Decorator = click.option(
    "--space", "space_name", metavar="NAME|FILE", help="Search space.  [default: the data set's own]"
)

variant_option: Decorator = click.option(
    "--variant", default="baseline", show_default=True, metavar="NAME", help="Variant of the space."
)


def set_option(values: str) -> Decorator:
    """--set, which takes these values."""
    text = f"Redefine a parameter: {values}. Repeatable."
    return click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help=text)


subset_option: Decorator = click.option(
    "--subset", type=click.IntRange(min=1), metavar="N", help="Use N stratified images only, for a quick try."
)


def protocol_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--epochs, --folds and --repeats."""
    for option in reversed(
        (
            click.option(
                "--epochs",
                type=click.IntRange(1, MOST_INTEGER),
                help="Epochs a training.  [default: the space's, or 15]",
            ),
            click.option(
                "--folds",
                type=Folds(),
                metavar="K",
                help="Score on K stratified folds rather than one validation part; 0 is none.  [default: the space's, "
                "or 0]",
            ),
            click.option(
                "--repeats",
                type=click.IntRange(1, MOST_REPEATS),
                metavar="N",
                help="Train each configuration with N seeds, and take the mean.  [default: the space's, or 1]",
            ),
        )
    ):
        function = option(function)
    return function


device_option: Decorator = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|cuda:N|mps",
    help="Where to train; cuda means every visible GPU.",
)

worker_memory_option: Decorator = click.option(
    "--worker-memory",
    type=Size(),
    metavar="auto|SIZE",
    help="Most memory of a worker on a CPU, such as 4GB: a larger trial is pruned. auto is an equal share of what is "
    "available.  [default: auto]",
)

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def load_space(dataset: str, space_name: str | None, overrides: Sequence[str]) -> "Space":
    """The space that the options name, for a data set that there is. Raises UsageError."""
    from sweeper import space_file
    from sweeper.data import catalog

    catalog.get(dataset)
    return space_file.load(space_name or DEFAULT_SPACES[dataset], overrides)


def asked_protocol(space: "Space", epochs: int | None, folds: int | None, repeats: int | None) -> Protocol:
    """The space's protocol, but for what the options say."""
    asked: dict[str, Any] = {"epochs": epochs, "folds": folds, "repeats": repeats}
    return replace(space.protocol, **{name: value for name, value in asked.items() if value is not None})


def resolve_store(store: Path | None, storage: str | None, tracking_uri: str | None) -> stores.Store:
    """The store that the options and the environment name."""
    return stores.resolve(store, storage, tracking_uri, os.environ)


def store_arguments(store: stores.Store) -> str:
    """What a command on this store needs behind it to be typed here; begins with a space, or is empty."""
    words = []
    if store.root != Path(os.path.abspath(stores.DEFAULT_STORE)):
        words += ["--store", str(store.root)]
    for option, variable, url, embedded in (
        ("--storage", "OPTUNA_STORAGE", store.storage, store.embedded_storage),
        ("--tracking-uri", "MLFLOW_TRACKING_URI", store.tracking_uri, store.embedded_tracking),
    ):
        # With a password hidden the address would not work, and one in the variable need not be typed.
        if not embedded and stores.redact(url) == url and os.environ.get(variable) != url:
            words += [option, url]
    return "".join(f" {shlex.quote(word)}" for word in words)


def note_store(store: stores.Store) -> None:
    """Says on stderr which store is used, and which databases where they are not in it."""
    note(f"Store: {store.root}")
    if not store.embedded_storage or not store.embedded_tracking:
        note(f"Optuna: {stores.redact(store.storage)}  MLflow: {stores.redact(store.tracking_uri)}")


def note(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().params["debug"] = True


debug_option: Decorator = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks."
)
