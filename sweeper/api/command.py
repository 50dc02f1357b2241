"""The command line that does the same as a call: for the record, and to resume on a terminal what a notebook began."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sweeper.data import lookup
from sweeper.data.source import DataSource
from sweeper.images import class_names
from sweeper.images.value_range import ValueRange
from sweeper.models import code_files
from sweeper.store.layout import Store
from sweeper.store.redaction import redact

_BYTES = ("max_bytes", "worker_memory")


def search_command(
    source: DataSource, options: Sequence[Any], given: Mapping[str, Any], space: str | None, overrides: Sequence[str]
) -> list[str]:
    """The words of `sweeper search` for this call, without those of its store. `space` is a name or a file."""
    words = ["sweeper", "search", _path_or_name(source.dataset)]
    if space is not None:
        words += ["--space", os.path.abspath(space) if Path(space).is_file() else space]
    for override in overrides:
        words += ["--set", override]
    for name in ("study", "new"):
        words += _words(name, given.get(name))
    words += code_files.arguments()
    return [*words, *_of(source.options, class_map=given.get("map")), *_of(source), *_of_all(options)]


def promote_command(study: str, options: Sequence[Any]) -> list[str]:
    """The words of `sweeper promote` for this call, without those of its store."""
    return ["sweeper", "promote", study, *code_files.arguments(), *_of_all(options)]


def in_store(words: Sequence[str], store: Store) -> list[str]:
    """The words, with the options that name this store in any folder; without addresses that hold a secret."""
    found = [*words, "--store", str(store.root)]
    if not store.embedded_storage and redact(store.storage) == store.storage:
        found += ["--storage", store.storage]
    if not store.embedded_tracking and redact(store.tracking_uri) == store.tracking_uri:
        found += ["--tracking-uri", store.tracking_uri]
    return found


def _of_all(options: Sequence[Any]) -> list[str]:
    return [word for each in options for word in _of(each)]


def _of(options: Any, class_map: Any = None) -> list[str]:
    """The options of a dataclass that are not its defaults."""
    words: list[str] = []
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in ("dataset", "options") or value == field.default:
            continue
        if field.name == "map":
            value = os.path.abspath(os.path.expanduser(class_map))
        words += _words(field.name, value)
    return words


def _words(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    match value:
        case None | False:
            return []
        case True:
            return [option]
        case ValueRange(low=low, high=high):
            return [f"{option}={low!r},{high!r}"]
        case Path():
            return [option, os.path.abspath(value)]
        case tuple() if name == "classes":
            return [option, *shlex.split(class_names.typed(value))]
        case list() | tuple():  # the trials of a promotion
            return [word for number in value for word in ("--trial", str(number))]
        case 0 if name == "jobs_per_gpu":
            return [option, "auto"]
        case int() if name in _BYTES:
            return [option, f"{value / 10**6:f}MB"]
    return [option, str(value)]


def _path_or_name(dataset: str) -> str:
    path = lookup.path_of(dataset)
    return dataset if path is None else os.path.abspath(path)
