import os
import shutil
import socketserver
import sqlite3
import threading
from collections import namedtuple
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from sweeper.data.known import catalog
from sweeper.doctor import examination
from sweeper.images.decoded_cache import decoded
from sweeper.process import resources
from sweeper.store.options import StoreOptions
from sweeper.studies.storage import open_storage
from tests.fake_data import write_fake_dataset

MOUNTS = r"""
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/me ext4 rw 0 0
//server/share /mnt/two\040words cifs rw 0 0
/dev/sdc1 /mnt/größe\x41\134n xfs rw 0 0
tmpfs /mnt/over tmpfs rw 0 0
server:/x /mnt/over nfs rw 0 0
""".strip()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The folder of "tiny", here the only known data set."""
    dataset = write_fake_dataset(tmp_path / "data")
    monkeypatch.setattr(catalog, "DATASETS", {dataset.name: dataset})
    return tmp_path / "data"


def examined(root, data_dir=None, storage=None, tracking_uri=None):
    """The doctor's checks by name."""
    store = StoreOptions(root, storage, tracking_uri).resolve({})
    return {check.name: check for check in examination.examine(store, data_dir, {})}


def test_sound_machine_without_a_store_has_no_errors_and_stays_as_it_is(tiny, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    checks = examined(tmp_path / "store", tiny)
    assert list(checks) == [
        "sweeper", "libraries", "device", "precision", "cores", "memory", "store", "file system", "disk", "optuna",
        "mlflow", "ledger", "data", "cached images",
    ]  # fmt: skip
    assert not [check for check in checks.values() if check.status == "error"]
    assert checks["data"].found == f"tiny in {tiny}"
    assert "not there yet" in checks["store"].found
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("kind", "gpu", "found"),
    [
        (
            "x86_64 AuthenticAMD avx2 avx512f avx512_bf16",
            False,
            '"auto" is bfloat16 from 2,500,000 multiply-adds an image (avx512_bf16), float32 for smaller networks',
        ),
        ("x86_64 avx2", False, '"auto" is float32: this processor has neither amx_bf16 nor avx512_bf16'),
        (
            "x86_64 avx2",
            True,
            '"auto" is float32 on a GPU; with --device cpu it is float32: this processor has neither amx_bf16 nor '
            "avx512_bf16",
        ),
    ],
)
def test_what_precision_auto_means_here_is_said_in_a_line(tiny, tmp_path, monkeypatch, kind, gpu, found):
    monkeypatch.setattr("sweeper.process.processor.of_this_machine", lambda: kind)
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    check = examined(tmp_path / "store", tiny)["precision"]
    assert (check.status, check.found) == ("ok", found)


def test_studies_are_counted_and_nothing_is_written(tiny, tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    optuna.create_study(study_name="one", storage=open_storage(store))
    (store.root / ".initialising.lock").unlink()
    checks = examined(store.root, tiny)
    assert (checks["optuna"].status, checks["optuna"].found) == ("ok", "1 study")
    assert [path.name for path in store.root.iterdir()] == ["optuna.db"]


@pytest.mark.parametrize("name", ["optuna", "mlflow"])
def test_damaged_database_is_an_error_that_says_what_can_still_be_read(tiny, tmp_path, name):
    path = tmp_path / f"{name}.db"
    store = StoreOptions(tmp_path).resolve({})
    with closing(sqlite3.connect(path)) as database:  # damage is found before anything else
        database.execute("CREATE TABLE studies (text TEXT)")
        database.execute("CREATE TABLE runs (text TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [("x" * 1000,)] * 100)
        database.commit()
    with open(path, "r+b") as file:
        file.seek(-20 * 4096, os.SEEK_END)
        file.write(os.urandom(20 * 4096))
    check = examined(store.root, tiny)[name]
    assert check.status == "error"
    assert check.found.startswith(f"{path} is damaged (")
    assert "1 tables can still be read, but not runs" in check.found
    assert f"`sqlite3 {path} .recover`" in check.advice
    assert "are not damaged by this" in check.advice


@pytest.mark.parametrize("size", [2, 40, 511, 9000])
def test_random_bytes_are_no_database(tiny, tmp_path, size):
    (tmp_path / "mlflow.db").write_bytes(b"\x01" + os.urandom(size - 1))
    assert "is not a SQLite database" in examined(tmp_path, tiny)["mlflow"].found


@pytest.mark.parametrize("name", ["logs", "checkpoints", "artifacts", "spool"])
def test_folder_of_the_store_that_is_none_is_an_error(tiny, tmp_path, name):
    (tmp_path / name).touch()
    check = examined(tmp_path, tiny)["store"]
    assert check.status == "error"
    assert f"{tmp_path / name} is not a folder" in check.found


def test_changed_ledger_is_a_warning_that_says_what_differs(tiny, tmp_path):
    (tmp_path / "ledger.jsonl").write_text("garbage\n")
    check = examined(tmp_path, tiny)["ledger"]
    assert check.status == "warning"
    assert check.found == f"0 test evaluations; line 1 of {tmp_path / 'ledger.jsonl'} cannot be read"


def test_server_that_does_not_answer_is_asked_once(tiny, tmp_path, monkeypatch):
    asked = []

    class Hangup(socketserver.BaseRequestHandler):
        def handle(self):
            asked.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Hangup) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        (tmp_path / "ledger.jsonl").write_text("garbage\n")
        checks = examined(tmp_path, tiny, tracking_uri=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
    assert len(asked) == 1
    assert checks["mlflow"].status == "error"
    assert checks["ledger"].status == "warning"
    assert checks["ledger"].found == (
        f"0 test evaluations in {tmp_path / 'ledger.jsonl'}, and unknown how many in MLflow; line 1 of "
        f"{tmp_path / 'ledger.jsonl'} cannot be read"
    )


@pytest.mark.parametrize(("library", "first"), [("optuna", "studies"), ("mlflow", "experiments")])
def test_half_made_database_is_said_to_be_one(tiny, tmp_path, library, first):
    with closing(sqlite3.connect(tmp_path / f"{library}.db")) as database:
        database.execute(f"CREATE TABLE {first} (experiment_id INTEGER)")
        database.commit()
    check = examined(tmp_path, tiny)[library]
    assert (check.status, "half-made" in check.found) == ("ok", True)


def test_file_in_a_databases_place_is_an_error_that_names_it(tiny, tmp_path):
    (tmp_path / "mlflow.db").write_text("no database" * 1000)
    check = examined(tmp_path, tiny)["mlflow"]
    assert check.status == "error"
    assert f"{tmp_path / 'mlflow.db'} is not a SQLite database" in check.found


def test_check_that_breaks_is_an_error_and_the_others_go_on(tiny, tmp_path, monkeypatch):
    def broken(environment):
        raise ZeroDivisionError("no core at all")

    monkeypatch.setattr(resources, "usable_cores", broken)
    checks = examined(tmp_path, tiny)
    assert (checks["cores"].status, checks["cores"].found) == ("error", "ZeroDivisionError: no core at all")
    assert len(checks) == 14


def test_password_of_a_server_is_not_shown(tiny, tmp_path):
    check = examined(tmp_path, tiny, storage="postgresql://me:secret@127.0.0.1:1/none")["optuna"]
    assert check.status == "error"
    assert "secret" not in check.found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/home/other", "nfs4"),
        ("/home/me/mlruns", "ext4"),
        ("/home/meander", "nfs4"),
        ("/mnt/two words/x", "cifs"),
        (r"/mnt/größe\x41\n/x", "xfs"),
        ("/mnt/over/x", "nfs"),
    ],
)
def test_file_system_is_that_of_the_longest_mount(tmp_path, monkeypatch, path, kind):
    (tmp_path / "mounts").write_text(MOUNTS, encoding="utf-8")
    monkeypatch.setattr(examination, "_existing", lambda path: path)
    assert examination.file_system(Path(path), tmp_path / "mounts") == kind
    assert examination.file_system(Path(path), tmp_path / "none") is None


def test_sqlite_on_the_network_is_warned_of_and_servers_are_not(tiny, tmp_path, monkeypatch):
    (tmp_path / "mounts").write_text("server:/ / nfs4 rw 0 0\n")
    monkeypatch.setattr(examination, "MOUNTS", tmp_path / "mounts")
    check = examined(tmp_path, tiny)["file system"]
    assert check.status == "warning"
    assert check.found.startswith("nfs4, over the network")
    assert "--storage and --tracking-uri" in check.advice
    elsewhere = examined(tmp_path, tiny, "postgresql://127.0.0.1:1/none", "http://127.0.0.1:1")
    assert elsewhere["file system"].status == "ok"


@pytest.mark.parametrize(("free", "status"), [(1 << 40, "ok"), (1 << 30, "warning"), (1 << 20, "error")])
def test_little_disk_is_warned_of_and_none_is_an_error(tiny, tmp_path, monkeypatch, free, status):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(free))
    assert examined(tmp_path, tiny)["disk"].status == status


def test_missing_data_come_with_the_command_that_fetches_them(tiny, tmp_path):
    next(tiny.glob("train-labels*")).unlink()
    check = examined(tmp_path, tiny)["data"]
    assert (check.status, check.found) == ("warning", "not here: tiny")
    assert check.advice == f"sweeper data fetch tiny --data-dir {tiny}"
    assert examined(tmp_path)["data"].advice == "sweeper data fetch tiny"


def test_data_that_are_here_and_that_are_not_stand_in_one_line_and_none_is_opened(tiny, tmp_path, monkeypatch):
    cifar10 = catalog.CIFAR10
    same = replace(cifar10, name="same", cached_as="cifar10")
    monkeypatch.setattr(
        catalog, "DATASETS", catalog.DATASETS | {"cifar10": cifar10, "same": same, "stl10": catalog.STL10}
    )
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cache" / "cifar10"
    folder.mkdir(parents=True)
    for file in cifar10.files:
        with (folder / file.name).open("wb") as stream:
            stream.truncate(file.size)
    check = examined(tmp_path)["data"]
    assert (check.status, check.found) == ("ok", f"cifar10, same in {folder}; not here: tiny, stl10")


def test_file_of_another_size_is_not_the_data_sets(tiny, tmp_path):
    path = next(tiny.glob("train-images*"))
    path.write_bytes(path.read_bytes()[:-1])
    assert examined(tmp_path, tiny)["data"].found == "not here: tiny"


def test_data_folder_that_is_missing_is_an_error_that_names_it(tiny, tmp_path):
    check = examined(tmp_path, tmp_path / "nowhere")["data"]
    assert check.status == "error"
    assert f"must exist, got {tmp_path / 'nowhere'}" in check.found


def test_damaged_images_in_the_cache_are_named_with_what_to_do(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "cache"))

    def make(folder):
        np.save(folder / "images.npy", np.zeros((2, 1, 2, 2), np.uint8))
        np.save(folder / "labels.npy", np.array([0, 1]))
        return {}

    decoded("key", make, print)
    assert examined(tmp_path / "store")["cached images"].status == "ok"
    folder = tmp_path / "cache" / "decoded" / "key"
    (folder / "labels.npy").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    check = examined(tmp_path / "store")["cached images"]
    assert (check.status, check.found) == ("warning", "labels.npy was changed after it was written")
    assert check.advice == f"delete {folder}: the images are decoded again when needed"
    assert sorted(tmp_path.rglob("*")) == before
