"""Files of code that a command line names: each is read once, known by its SHA-256, and run as a module."""

import ast
import hashlib
import linecache
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType

from sweeper.errors import UsageError, plain, shortened
from sweeper.models import foreign_calls, packages

# A thousand times a network of one screen; bounds what is hashed, logged and sent to workers.
MOST_BYTES = 10**6


@dataclass(frozen=True)
class CodeFile:
    """A file of Python code: its absolute path, and what it held when it was read."""

    path: str
    content: bytes

    @property
    def name(self) -> str:
        """The file's name, as messages give it."""
        return plain(Path(self.path).name)

    @property
    def module_name(self) -> str:
        """What stands before the colon in the name of a network in this file."""
        return Path(self.path).stem

    @property
    def text(self) -> str:
        """The code, in the encoding that it declares as Python files do, or UTF-8."""
        return decode_source(self.content)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


# The files that this process may run, by hash; the last one of a name is that which a space file means by it. As with
# imported modules, of which they become some, they are those of the whole process.
_in_use: dict[str, CodeFile] = {}
_named: dict[str, CodeFile] = {}


def read(path: Path) -> CodeFile:
    """The file; runs nothing. Raises UsageError if it is no single file of Python code."""
    shown = plain(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"a file of code must be named as a Python module, such as nets.py, got {shown} (--code)")
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UsageError(f"{shown} is no regular file (--code)")
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror} (--code)") from error
    if len(content) > MOST_BYTES:
        raise UsageError(f"a file of code must have at most {MOST_BYTES:,} bytes, got more ({shown}, --code)")
    file = CodeFile(str(path.resolve()), content)
    try:
        tree = ast.parse(content, file.name)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise UsageError(f"not valid Python: {error.msg} ({shown}{line})") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; an expression nested too deeply
        raise UsageError(f"not valid Python: {foreign_calls.in_words(error)} ({shown})") from error
    _refuse_neighbours(tree, file)
    return file


def use(file: CodeFile) -> None:
    """Lets this process run the file."""
    _in_use[file.sha256] = _named[file.module_name] = file


def in_use() -> tuple[CodeFile, ...]:
    """The files that this process may run."""
    return tuple(_in_use.values())


def arguments() -> list[str]:
    """The options that name these files again; each path once, whatever versions of it were used."""
    return [word for path in dict.fromkeys(file.path for file in _in_use.values()) for word in ("--code", path)]


def named(module_name: str) -> CodeFile | None:
    """The file that a space file means by this name; None if the command line has named none."""
    return _named.get(module_name)


def by_hash(sha256: str) -> CodeFile | None:
    """The file with this hash, if this process may run it."""
    return _in_use.get(sha256)


def module_of(file: CodeFile) -> ModuleType:
    """The file's module, run if it was not yet. Raises UsageError, with the line, if it cannot be run."""
    name = f"{file.module_name}_{file.sha256[:12]}"  # two versions of a file are two modules
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file.path
    # Tracebacks show these lines, and not those of a file that was changed since.
    source = f"<{file.path} {file.sha256[:12]}>"
    lines = file.text.splitlines(keepends=True)
    linecache.cache[source] = (len(file.content), None, lines, source)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        foreign_calls.call(lambda: exec(compile(file.content, source, "exec"), vars(module)))
    except foreign_calls.ForeignError as error:
        del sys.modules[name]
        frames = traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ else []
        line = next((f", line {frame.lineno}" for frame in reversed(frames) if frame.filename == source), "")
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name:
            raise UsageError(
                f"{file.name} imports {plain(error.__cause__.name)}, which is not installed: install it, or put its "
                f"code into {file.name}, because --code takes one file ({file.name}{line})"
            ) from error
        raise UsageError(f"{file.name} cannot be run: {shortened(str(error))} ({file.name}{line})") from error
    return module


def _refuse_neighbours(tree: ast.AST, file: CodeFile) -> None:
    """Refuses imports of modules that are found and not installed, such as a file beside this one.

    They would be neither in the hash, nor in the record of the study, nor the same when a worker imports them later.
    """
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(level=level) if level:
                missing = "." * level + (node.module or "")
            case ast.ImportFrom(module=str(module)):
                missing = packages.not_installed(module)
            case ast.Import(names=aliases):
                missing = next((found for alias in aliases if (found := packages.not_installed(alias.name))), "")
            case _:
                continue
        if missing:
            raise UsageError(
                f"{file.name} imports {missing}, which is no installed package: put its code into {file.name}, because "
                f"--code takes one file, or install it ({file.name}, line {node.lineno})"
            )
