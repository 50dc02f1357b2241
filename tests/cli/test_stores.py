"""Stores that cannot be used, or only be read, as every command meets them."""

import shutil

import pytest

from sweeper.store import plain_files
from sweeper.store.options import StoreOptions
from sweeper.studies.attributes import id_of
from sweeper.studies.queries import find_study
from sweeper.tracking.outbox import Outbox
from tests.promotion.conftest import workplace  # noqa: F401
from tests.read_only import read_only


def test_read_only_store_can_be_looked_at_but_not_changed(workplace):  # noqa: F811
    workplace.search("kept", "--trials", 1, "--epochs", 1)
    place = ["--store", str(workplace.store)]
    readers = [["status", *place], ["studies", *place], ["trials", *place], ["ledger", *place]]
    writers = [
        ["search", "tiny", "--space", workplace.space, *map(str, workplace.places)],
        ["promote", *map(str, workplace.places)],
        ["retry", "--failed", *place],
        ["delete", "kept", "--yes", *place],
    ]
    before = sorted((path, path.stat().st_mtime_ns) for path in workplace.store.rglob("*"))
    with read_only(workplace.store):
        for line in readers:
            workplace.run(*line)
        for line in writers:
            assert "cannot be written to" in workplace.run(*line, code=1).output.splitlines()[-1], line
    assert sorted((path, path.stat().st_mtime_ns) for path in workplace.store.rglob("*")) == before


def test_command_looks_for_links_in_the_whole_store_once(workplace, monkeypatch):  # noqa: F811
    walks, check_all = [], plain_files.check_all
    workplace.search("walked-1", "--trials", 1, "--epochs", 1)
    monkeypatch.setattr(plain_files, "check_all", lambda root: (walks.append(root), check_all(root)))
    workplace.search("walked-2", "--trials", 1, "--epochs", 1)
    assert len(walks) == 1
    store = StoreOptions(workplace.store).resolve({})
    for name in ("walked-1", "walked-2"):
        outbox = Outbox(store.outbox(name, id_of(find_study(store, name)), "study"))
        outbox.put(0, "forget", {"path": f"checkpoints/{name}-0"})
        outbox.close()
    workplace.run("sync", "--store", workplace.store, code=1)  # these outboxes are nobody's
    assert len(walks) == 2
    for path in store.outboxes.iterdir():
        path.unlink()


def test_moved_store_is_refused_before_anything_is_written(workplace, tmp_path):  # noqa: F811
    workplace.search("moving", "--trials", 1, "--epochs", 1)
    shutil.copytree(workplace.store, tmp_path / "copy")
    place = ["--data-dir", workplace.folder / "data", "--store", tmp_path / "copy"]
    files = sorted(path for path in tmp_path.rglob("*"))
    databases = [(tmp_path / "copy" / name).read_bytes() for name in ("optuna.db", "mlflow.db")]
    for line in (
        ["search", "tiny", "--space", workplace.space, "--study", "moving", *place],
        ["promote", "moving", *place],
        ["delete", "moving", "--yes", *place[2:]],
    ):
        refused = workplace.run(*line, code=1).stderr.splitlines()[-1]
        assert f"the store {tmp_path / 'copy'} was moved or copied" in refused
        assert str(workplace.store) in refused
    left = sorted(path for path in tmp_path.rglob("*") if path.parent.name != "locks")
    assert left == [path for path in files if path.parent.name != "locks"]
    assert [(tmp_path / "copy" / name).read_bytes() for name in ("optuna.db", "mlflow.db")] == databases
    assert "moving" in workplace.run("status", "moving", *place[2:]).stdout


@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_file_that_is_no_database_is_refused_by_every_command_that_needs_it(workplace, tmp_path, name):  # noqa: F811
    (tmp_path / name).write_text("no database at all" * 1000)
    place = ["--store", tmp_path]
    needing = {
        "optuna.db": (["status"], ["studies"], ["trials"], ["retry", "--failed"], ["stop"], ["delete", "x", "-y"]),
        "mlflow.db": (["ledger"], ["ui"]),
    }
    search = ["search", "tiny", "--space", workplace.space, "--data-dir", workplace.folder / "data"]
    for line in (*needing[name], search):
        refused = workplace.run(*line, *place, code=1)
        assert f"{tmp_path / name} is not a SQLite database" in refused.stderr.splitlines()[-1]
    assert (tmp_path / name).read_text().startswith("no database")
