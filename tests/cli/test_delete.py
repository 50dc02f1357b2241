import json
import os
import pty
import resource
import subprocess
import sys

import pytest

from tests.promotion.conftest import workplace  # noqa: F401


def names(workplace):  # noqa: F811
    shown = workplace.run("studies", "--store", workplace.store, "--json").stdout
    return [study["study_name"] for study in json.loads(shown)["studies"]]


@pytest.fixture
def study(workplace):  # noqa: F811
    if "doomed" not in names(workplace):
        workplace.search("doomed", "--trials", 1, "--epochs", 1)
    return "doomed"


def answered(workplace, answer):  # noqa: F811
    """Exit code and output of the command on a terminal on which this is typed."""
    terminal, end = pty.openpty()
    os.write(terminal, answer.encode())
    command = [sys.executable, "-m", "sweeper", "delete", "doomed", "--store", str(workplace.store)]
    done = subprocess.run(command, stdin=end, capture_output=True, text=True, timeout=120)
    os.close(end)
    os.close(terminal)
    return done.returncode, done.stdout, done.stderr


def test_without_a_terminal_nothing_is_deleted_unless_yes_is_given(workplace, study):  # noqa: F811
    refused = workplace.run("delete", study, "--store", workplace.store, code=2)
    assert "doomed: 1 trial, 2 MLflow runs, " in refused.stderr
    assert "give --yes" in refused.stderr
    assert study in names(workplace)


def test_on_a_terminal_it_asks_first(workplace, study):  # noqa: F811
    code, _, asked = answered(workplace, "n\n")
    assert code == 130
    assert "doomed: 1 trial, 2 MLflow runs, " in asked
    assert "Delete? [y/N]" in asked
    assert study in names(workplace)
    code, told, _ = answered(workplace, "y\n")
    assert code == 0
    assert told.startswith("Deleted: doomed: 1 trial, 2 MLflow runs, ")
    assert study not in names(workplace)


def test_json_says_what_was_deleted(workplace, study):  # noqa: F811
    shown = json.loads(workplace.run("delete", study, "--yes", "--json", "--store", workplace.store).stdout)
    assert shown["schema_version"] == 1
    assert (shown["study_name"], shown["n_trials"], shown["n_runs"], shown["kept"]) == ("doomed", 1, 2, {})


def test_registered_versions_that_keep_runs_are_named(workplace):  # noqa: F811
    workplace.search("kept", "--epochs", 1)
    workplace.promoted("kept", "--top", 1, "--seeds", 1)
    told = workplace.run("delete", "kept", "--yes", "--store", workplace.store).stdout.splitlines()
    assert len(told) == 3
    assert all(line.startswith("Kept: run ") and "sweeper-tiny-tiny_space/" in line for line in told[1:])


def test_study_that_is_not_there_is_refused_by_name(workplace, study):  # noqa: F811
    assert "no study 'other'" in workplace.run("delete", "other", "--yes", "--store", workplace.store, code=2).stderr


@pytest.mark.parametrize("arguments", [["delete", "doomed", "--yes"], ["retry", "doomed", "--failed"]])
def test_process_that_may_write_nothing_says_so_in_one_line(workplace, study, arguments):  # noqa: F811
    done = subprocess.run(
        [sys.executable, "-m", "sweeper", *arguments, "--store", str(workplace.store)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {workplace.store}/locks/doomed.lock in the store cannot be written to: ")
    assert done.stderr.count("\n") == 1
    assert study in names(workplace)
