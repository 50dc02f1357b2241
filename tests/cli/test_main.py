"""What becomes of errors that no command has foreseen."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.tracking.ledger import Ledger
from tests.commands.processes import DEADLINE


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """Runs a command that meets the error; gives what it prints on stderr."""

    def fail(error):
        def raising(ledger):
            raise error

        monkeypatch.setattr(Ledger, "evaluations", raising)
        result = CliRunner().invoke(main, ["ledger", "--store", str(tmp_path)])
        assert (result.exit_code, result.stdout) == (1, "")
        return result.stderr

    return fail


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "there is not enough memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "there is not enough memory"),
        (PermissionError(13, "Permission denied", "/store/logs"), "Permission denied: '/store/logs'"),
    ],
)
def test_fault_of_the_machine_is_told_as_one(failing, error, told):
    shown = failing(error)
    assert told in shown
    assert "bug" not in shown
    assert len(shown.splitlines()) == 1


def test_bug_is_told_as_one_with_the_way_to_see_more(failing):
    assert failing(KeyError("x")) == (
        "Error: KeyError: 'x' (this is a bug in sweeper: `sweeper --debug ...` shows where it happened)\n"
    )


def test_traceback_shows_no_password(tmp_path):
    address = "http://me:hunter2@127.0.0.1:1/?token=hunter3"
    command = [
        sys.executable,
        "-m",
        "sweeper",
        "--debug",
        "ledger",
        "--tracking-uri",
        address,
        "--store",
        tmp_path / "s",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", True)
    assert "me:***@127.0.0.1" in done.stderr
    assert "hunter" not in done.stderr
