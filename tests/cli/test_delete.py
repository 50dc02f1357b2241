import json
import os
import pty
import resource

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from tests.promotion.conftest import workplace  # noqa: F401


def names(workplace):  # noqa: F811
    shown = workplace.run("studies", "--store", workplace.store, "--json").stdout
    return [study["study_name"] for study in json.loads(shown)["studies"]]


@pytest.fixture(scope="module")
def study(workplace):  # noqa: F811
    workplace.search("doomed", "--trials", 1, "--epochs", 1)
    return "doomed"


def answered(workplace, driver, answer):  # noqa: F811
    """The command on a terminal on which this is typed, when it has ended."""
    terminal, end = pty.openpty()
    os.write(terminal, answer.encode())
    command = driver.start("delete", "doomed", "--store", workplace.store, terminal=os.ttyname(end))
    command.wait()
    os.close(end)
    os.close(terminal)
    return command


def test_without_a_terminal_nothing_is_deleted_unless_yes_is_given(workplace, study):  # noqa: F811
    refused = workplace.run("delete", study, "--store", workplace.store, code=2)
    assert "doomed: 1 trial, 2 MLflow runs, " in refused.stderr
    assert "give --yes" in refused.stderr
    assert study in names(workplace)


def test_on_a_terminal_it_asks_first(workplace, study, driver):  # noqa: F811
    asked = answered(workplace, driver, "n\n")
    assert asked.exit_code == 130
    assert "doomed: 1 trial, 2 MLflow runs, " in asked.stderr
    assert "Delete? [y/N]" in asked.stderr
    assert study in names(workplace)
    told = answered(workplace, driver, "y\n")
    assert told.exit_code == 0
    assert told.stdout.startswith("Deleted: doomed: 1 trial, 2 MLflow runs, ")
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
    assert all(line.startswith("Kept: run ") and "sweeper-kept/" in line for line in told[1:])


def test_study_that_is_not_there_is_refused_by_name(workplace, study):  # noqa: F811
    assert "no study 'other'" in workplace.run("delete", "other", "--yes", "--store", workplace.store, code=2).stderr


@pytest.mark.parametrize("arguments", [["delete", "doomed", "--yes"], ["retry", "doomed", "--failed"]])
def test_process_that_may_write_nothing_says_so_in_one_line(workplace, study, arguments):  # noqa: F811
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        done = CliRunner().invoke(main, [*arguments, "--store", str(workplace.store)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {workplace.store}/locks/doomed.lock in the store cannot be written to: ")
    assert done.stderr.count("\n") == 1
    assert study in names(workplace)
