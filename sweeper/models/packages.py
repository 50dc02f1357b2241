"""Installed packages: which modules belong to them, the families that they add, and a hash of their code."""

import hashlib
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from sweeper.errors import UsageError, plain, shortened
from sweeper.models import foreign_calls

# The group of entry points by which a package adds families: NAME = "module:class or function".
GROUP = "sweeper.families"


@cache
def families() -> dict[str, str]:
    """The families that installed packages add: the network of each, as "module:name". Imports none of them.

    Raises UsageError for a name that two packages add.
    """
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=GROUP):
        if found.setdefault(point.name, point.value) != point.value:
            raise UsageError(
                f"two packages add a family {plain(point.name)}: {found[point.name]} and {point.value}; uninstall one"
            )
    return found


def not_installed(module: str) -> str:
    """The path of a module that is found, but neither installed, nor of the standard library, nor sweeper's; else "".

    Imports nothing.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == __name__.partition(".")[0]:
        return ""
    places = _places(top)
    return "" if not places or _is_installed(top, places) else f"{plain(top)} ({plain(places[0])})"


def imported(module: str) -> ModuleType:
    """A module of an installed package. Raises UsageError if it is none, or cannot be imported."""
    top = module.partition(".")[0]
    known = {value.partition(":")[0] for value in families().values()}
    if module not in known:
        if top in sys.stdlib_module_names:
            raise UsageError(
                f"{plain(module)} is of Python's standard library, which has no networks: name a module of your own"
            )
        places = _places(top)
        if not places:
            raise UsageError(
                f"no installed package has a module {plain(module)}: if it is a file, name it with --code {top}.py"
            )
        if not _is_installed(top, places):
            file = f"name it with --code {plain(places[0])}" if places[0].endswith(".py") else "install it"
            raise UsageError(
                f"{plain(module)} is found in {plain(places[0])}, but is not installed, and a space file alone runs no "
                f"code: {file}"
            )
    try:
        return foreign_calls.call(importlib.import_module, module)
    except foreign_calls.ForeignError as error:
        raise UsageError(f"the module {plain(module)} cannot be imported: {shortened(str(error))}") from error


@cache
def code_sha256(module: str) -> str:
    """The SHA-256 of all Python files of the module's package, by name; of a module by itself, that of its file."""
    top = sys.modules[module.partition(".")[0]]
    folders = [Path(folder) for folder in getattr(top, "__path__", [])]
    if not folders:
        return hashlib.sha256(Path(str(top.__file__)).read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _places(top: str) -> list[str]:
    """Where Python finds a top-level module: its file, or its folders; empty if nowhere."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return list(spec.submodule_search_locations or ([spec.origin] if spec.origin else []))


def _is_installed(top: str, places: list[str]) -> bool:
    """Whether all that Python finds under this name belongs to installed distributions."""
    names = _distributions().get(top, [])
    folders = [Path(str(metadata.distribution(name).locate_file(""))).resolve() for name in names]
    folders += [folder for folder, modules in _editable() if top in modules]
    return all(any(Path(place).resolve().is_relative_to(folder) for folder in folders) for place in places)


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The installed distributions that have each module; looking them all up takes a second or more."""
    return metadata.packages_distributions()


@cache
def _editable() -> list[tuple[Path, frozenset[str]]]:
    """The folder and the modules of each distribution that is installed as it is being worked on (pip install -e).

    Other files in such a folder are no part of the distribution, though Python may find them.
    """
    found = []
    for distribution in metadata.distributions():
        text = distribution.read_text("direct_url.json")
        origin = json.loads(text) if text else {}
        if origin.get("dir_info", {}).get("editable"):
            listed = (distribution.read_text("top_level.txt") or "").split()
            named = re.sub(r"[-.]+", "_", distribution.metadata["Name"])  # other tools list no modules
            found.append((Path(unquote(urlsplit(origin["url"]).path)).resolve(), frozenset([*listed, named])))
    return found
