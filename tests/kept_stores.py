"""Stores that the tests of a module share: each test finds them as the module's fixtures have made them."""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

_kept: list["_Kept"] = []
State = dict[Path, tuple[int, ...]]


class _Kept:
    """A folder, and a copy of it."""

    def __init__(self, folder: Path, copy: Path) -> None:
        self._folder, self._copy = folder, copy
        self._state: State = {}

    def save(self) -> None:
        """Copies the folder, if it is not as it was last saved or restored."""
        if (state := self._states()) != self._state:
            shutil.rmtree(self._copy, ignore_errors=True)
            if self._folder.exists():
                shutil.copytree(self._folder, self._copy, symlinks=True)
            self._state = state

    def restore(self) -> None:
        """Makes the folder what it was when it was saved."""
        now = self._states()
        for path in sorted(now.keys() - self._state.keys(), reverse=True):  # what is in a folder comes before it
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        for path in sorted(self._state):
            if now.get(path) != self._state[path]:
                self._restore(self._copy / path.relative_to(self._folder), path)
        self._state = self._states()

    def _restore(self, saved: Path, path: Path) -> None:
        if saved.is_dir() and not saved.is_symlink():
            path.mkdir(exist_ok=True)
            shutil.copystat(saved, path)
        elif path.name in ("optuna.db", "mlflow.db") and path.is_file() and not path.is_symlink():
            _copy_database(saved, path)  # connections to it may be open
        else:
            path.unlink(missing_ok=True)
            shutil.copy2(saved, path, follow_symlinks=False)
            _close_connections(path)

    def _states(self) -> State:
        """What tells a changed file or folder, by path."""
        paths = [Path(place, name) for place, *names in os.walk(self._folder) for name in chain(*names)]
        states = {}
        for path in paths:
            stat = path.lstat()
            is_folder = path.is_dir() and not path.is_symlink()
            states[path] = (stat.st_mode,) if is_folder else (stat.st_mode, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return states


def _copy_database(saved: Path, path: Path) -> None:
    try:
        with closing(sqlite3.connect(saved)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
    except sqlite3.DatabaseError:  # a test has made something else of it
        path.unlink()
        shutil.copy2(saved, path)


def _close_connections(path: Path) -> None:
    """Closes MLflow's pools of connections to the database, which hold the file that a test has deleted."""
    for name in ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"):
        if name in sys.modules:
            for uri, engine in sys.modules[name].SqlAlchemyStore._engine_map.items():
                if uri.endswith(str(path)):
                    engine.dispose()


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Within the block, each test finds the folder as fixtures of modules and sessions have made it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as copies:
        _kept.append(this := _Kept(folder, Path(copies) / "copy"))
        try:
            yield
        finally:
            _kept.remove(this)


@contextmanager
def all_as_found() -> Iterator[None]:
    """Restores all kept folders after the block."""
    for folder in _kept:
        folder.save()
    yield
    for folder in _kept:
        folder.restore()
