"""How many examples hypothesis tries, databases that are copied, and a process that commands are forked from."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import databases
from tests.commands.processes import Driver
from tests.fake_data import write_fake_dataset

# Tests train networks of a few numbers, several of them at once: more threads would only wait for each other. Before
# torch is imported; workers and commands set their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Other examples in every run; a failure prints the line that repeats it. No deadline and no health check of slowness: a
# busy machine must fail nothing. `tests.hostile.within` ends what hangs.
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
    parser.addoption("--thorough", action="store_true", help="20 times as many examples, and faults that last long")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("--thorough") else "quick")


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether all is wanted, however long it takes."""
    return bool(request.config.getoption("--thorough"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests take long go first, so that no process is left with one at the end."""
    items.sort(key=lambda item: not _takes_long(item))


def _takes_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(marker) is not None for marker in ("slow", "fault"))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is the same for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def templates(shared_folder: Path) -> Path:
    """Where the empty databases lie."""
    databases.copy_from(shared_folder / "databases")
    return shared_folder / "databases"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """MLflow may have been imported since the test before."""
    databases.adopt()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, templates: Path) -> Iterator[Driver]:
    """Runs commands as processes of their own, which know the data set "tiny" of 4,000 images in `driver.folder`."""
    folder = tmp_path_factory.mktemp("driver")
    driver = Driver(folder, write_fake_dataset(folder / "data", training=4000, test=100), templates)
    yield driver
    driver.close()
