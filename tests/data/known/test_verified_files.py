import gzip
import hashlib
import os
from pathlib import Path

import pytest

from sweeper.data.known import verified_files
from sweeper.data.known.catalog import DataFile
from sweeper.errors import SweeperError
from tests.hostile import within

CONTENT = bytes(range(200))
FILE = DataFile("some-file", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize("content", [CONTENT, gzip.compress(CONTENT, mtime=0)])
@pytest.mark.parametrize("name", ["some-file", "some-file.gz"])
def test_content_is_read_plain_or_gzipped_whatever_the_name(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    assert verified_files.read(tmp_path / name, FILE) == CONTENT


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "size must be 200 bytes, it is truncated to 0"),
        (CONTENT[:-1], "size must be 200 bytes, it is truncated to 199"),
        (CONTENT + b"x", "size must be 200 bytes, got more"),
        (CONTENT[:-1] + b"x", f"SHA-256 must be {FILE.digest}, got "),
        (gzip.compress(CONTENT, mtime=0)[:-9], "it is truncated"),
        (gzip.compress(CONTENT + b"x", mtime=0), "at most 200 bytes"),
        (gzip.compress(CONTENT[:-1] + b"x", mtime=0), f"SHA-256 must be {FILE.digest}, got "),
    ],
)
def test_bad_content_is_refused_with_rule_and_path(tmp_path, content, rule):
    path = tmp_path / FILE.name
    path.write_bytes(content)
    with pytest.raises(SweeperError) as caught:
        verified_files.read(path, FILE)
    assert rule in str(caught.value)
    assert f"({path})" in str(caught.value)


def test_huge_file_is_not_read_whole(tmp_path):
    path = tmp_path / FILE.name
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: a terabyte that takes no space
    with pytest.raises(SweeperError, match="got more"):
        verified_files.read(path, FILE)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (Path.mkdir, "must be a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "must be a regular file"),
        (os.mkfifo, "must be a regular file"),  # opening it would wait for a writer
        (lambda path: path.symlink_to(path.parent / "nowhere"), "must be readable, got: No such file"),
        (lambda path: path.symlink_to(path), "must be readable, got: Too many levels of symbolic links"),
        (lambda path: path.symlink_to(path.parent / ("x" * 300)), "must be readable, got: File name too long"),
    ],
)
def test_unreadable_file_is_refused_with_its_path(tmp_path, make, rule):
    path = tmp_path / FILE.name
    make(path)
    assert verified_files.candidates(tmp_path, FILE) == [path]
    with within(), pytest.raises(SweeperError, match=rf"{rule}.*some-file\)"):
        verified_files.read(path, FILE)


def test_file_that_its_user_may_not_read_is_refused_with_its_path(tmp_path, monkeypatch):
    path = tmp_path / FILE.name
    path.write_bytes(CONTENT)

    def forbidden(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)  # because root may read everything
    with pytest.raises(SweeperError, match=r"must be readable, got: Permission denied.*some-file\)"):
        verified_files.read(path, FILE)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    verified_files.write(folder, "some-file", b"old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        verified_files.write(folder, "some-file", b"new")
    assert [path.name for path in folder.iterdir()] == ["some-file"]
    assert (folder / "some-file").read_bytes() == b"old"


def test_second_writer_in_the_middle_of_the_first_disturbs_neither(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    replace = os.replace

    def replace_after_the_other(source, target):
        monkeypatch.setattr("os.replace", replace)
        verified_files.write(folder, "some-file", CONTENT)
        assert (folder / "some-file").read_bytes() == CONTENT
        replace(source, target)

    monkeypatch.setattr("os.replace", replace_after_the_other)
    verified_files.write(folder, "some-file", CONTENT)
    assert [path.name for path in folder.iterdir()] == ["some-file"]
    assert (folder / "some-file").read_bytes() == CONTENT


def test_write_makes_the_folder_and_leaves_only_the_file(tmp_path):
    verified_files.write(tmp_path / "a" / "b", "some-file", CONTENT)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["some-file"]
    assert (tmp_path / "a" / "b" / "some-file").read_bytes() == CONTENT
