"""A store with a promoted study of a tiny data set, made by the commands themselves, for all tests of this folder."""

from types import SimpleNamespace

import pytest

from sweeper.analysis import network
from sweeper.data.known import catalog
from sweeper.data.source import DataAccess
from sweeper.promotion import recorded
from sweeper.store.options import StoreOptions
from sweeper.studies import trial_records
from sweeper.studies.queries import find_study
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset
from tests.kept_stores import kept
from tests.promotion.conftest import Workplace
from tests.tracking import stand_ins


@pytest.fixture(scope="package")
def promoted(tmp_path_factory):
    """The commands on it, its store, its study and the outcome of the promotion; the images are at `data_dir`."""
    folder = tmp_path_factory.mktemp("analysis")
    dataset = write_fake_dataset(folder / "data", training=300, test=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        stand_ins.use(patch)
        workplace = Workplace(folder)
        workplace.search("seen", "--keep", 1)
        workplace.promote("seen", "--top", 1, "--seeds", 1, "-q")
        store = StoreOptions(workplace.store).resolve({})
        study = find_study(store, "seen")
        outcome = recorded.outcomes(store, "seen", print)[0]
        with kept(folder):
            yield SimpleNamespace(
                workplace=workplace,
                store=store,
                study=study,
                outcome=outcome,
                dataset=dataset,
                data_dir=folder / "data",
                data_access=DataAccess(folder / "data"),
            )


@pytest.fixture(scope="package")
def folded(promoted):
    """A study of three folds in the same store, without a confirm part; only its baseline is trained."""
    promoted.workplace.search("folded", "--set", "folds=3", "--keep", 1, "--trials", 1, confirm=0)
    return find_study(promoted.store, "folded")


@pytest.fixture(scope="module")
def trial(promoted):
    """The network of the search's best trial."""
    number = trial_records.best(trial_records.records(promoted.study), "accuracy").number
    return network.find(promoted.store, f"seen:{number}", "MODEL")


@pytest.fixture(scope="module")
def refit(promoted):
    """The champion's network."""
    return network.find(promoted.store, f"{promoted.outcome.model_name}@champion", "MODEL")
