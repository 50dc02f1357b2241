"""A store with small studies of a tiny data set, made by the commands themselves, with the workers in this process."""

import json
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.data.known import catalog
from tests import databases
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset
from tests.kept_stores import kept
from tests.tracking import stand_ins

SPACE = """
[space]
title = "tiny"
datasets = ["fashion_mnist"]

[protocol]
epochs = 2
confirm = {confirm}

[model]
filters = {{ choices = [[2, 4, 8], [3, 4, 8]] }}
kernel_size = 5
padding = [2, 0, 0]
hidden = [8]
activation = {{ choices = ["relu", "tanh"] }}

[train]
lr = {{ type = "float", low = 1e-5, high = 2e-2, log = true }}
batch_size = 32

[variants.baseline]
filters = [2, 4, 8]
lr = 1e-5
"""


class Workplace:
    """The commands on one store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.space = folder, folder / "store", folder / "tiny_space.toml"
        self.space.write_text(SPACE.format(confirm=0.2))

    def run(self, *arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def search(self, study, *more, confirm=0.2):
        """A study of three trials, of which the baseline learns nothing; its --json object."""
        self.space.write_text(SPACE.format(confirm=confirm))
        arguments = f"--space {self.space} --study {study} --trials 3 --pruner none --keep 0 --jobs 1 --seed 2".split()
        return json.loads(self.run("search", "tiny", *arguments, *more, *self.places, "--json", "-q").stdout)

    def promote(self, *arguments, code=0):
        """The result of the command, with one job."""
        return self.run("promote", *arguments, "--jobs", 1, *self.places, code=code)

    def promoted(self, *arguments):
        """The command's --json object."""
        return json.loads(self.promote(*arguments, "--json", "-q").stdout)

    @property
    def places(self):
        return ["--data-dir", self.folder / "data", "--store", self.store]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """What a test does there is undone after it: a store of its own would cost MLflow's migrations every time."""
    folder = tmp_path_factory.mktemp("promotion")
    dataset = write_fake_dataset(folder / "data", training=300, test=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        stand_ins.use(patch)
        databases.make_empty(folder / "store")
        with kept(folder):
            yield Workplace(folder)


@pytest.fixture(scope="module")
def client(workplace):
    """MLflow's client for the store."""
    uri = f"sqlite:///{workplace.store}/mlflow.db"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
