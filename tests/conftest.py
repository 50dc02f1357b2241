"""Options and fixtures that all tests share."""

import gc
import math
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import databases, kept_stores, unsynced
from tests.commands.processes import Driver
from tests.fake_data import write_fake_dataset

# This must be set before torch is imported. One thread is enough for such small networks, because the test processes
# share the cores. Workers set their own number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every run tries new random examples; a failure prints the decorator that reproduces it. There is no deadline and no
# health check for slowness, because a busy machine must not fail a test. `tests.hostile.within` ends a test that hangs.
for name, max_examples in (("quick", 10), ("thorough", 200)):
    settings.register_profile(
        name,
        database=None,
        deadline=None,
        print_blob=True,
        max_examples=max_examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="Try 20 times as many random examples, and let faults last longer."
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("--thorough") else "quick")
    # The width of tables must not depend on where the tests run; pytest-xdist gives its processes one.
    os.environ.pop("COLUMNS", None)
    unsynced.files()
    # Commands honour signals that are ignored from birth; tests started by nohup, or in the background, would fail.
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGUSR1, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether --thorough was given."""
    return bool(request.config.getoption("--thorough"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collects tests without garbage collections, and spares later ones what is imported meanwhile: it stays anyway."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(50_000, 10, 10)  # as in a command's own process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the files with the most slow tests first, so that no process starts one of them last."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("fault"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def templates(shared_folder: Path) -> Path:
    """The folder of the template databases."""
    databases.copy_from(shared_folder / "databases")
    return shared_folder / "databases"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Makes MLflow and Optuna copy template databases, and not wait for the disk, if they are imported by now.

    Commands then wait for MLflow as long as it accepts writes, which on a busy machine may be longer than they else do.
    """
    databases.adopt()
    unsynced.databases()
    if outbox_worker := sys.modules.get("sweeper.tracking.outbox_worker"):
        outbox_worker.DELIVERING_SECONDS = math.inf


@pytest.fixture(autouse=True)
def stores_as_found() -> Iterator[None]:
    """Restores the stores that tests of a module share, so that the tests pass in any order, and alone."""
    with kept_stores.all_as_found():
        yield


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, templates: Path) -> Iterator[Driver]:
    """Runs commands as separate processes that know the data set "tiny": 4,000 images in `driver.folder`."""
    folder = tmp_path_factory.mktemp("driver")
    driver = Driver(folder, write_fake_dataset(folder / "data", training=4000, test=100), templates)
    yield driver
    driver.close()
