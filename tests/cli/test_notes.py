import shlex
import sys

import pytest

from sweeper.cli import main
from sweeper.cli.notes import command_line
from sweeper.store.options import StoreOptions

VARIABLES = (
    "SWEEPER_STORE",
    "OPTUNA_STORAGE",
    "MLFLOW_TRACKING_URI",
    "SWEEPER_DATA_DIR",
    "SWEEPER_ENGINE",
    "RAY_ADDRESS",
)


@pytest.fixture(autouse=True)
def variables(monkeypatch, tmp_path):
    """Sets exactly these of sweeper's variables; the command is typed in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def only(**values):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    only()
    return only


def typed(monkeypatch, line, options=None):
    """The command as it is recorded."""
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", words)
    with (
        main.make_context("sweeper", [], resilient_parsing=True) as group,
        main.commands[words[1]].make_context(words[1], words[2:], parent=group, resilient_parsing=True),
    ):
        return shlex.join(command_line((options or StoreOptions()).resolve({})))


def test_command_without_variables_stays_as_it_was_typed(monkeypatch):
    assert typed(monkeypatch, "sweeper search tiny --trials 3") == "sweeper search tiny --trials 3"


def test_what_variables_held_is_repeated_as_options(monkeypatch, variables, tmp_path):
    variables(
        SWEEPER_STORE="s", OPTUNA_STORAGE="sqlite:///o.db", MLFLOW_TRACKING_URI="http://h:1", SWEEPER_DATA_DIR="d e"
    )
    options = StoreOptions(tmp_path / "s", "sqlite:///o.db", "http://h:1")
    assert typed(monkeypatch, "sweeper search tiny", options) == (
        f"sweeper search tiny --store {tmp_path}/s --storage sqlite:///o.db --tracking-uri http://h:1 "
        f"--data-dir '{tmp_path}/d e'"
    )


def test_a_variable_is_repeated_only_for_a_command_with_its_option(monkeypatch, variables):
    variables(SWEEPER_ENGINE="inline")
    assert typed(monkeypatch, "sweeper promote study") == "sweeper promote study --engine inline"
    assert typed(monkeypatch, "sweeper promote study --engine local") == "sweeper promote study --engine local"
    assert typed(monkeypatch, "sweeper evaluate model tiny") == "sweeper evaluate model tiny"


def test_the_head_of_a_cluster_in_a_variable_is_not_repeated(monkeypatch, variables):
    """The command may be typed when that head has ended, as in the next Slurm job."""
    variables(SWEEPER_ENGINE="ray", RAY_ADDRESS="node7:24711")
    assert typed(monkeypatch, "sweeper promote study") == "sweeper promote study --engine ray"


@pytest.mark.parametrize("line", ["sweeper search tiny --store /x", "sweeper search tiny --store=/x"])
def test_option_that_was_typed_wins_over_its_variable(monkeypatch, variables, line):
    variables(SWEEPER_STORE="s")
    assert typed(monkeypatch, line) == line


@pytest.mark.parametrize(
    ("line", "anywhere"),
    [
        ("sweeper search pets --store s", "sweeper search {here}/pets --store {here}/s"),
        ("sweeper search --store=s -q pets/", "sweeper search --store={here}/s -q {here}/pets"),
        (
            "sweeper search pets --study pets --space my.toml",
            "sweeper search {here}/pets --study pets --space {here}/my.toml",
        ),
        ("sweeper search fashion_mnist --space lenet5", "sweeper search fashion_mnist --space lenet5"),
        ("sweeper search pets --set pets=1 --new", "sweeper search {here}/pets --set pets=1 --new"),
        ("sweeper train pets --variant pets", "sweeper train {here}/pets --variant pets"),
        ("sweeper promote pets --data-dir pets", "sweeper promote pets --data-dir {here}/pets"),
    ],
)
def test_paths_are_absolute_since_the_command_may_be_typed_elsewhere(monkeypatch, variables, tmp_path, line, anywhere):
    variables()
    for name in ("pets", "fashion_mnist", "lenet5"):
        (tmp_path / name).mkdir()
    (tmp_path / "my.toml").touch()
    assert typed(monkeypatch, line) == anywhere.format(here=tmp_path)


def test_password_in_a_variable_is_not_repeated(monkeypatch, variables):
    url = "http://me:secret@h:1"
    variables(MLFLOW_TRACKING_URI=url)
    assert typed(monkeypatch, "sweeper search tiny", StoreOptions(None, None, url)) == "sweeper search tiny"
