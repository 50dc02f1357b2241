import sqlite3
from pathlib import Path
from pkgutil import resolve_name

import mlflow
import optuna
import pytest
from mlflow.entities import ViewType
from mlflow.utils.file_utils import local_file_uri_to_path
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.studies import delete
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.queries import find_study, status_of, studies_in
from sweeper.tracking.client import ROOT
from sweeper.tracking.delete import StudyRuns
from sweeper.tracking.tracker import DataRecord, Tracker
from tests.promotion.conftest import workplace  # noqa: F401


class Place:
    """The workplace's store, seen from outside."""

    def __init__(self, root) -> None:
        self.store = StoreOptions(root).resolve({})
        self.client = mlflow.MlflowClient(self.store.tracking_uri, self.store.tracking_uri)

    def runs(self, study_id, view=ViewType.ACTIVE_ONLY):
        """The runs of the study in MLflow."""
        experiment = self.client.get_experiment_by_name("tiny").experiment_id
        parents = self.client.search_runs([experiment], f"tags.`sweeper.study_id` = '{study_id}'", ViewType.ALL)
        queries = [f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'" for parent in parents]
        found = [run for query in queries for run in self.client.search_runs([experiment], query, view)]
        wanted = [p for p in parents if view == ViewType.ALL or p.info.lifecycle_stage == "active"]
        return {run.info.run_id: run for run in [*wanted, *found]}

    def files_of(self, run_ids):
        """What is left of the artifacts of these runs."""
        return [path for run_id in run_ids for path in (self.store.artifacts / "tiny").glob(f"{run_id}/**/*")]

    def local(self, study):
        """The paths in the store, but for MLflow's and the databases, that are named for the study."""
        parts = [path.relative_to(self.store.root).parts for path in self.store.root.rglob("*")]
        return [p for p in parts if p[0] != "artifacts" and any(name.startswith(study) for name in p)]


@pytest.fixture(scope="module")
def place(workplace):  # noqa: F811
    return Place(workplace.store)


def remove(store, study):
    delete.remove(store, delete.plan(store, study))


def contents(folders):
    """Every file under the folders, bitwise."""
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def study_id(study):
    return study.user_attrs["study_id"]


def test_nothing_of_the_study_is_left_and_others_are_as_before(workplace, place):  # noqa: F811
    for name in ("gone", "other"):
        workplace.search(name)
    study, other = (find_study(place.store, name) for name in ("gone", "other"))
    my_id, their_id = study_id(study), study_id(other)
    mine, theirs = place.runs(my_id), place.runs(their_id)
    files_of_theirs = place.files_of(theirs)
    assert place.files_of(mine)
    assert place.local("gone")

    planned = delete.plan(place.store, study)
    assert (planned.n_trials, planned.n_runs, planned.kept) == (3, 4, {})
    assert 1_000 < planned.n_bytes < 10_000_000
    assert not planned.bytes_on_server
    delete.remove(place.store, planned)

    assert "gone" not in [s.study_name for s in studies_in(place.store)]
    assert place.runs(my_id) == {}
    assert place.runs(my_id, ViewType.ALL).keys() == mine.keys()  # MLflow can still restore them, or `mlflow gc`
    assert place.files_of(mine) == []
    assert place.local("gone") == []
    assert place.runs(their_id).keys() == theirs.keys()
    assert place.files_of(theirs) == files_of_theirs
    assert place.local("other")


def test_registered_models_and_looks_at_the_test_set_stay(workplace, place):  # noqa: F811
    workplace.search("champions")
    workplace.promoted("champions", "--top", 1, "--seeds", 1, "--test")
    study = find_study(place.store, "champions")
    runs = place.runs(study_id(study), ViewType.ALL)
    versions = {v.run_id: f"{v.name}/{v.version}" for v in place.client.search_model_versions() if v.run_id in runs}
    assert len(versions) == 2

    sources = [place.client.get_model_version(*name.split("/")).source for name in versions.values()]
    models = [Path(local_file_uri_to_path(source)) for source in sources]
    assert all((model / "data" / "model.pt2").exists() for model in models)
    of_models = contents(models)

    planned = delete.plan(place.store, study)
    assert planned.kept == {run_id: [name] for run_id, name in versions.items()}
    assert planned.n_runs == len(runs) - 2
    sid = study_id(study)
    delete.remove(place.store, planned)

    assert place.runs(sid).keys() == versions.keys()
    assert place.files_of(runs.keys() - versions.keys()) == []
    assert contents(models) == of_models
    evaluations = workplace.run("ledger", "--store", workplace.store, "--json").stdout
    assert sid in evaluations


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("target", "calls"),
    [
        ("sweeper.tracking.delete.StudyRuns._free", 0),
        ("sweeper.tracking.delete.StudyRuns._free", 1),
        ("mlflow.MlflowClient.delete_run", 0),
        ("mlflow.MlflowClient.delete_run", 1),
        ("shutil.rmtree", 0),
        ("optuna.delete_study", 0),
        ("sweeper.store.layout.Store.forget", 0),
    ],
)
def test_deletion_that_was_killed_is_finished_by_the_same_command(workplace, place, monkeypatch, target, calls):  # noqa: F811
    name = f"killed-{target.rpartition('.')[2].strip('_')}-{calls}"
    workplace.search(name, "--trials", 1, "--epochs", 1)
    study = find_study(place.store, name)
    mine, sid = place.runs(study_id(study)), study_id(study)
    done = []

    def kill(*arguments, **options):
        if target == "shutil.rmtree" and name not in str(arguments[0]):
            return original(*arguments, **options)  # of a database that is opened
        if len(done) == calls:
            raise Killed
        done.append(arguments)
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        original = resolve_name(target)
        patch.setattr(target, kill)
        with pytest.raises(Killed):
            remove(place.store, study)
    if target != "sweeper.store.layout.Store.forget":
        status = workplace.run("status", name, "--store", workplace.store).stdout
        assert f"{name}: half deleted\n" in status
        assert f"To resume: sweeper delete {name} --store {workplace.store}" in status
        refused = workplace.run("promote", name, *workplace.places, code=1)
        assert f"study {name} is half deleted" in refused.stderr
        workplace.run("delete", name, "--yes", "--store", workplace.store)
        assert place.local(name) == []
    assert name not in [s.study_name for s in studies_in(place.store)]
    assert place.runs(sid) == {}
    assert place.files_of(mine) == []


def test_running_study_is_not_deleted(workplace, place):  # noqa: F811
    workplace.search("busy", "--trials", 1, "--epochs", 1)
    study = find_study(place.store, "busy")
    planned = delete.plan(place.store, study)
    with place.store.owning("busy"):
        with pytest.raises(SweeperError, match=r"busy is being run by process .*: `sweeper stop busy --store .*` ends"):
            delete.plan(place.store, study)
        with pytest.raises(SweeperError, match="busy is being run by process"):
            delete.remove(place.store, planned)
    assert place.files_of(place.runs(study_id(study)))


def test_nothing_is_deleted_here_while_mlflow_is_away(workplace, place):  # noqa: F811
    workplace.search("away", "--trials", 1, "--epochs", 1)
    away = StoreOptions(workplace.store, None, "http://me:secret@127.0.0.1:1").resolve({})
    local, study = place.local("away"), find_study(place.store, "away")
    with pytest.raises(SweeperError, match=r"^MLflow at http://me:\*\*\*@127.0.0.1:1 cannot be used"):
        delete.remove(away, delete.plan(place.store, study))
    assert place.local("away") == local
    assert study.user_attrs["ended"] == ""


def test_study_without_any_mlflow_database_is_deleted_and_none_is_made(workplace, place):  # noqa: F811
    workplace.search("lonely", "--trials", 1, "--epochs", 1)
    moved = place.store.root / "mlflow.db.away"
    (place.store.root / "mlflow.db").rename(moved)
    try:
        remove(place.store, find_study(place.store, "lonely"))
        assert not (place.store.root / "mlflow.db").exists()
    finally:
        moved.rename(place.store.root / "mlflow.db")
    assert place.local("lonely") == []


def test_study_whose_spec_cannot_be_read_is_deleted_all_the_same(workplace, place):  # noqa: F811
    workplace.search("changed", "--trials", 1, "--epochs", 1)
    study = find_study(place.store, "changed")
    spec = dict(study.user_attrs["spec"])
    del spec["data_sha256"]
    study.set_user_attr("spec", spec)
    with pytest.raises(SweeperError, match=r"^study changed cannot be read"):
        status_of(place.store, study)
    remove(place.store, study)
    assert "changed" not in [s.study_name for s in studies_in(place.store)]
    assert place.local("changed") == []


@pytest.mark.parametrize(("name", "later"), [("mortal", "heir"), ("phoenix", "phoenix")])
def test_study_that_was_deleted_meanwhile_is_refused_and_the_one_of_its_number_stays(
    workplace,  # noqa: F811
    place,
    name,
    later,
):
    workplace.search(name, "--trials", 1, "--epochs", 1)
    study = find_study(place.store, name)
    planned = delete.plan(place.store, study)
    delete.remove(place.store, planned)
    with pytest.raises(SweeperError, match=rf"^study {name} was deleted meanwhile, by another command$"):
        delete.remove(place.store, planned)

    workplace.search(later, "--trials", 1, "--epochs", 1)
    other = find_study(place.store, later)
    assert other._study_id == study._study_id  # SQLite's number of the deleted one
    with pytest.raises(SweeperError, match=f"study {name} was deleted meanwhile"):
        delete.remove(place.store, planned)
    assert other.user_attrs["ended"] == ""
    assert len(place.runs(study_id(other))) == 2
    assert place.local(later)


def full_disk():
    """SQLite's own error where there is no room, as Optuna passes it on."""
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        database.execute("CREATE TABLE t (x)")
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = OperationalError("UPDATE", {}, full.value)
    return error


def test_study_frees_its_own_files_where_the_disk_has_no_room_to_mark_it(workplace, place, monkeypatch):  # noqa: F811
    workplace.search("ample", "--trials", 1, "--epochs", 1)
    study = find_study(place.store, "ample")
    mine = place.runs(study_id(study))
    checkpoint = place.store.trial_folder("ample", study_id(study), 0)
    checkpoint.mkdir(parents=True)
    write = optuna.Study.set_user_attr

    def full(*arguments):
        if checkpoint.exists() or place.files_of(mine):
            raise full_disk()
        write(*arguments)

    monkeypatch.setattr(optuna.Study, "set_user_attr", full)
    assert place.files_of(mine)
    remove(place.store, study)
    assert "ample" not in [s.study_name for s in studies_in(place.store)]
    assert place.local("ample") == []


def test_storage_that_takes_no_mark_keeps_the_study_whole_and_is_told_of_in_one_line(workplace, place, monkeypatch):  # noqa: F811
    workplace.search("stuck", "--trials", 1, "--epochs", 1)
    study, local = find_study(place.store, "stuck"), place.local("stuck")

    def refuse(*arguments):
        raise StorageInternalError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", refuse)
        with pytest.raises(SweeperError, match=r"Optuna's storage .* does not answer: locked"):
            remove(place.store, study)
    assert place.local("stuck") == local
    assert len(place.runs(study_id(study))) == 2


def test_runs_are_read_again_only_if_some_were_made_since(workplace, place, monkeypatch):  # noqa: F811
    workplace.search("read")
    study, reads, find = find_study(place.store, "read"), [], StudyRuns._find
    monkeypatch.setattr(StudyRuns, "_find", lambda *arguments: (reads.append(1), find(*arguments))[1])
    planned = delete.plan(place.store, study)
    planned.runs.renew(place.store)
    assert len(reads) == 1
    [parent] = [run for run in place.runs(study_id(study)).values() if run.data.tags["sweeper.kind"] == "study"]
    late = place.client.create_run(parent.info.experiment_id, tags={ROOT: parent.info.run_id})
    delete.remove(place.store, planned)
    assert len(reads) == 2
    assert place.client.get_run(late.info.run_id).info.lifecycle_stage == "deleted"


def test_an_ablation_is_deleted_with_its_study(workplace, place):  # noqa: F811
    workplace.search("set-back", "--trials", 1, "--epochs", 1)
    study = find_study(place.store, "set-back")
    spec, study_id = spec_of(study), id_of(study)
    tracker = Tracker(place.store, DataRecord(spec.dataset, spec.data_sha256, "", ()), print, kind="ablation")
    tracker.open("set-back", study_id, {}, {})
    tracker.start_child("trial-1-seed-1-abc", "trial 1, lr set back, seed 1", {}, {})
    assert tracker.close() == []
    runs = place.runs(study_id)
    assert tracker.run_id in runs
    assert tracker.child_run_id("trial-1-seed-1-abc") in runs
    remove(place.store, study)
    assert place.runs(study_id) == {}
    assert place.files_of(runs) == []
    assert place.local("set-back") == []
