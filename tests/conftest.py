"""Options and fixtures that all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import databases
from tests.commands.processes import Driver
from tests.fake_data import write_fake_dataset

# Set before torch is imported. One thread is enough for such small networks, and test processes share the cores.
# Workers set their own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every run tries new examples; a failure prints the decorator that repeats it. No deadline and no health check of
# slowness, because a busy machine must not fail a test. `tests.hostile.within` ends what hangs.
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


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether --thorough was given."""
    return bool(request.config.getoption("--thorough"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the files with slow tests first, so that no process starts one of them last."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("fault")}
    items.sort(key=lambda item: item.path not in slow)


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
    """Covers MLflow and Optuna where an earlier test has imported them."""
    databases.adopt()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, templates: Path) -> Iterator[Driver]:
    """Runs commands as processes of their own, which know the data set "tiny" of 4,000 images in `driver.folder`."""
    folder = tmp_path_factory.mktemp("driver")
    driver = Driver(folder, write_fake_dataset(folder / "data", training=4000, test=100), templates)
    yield driver
    driver.close()
