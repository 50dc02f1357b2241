import os

import pytest

from sweeper.engine.ray import job_files
from sweeper.engine.ray.job_files import CHECKPOINT, WEIGHTS, JobFiles, period


def write(folder, name, content, time):
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(time, time))


def test_only_new_and_changed_files_travel(tmp_path):
    files = JobFiles(tmp_path / "job", {CHECKPOINT: b"from the store"})
    assert files.new(epoch=1, last=False) == {}
    write(files.folder, CHECKPOINT, b"one", 1)
    assert files.new(epoch=1, last=False) == {CHECKPOINT: b"one"}
    assert files.new(epoch=2, last=False) == {}
    write(files.folder, CHECKPOINT, b"two", 2)
    write(files.folder, WEIGHTS, b"weights", 2)
    write(files.folder, ".checkpoint.1.tmp", b"half", 2)
    assert files.new(epoch=2, last=True) == {CHECKPOINT: b"two", WEIGHTS: b"weights"}


def test_files_of_the_job_before_are_gone(tmp_path):
    write(JobFiles(tmp_path / "job", {}).folder, WEIGHTS, b"of another", 1)
    files = JobFiles(tmp_path / "job", {})
    assert files.new(epoch=1, last=True) == {}
    assert list(files.folder.iterdir()) == []


def test_large_checkpoint_travels_every_few_epochs_and_after_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(job_files, "LARGE", 2)
    files = JobFiles(tmp_path / "job", {})
    travelled = []
    for epoch in range(1, 8):
        write(files.folder, CHECKPOINT, b"12345", epoch)
        if files.new(epoch=epoch, last=epoch == 7):
            travelled.append(epoch)
    assert travelled == [3, 6, 7]


@pytest.mark.parametrize(("size", "epochs"), [(0, 1), (32 << 20, 1), ((32 << 20) + 1, 2), (134_000_000, 4)])
def test_checkpoint_of_more_than_32_mib_travels_after_several_epochs(size, epochs):
    assert period(size) == epochs


def test_store_gives_the_checkpoint_and_nothing_half_written(tmp_path):
    assert job_files.read(tmp_path / "job") == {}
    job_files.write(tmp_path / "job", {CHECKPOINT: b"one", WEIGHTS: b"weights"})
    assert job_files.read(tmp_path / "job") == {CHECKPOINT: b"one"}
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == [CHECKPOINT, WEIGHTS]
