"""Stores for commands on the tiny data set, and one undisturbed study."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.commands.processes import Driver
from tests.faults.workplace import FIXED_LIST, N_TRIALS, Workplace
from tests.once import made_by_first


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two empty databases, which each test copies."""
    store = tmp_path_factory.mktemp("empty") / "store"
    databases.make_empty(store)
    return store


def create_workplace(driver: Driver, empty_store: Path, folder: Path) -> Workplace:
    """Creates a workplace whose store has all tables and no rows."""
    shutil.copytree(empty_store, folder / "store")
    (folder / "space.toml").write_text(FIXED_LIST)
    return open_workplace(driver, folder)


def open_workplace(driver: Driver, folder: Path) -> Workplace:
    """The workplace that already exists in the folder."""
    return Workplace(driver, driver.folder / "data", folder / "space.toml", folder / "store")


@pytest.fixture
def workplace(driver: Driver, empty_store: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace for one test. At the test's end, all processes that still run are killed."""
    yield create_workplace(driver, empty_store, tmp_path)
    driver.clear()


@pytest.fixture(scope="module")
def workplace_of_module(driver: Driver, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace that the tests of one file share."""
    return create_workplace(driver, empty_store, tmp_path_factory.mktemp("module"))


@pytest.fixture(scope="session")
def long_wait(thorough: bool) -> float:
    """How many seconds a temporary fault lasts."""
    # Longer than the 5 s that sqlite3 itself waits for a lock.
    return 30.0 if thorough else 10.0


@pytest.fixture(scope="session")
def undisturbed(driver: Driver, empty_store: Path, shared_folder: Path) -> Workplace:
    """The study of the fixed list, run to its end by one command."""
    folder = shared_folder / "undisturbed"
    with made_by_first(folder) as is_first:
        if is_first:
            shutil.rmtree(folder, ignore_errors=True)
            create_workplace(driver, empty_store, folder).search("--trials", N_TRIALS, jobs=2).ended()
    return open_workplace(driver, folder)
