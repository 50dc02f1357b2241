"""Finds the class or function of a network of the user's, in a file of code or in an installed package."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.config import CustomConfig
from sweeper.errors import UsageError, nearest, plain
from sweeper.models import code_files, packages


@dataclass(frozen=True)
class OwnNetwork:
    """A class or function that makes networks, as "module:name", with the SHA-256 of its code."""

    name: str
    call: Callable[..., Any]
    code_sha256: str


def use_code(path: Path) -> None:
    """Lets this process run the file at `path`, in which space files name networks. Raises UsageError."""
    code_files.use(code_files.read(path))


def find(name: str) -> OwnNetwork:
    """The network that a space file means by "module:name": that of a file in use, or of an installed package.

    Runs the file, or imports the package. Raises UsageError if that fails, or there is no such network.
    """
    module_name, _, attribute = name.partition(":")
    if file := code_files.named(module_name):
        return OwnNetwork(name, _callable(code_files.module_of(file), attribute, file.name), file.sha256)
    module = packages.imported(module_name)
    return OwnNetwork(name, _callable(module, attribute, module_name), packages.code_sha256(module_name))


def find_again(config: CustomConfig) -> OwnNetwork:
    """The network of a configuration, made by the same code. Raises UsageError if this process has other code or none.

    Runs the file, or imports the package, unless that was done already.
    """
    module_name, _, attribute = config.network.partition(":")
    if file := code_files.by_hash(config.code_sha256):
        return OwnNetwork(config.network, _callable(code_files.module_of(file), attribute, file.name), file.sha256)
    if other := code_files.named(module_name):
        raise UsageError(
            _changed(config, other.name, other.sha256) + f": give the file as it was (--code {other.path})"
        )
    try:
        found = find(config.network)
    except UsageError as error:
        raise UsageError(f"{error}; the code of {config.network} had SHA-256 {config.code_sha256}") from error
    if found.code_sha256 != config.code_sha256:
        raise UsageError(
            _changed(config, f"the installed package of {module_name}", found.code_sha256)
            + f": install it as it was, or, if {module_name} was a file, name it with --code {module_name}.py"
        )
    return found


def _changed(config: CustomConfig, what: str, sha256: str) -> str:
    return f"{config.network} was made by code with SHA-256 {config.code_sha256}, and {what} has {sha256}"


def _callable(module: Any, attribute: str, place: str) -> Callable[..., Any]:
    if attribute not in vars(module):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UsageError(f"{plain(place)} has no class or function {attribute}{nearest(attribute, known)}")
    found = getattr(module, attribute)
    if not callable(found):
        raise UsageError(f"{attribute} of {plain(place)} must be a class or function, got {type(found).__name__}")
    call: Callable[..., Any] = found
    return call
