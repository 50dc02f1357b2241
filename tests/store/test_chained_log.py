import json
import os
import threading

import pytest

from sweeper.errors import SweeperError
from sweeper.store import chained_log


@pytest.fixture
def path(tmp_path):
    """A log of three records."""
    path = tmp_path / "log.jsonl"
    for number in range(3):
        chained_log.append(path, {"number": number})
    return path


def numbers(path):
    return [record["number"] for record in chained_log.read(path).records.values()]


def rewrite(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def test_records_come_back_in_their_order(path):
    assert numbers(path) == [0, 1, 2]
    assert chained_log.read(path).faults == []


def test_no_file_is_an_empty_log_and_reading_makes_none(tmp_path):
    assert chained_log.read(tmp_path / "none") == chained_log.ChainedLog()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_changed_line_is_named_and_all_records_are_still_read(path, number):
    def change(lines):
        whole = json.loads(lines[number])
        whole["record"]["number"] = 7
        return [*lines[:number], json.dumps(whole).encode() + b"\n", *lines[number + 1 :]]

    rewrite(path, change)
    assert chained_log.read(path).faults == [f"line {number + 1} of {path} was changed"]
    assert 7 in numbers(path)
    assert len(numbers(path)) == 3


@pytest.mark.parametrize("number", [0, 1])
def test_removed_line_is_told_of(path, number):
    rewrite(path, lambda lines: [*lines[:number], *lines[number + 1 :]])
    assert chained_log.read(path).faults == [f"a line was removed or changed before line {number + 1} of {path}"]
    assert len(numbers(path)) == 2


def test_exchanged_lines_are_told_of(path):
    rewrite(path, lambda lines: [lines[0], lines[2], lines[1]])
    assert chained_log.read(path).faults
    assert sorted(numbers(path)) == [0, 1, 2]


@pytest.mark.parametrize("line", [b"garbage\n", b"\xff\xfe\n", b"[1]\n", b"{}\n", b"[" * 100_000 + b"\n", b"\n"])
def test_line_that_cannot_be_read_hides_no_other(path, line):
    rewrite(path, lambda lines: [lines[0], line, *lines[1:]])
    assert chained_log.read(path).faults[0] == f"line 2 of {path} cannot be read"
    assert numbers(path) == [0, 1, 2]


def test_line_cut_short_by_a_power_failure_stays_and_the_next_follows_it(path):
    path.write_bytes(path.read_bytes()[:-20])
    chained_log.append(path, {"number": 3})
    assert numbers(path) == [0, 1, 3]
    assert chained_log.read(path).faults == [f"line 3 of {path} cannot be read"]


def test_last_line_without_its_end_of_line_is_whole(path):
    path.write_bytes(path.read_bytes()[:-1])
    chained_log.append(path, {"number": 3})
    assert numbers(path) == [0, 1, 2, 3]
    assert chained_log.read(path).faults == []


def test_writers_at_once_lose_nothing(path):
    threads = [threading.Thread(target=chained_log.append, args=(path, {"number": n})) for n in range(3, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(path)) == list(range(11))
    assert chained_log.read(path).faults == []


def test_record_that_finds_no_room_is_an_error_and_leaves_the_file_as_it_was(path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SweeperError, match=f"^{path} cannot be written to: No space left on device$"):
            chained_log.append(path, {"number": 3})
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path, make):
    path = tmp_path / "log.jsonl"
    make(path)
    assert chained_log.read(path).records == {}
    with pytest.raises(SweeperError, match=f"{path} cannot be written to: "):
        chained_log.append(path, {})
    assert os.listdir(tmp_path) == ["log.jsonl"]


def test_what_is_no_file_is_told_of(tmp_path):
    assert chained_log.read(tmp_path).faults == [f"{tmp_path} is not a file"]
