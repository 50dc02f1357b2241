"""The queue on disk, with a second process where one is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.tracking import outbox as outboxes
from sweeper.tracking.outbox import Outbox, Target, waiting

TARGET = Target("study", "s", "id", "1", "run", "tiny", "ab", "{}", "{}")
FILL = """
import os, signal, sys
from pathlib import Path
from sweeper.tracking.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]))
for number in range(100):
    outbox.put(number, "metrics", {"epoch": 1})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool" / "s.db"


def test_writes_come_out_in_the_order_in_which_they_went_in(path):
    outbox = Outbox(path)
    outbox.put(3, "metrics", {"epoch": 1, "values": {"loss": 0.5}})
    outbox.put("seed-1", "start", {})
    outbox.put(None, "finish", {})
    first = outbox.after(0)
    assert (first.key, first.action, first.arguments) == (3, "metrics", {"epoch": 1, "values": {"loss": 0.5}})
    assert [write.key for write in outbox.writes()] == [3, "seed-1", None]
    outbox.remove(first.number)
    assert outbox.after(0).key == "seed-1"
    assert len(outbox) == 2
    assert outbox.after(outbox.writes()[-1].number) is None


def test_what_is_left_is_there_again_and_nothing_else(path):
    outbox = Outbox(path)
    outbox.target = TARGET
    outbox.put(0, "start", {})
    outbox.put(0, "finish", {})
    outbox.remove(outbox.after(0).number)
    outbox.close()
    again = Outbox(path)
    assert again.target == TARGET
    assert [write.action for write in again.writes()] == ["finish"]


def test_empty_outbox_goes_with_what_sqlite_put_beside_it_and_with_nothing_else(path):
    other = Path(f"{path}.before")
    outbox = Outbox(path)
    other.write_bytes(b"another outbox")
    outbox.close()
    assert list(path.parent.iterdir()) == [other]


def test_numbers_are_never_given_twice(path):
    """A delivery goes on behind the last number that it has seen."""
    outbox = Outbox(path)
    outbox.put(0, "start", {})
    number = outbox.after(0).number
    outbox.remove(number)
    outbox.put(0, "finish", {})
    assert outbox.after(number).action == "finish"


def test_empty_spool_leaves_no_file(path):
    outbox = Outbox(path)
    outbox.put(0, "start", {})
    outbox.remove(outbox.after(0).number)
    outbox.close()
    assert list(path.parent.iterdir()) == []


def test_killed_process_leaves_all_that_it_had_put(path):
    killed = subprocess.run([sys.executable, "-c", FILL, str(path)])
    assert killed.returncode == -9
    assert waiting(path) == 100
    assert [file.name for file in path.parent.iterdir()] == ["s.db"]  # a look takes in what SQLite had put beside it
    assert [write.key for write in Outbox(path).writes()] == list(range(100))


def test_waiting_counts_and_makes_nothing(path):
    assert waiting(path) is None
    assert not path.parent.exists()
    outbox = Outbox(path)
    outbox.put(0, "start", {})
    outbox.close()
    assert waiting(path) == 1
    path.write_bytes(b"something else" * 100)
    assert waiting(path) is None


def test_second_process_is_refused_while_the_first_has_it(path, monkeypatch):
    monkeypatch.setattr(outboxes, "LOCKED_SECONDS", 0.05)
    Outbox(path).put(0, "start", {})
    with pytest.raises(SweeperError, match=r"locked \(.*s\.db\)"):
        Outbox(path)


def test_file_that_is_no_database_is_named(path):
    path.parent.mkdir()
    path.write_bytes(b"something else" * 100)
    with pytest.raises(SweeperError, match=r"not a database \(.*s\.db\)"):
        Outbox(path)
    assert path.read_bytes() == b"something else" * 100


def test_epochs_of_one_run_are_taken_together_up_to_its_next_write_of_another_kind(path):
    outbox = Outbox(path)
    for number in (1, 2):
        outbox.put(0, "metrics", {"epoch": number, "values": {"lr": 0.1}})
        outbox.put(1, "texts", {})
    outbox.put(0, "finish", {})
    outbox.put(0, "metrics", {"epoch": 3, "values": {"lr": 0.1}})
    assert [write.arguments["epoch"] for write in outbox.epochs_from(outbox.after(0))] == [1, 2]
    outbox.close()
