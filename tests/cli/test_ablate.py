"""What `sweeper ablate` says and asks before it trains, and how it shows what was found."""

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import click
import pytest

from sweeper.cli.ablate import _agree, show
from tests.report.test_ablation import NEEDED, OUTCOME, ROW

HOUR = 3600.0


class Answering(io.StringIO):
    """What is typed on a terminal, or comes through a pipe."""

    def __init__(self, text, *, terminal):
        super().__init__(text)
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def typed(prompt):
    """A line from the terminal, as click reads one."""
    sys.stderr.write(prompt)
    return input()


@pytest.fixture
def agree(monkeypatch, capsys):
    """Announces an ablation of so many seconds; gives what was written on stderr, and whether it goes on."""

    def made(seconds, answer="", *, terminal=True, yes=False, quiet=False):
        monkeypatch.setattr("sys.stdin", Answering(answer, terminal=terminal))
        monkeypatch.setattr("click.termui.visible_prompt_func", typed)
        planned = SimpleNamespace(seconds=seconds, announcement="27 trainings, about 2 hours")
        try:
            _agree(planned, yes=yes, quiet=quiet)
        except click.Abort:
            return capsys.readouterr().err, False
        return capsys.readouterr().err, True

    return made


@pytest.mark.parametrize("seconds", [HOUR + 1, None])
@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_an_ablation_of_more_than_an_hour_is_asked_about_on_a_terminal(agree, seconds, answer, goes_on):
    said, went_on = agree(seconds, answer)
    assert said.startswith("27 trainings, about 2 hours\n")
    assert "Go on? [y/N]" in said
    assert went_on is goes_on


@pytest.mark.parametrize(
    ("seconds", "options"), [(HOUR, {}), (9 * HOUR, {"yes": True}), (9 * HOUR, {"terminal": False})]
)
def test_a_short_one_or_yes_or_a_script_is_not_asked_but_told(agree, seconds, options):
    assert agree(seconds, **options) == ("27 trainings, about 2 hours\n", True)


def test_quiet_says_nothing_but_what_is_asked(agree):
    assert agree(60.0, quiet=True) == ("", True)
    said, went_on = agree(2 * HOUR, "y\n", quiet=True)
    assert "about 2 hours" in said
    assert went_on


def test_the_choices_are_shown_with_what_each_is_worth(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    dropout = {"parameter": "dropout", "champion_value": 0.2, "baseline_value": 0.0, "along": {}}
    undecided = replace(ROW, **dropout, verdict="undecided", difference=-0.002, low=-0.01, high=0.006)
    show(replace(OUTCOME, rows=[ROW, undecided, NEEDED]))
    shown = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if line[:1] == "│"]
    assert lines == [
        ["optimizer", "sgd", "adam", "+2.1 [+0.4, +3.8]", "61,706", "worth it"],
        ["momentum", "0.943", "0", "", "", ""],
        ["dropout", "0.2", "0", "-0.2 [-1.0, +0.6]", "61,706", "undecided:"],
        ["", "", "", "", "", "leave it out?"],
        ["batch_norm", "true", "false", "", "61,000", "needed"],
    ]
    assert "a study: trial 7 (61,706 parameters), confirm accuracy 82.1 % [81.0, 83.2]" in shown
    assert shown.splitlines()[-3:] == [OUTCOME.sentence, NEEDED.sentence, *OUTCOME.notes]
