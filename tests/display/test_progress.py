import io
import sys
import threading

import pytest
from rich.console import Console

from sweeper.display import lines as module
from sweeper.display import tally
from sweeper.display.progress import progress
from sweeper.display.view import LiveView
from sweeper.events import (
    BatchesTrained,
    EpochEnded,
    Leader,
    Note,
    Step,
    SweepStarted,
    TrainingEnded,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
)
from tests.commands.processes import DEADLINE
from tests.engine.fakes import metrics


def events(maximize=True, metric="accuracy"):
    return [
        SweepStarted("study", 1, 4, 2, maximize, Leader("trial 0 (baseline)", 0.5), metric=metric),
        TrialStarted(1, "trial 1", 0, 2),
        TrialStarted(2, "trial 2", 1, 3),
        EpochEnded(1, "trial 1", metrics(1, 0.625)),
        Note("a note"),
        TrialEnded(1, "trial 1", "complete", 0.7, 2),
        TrialEnded(3, "trial 3", "pruned", 0.1, 1, "diverged: the loss is nan", feasible=False),
        TrialInterrupted(2, "trial 2"),
    ]


def plain(capsys, monkeypatch, *, quiet=False, verbose=False, **environment):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with progress(quiet=quiet, verbose=verbose) as listener:
        for event in events():
            listener(event)
    return capsys.readouterr()


def test_outside_a_terminal_there_are_plain_lines_on_stderr(capsys, monkeypatch):
    seen = plain(capsys, monkeypatch)
    assert seen.out == ""
    lines = seen.err.splitlines()
    assert lines[0] == "study: 1 of 4 trials done, 2 workers"
    assert "trial 2 resumes after epoch 1" in lines
    assert "a note" in lines
    ended = "[2/4] trial 1 complete, accuracy 70.00 % after 2 epochs, best accuracy 70.00 % (trial 1), "
    assert any(line.startswith(ended) for line in lines)
    ended = "trial 3 infeasible, accuracy 10.00 % after 1 epoch (diverged: the loss is nan)"
    assert any(ended in line for line in lines)
    assert "\x1b" not in seen.err


@pytest.mark.parametrize(
    ("to_limit", "left"), [(None, "0:15:00"), (3600.0, "0:15:00"), (600.0, "0:05:00"), (1.0, "0:00:00")]
)
def test_time_left_is_that_of_the_trials_and_at_most_that_of_the_time_limit(monkeypatch, to_limit, left):
    now = 1000.0
    monkeypatch.setattr(tally.time, "monotonic", lambda: now)
    shown = tally.Tally()
    deadline = None if to_limit is None else now + to_limit
    shown.update(SweepStarted("study", 0, 4, 2, True, None, deadline=deadline))
    assert shown.time_left() == "?"
    now += 300
    shown.update(TrialEnded(0, "trial 0", "complete", 0.7, 2))
    assert shown.time_left() == left


def test_study_that_had_more_trials_than_the_command_asks_for_says_so(capsys):
    with progress(quiet=False, verbose=False) as listener:
        listener(SweepStarted("study", 5, 3, 1, True, None))
        listener(TrialEnded(5, "trial 5", "complete", 0.7, 2))
    first, ended = capsys.readouterr().err.splitlines()
    assert first == "study: 5 trials (3 asked for) done, 1 worker"
    assert ended.startswith("[6/6] trial 5 complete")


@pytest.mark.parametrize(("total", "words"), [(1, "0 of 1 refit done"), (2, "0 of 2 refits done")])
def test_what_is_counted_is_in_the_singular_if_there_is_one_in_all(capsys, total, words):
    with progress(quiet=False, verbose=False) as listener:
        listener(SweepStarted("study", 0, total, 1, None, None, noun="refit"))
    assert capsys.readouterr().err == f"study: {words}, 1 worker\n"


def test_verbose_adds_epochs_and_quiet_leaves_nothing(capsys, monkeypatch):
    assert "trial 1 epoch 1: train loss 1.0000" in plain(capsys, monkeypatch, verbose=True).err
    assert plain(capsys, monkeypatch, quiet=True).err == ""


def test_forced_colour_does_not_make_a_file_a_terminal(capsys, monkeypatch):
    assert "\x1b[?25l" not in plain(capsys, monkeypatch, FORCE_COLOR="1").err  # the cursor is never hidden


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_gets_a_live_view_and_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(quiet=False, verbose=False) as listener:
        for event in events():
            listener(event)
    assert "\x1b[?25l" in terminal.getvalue()
    assert "\x1b[3" not in terminal.getvalue().replace("\x1b[3J", "")


def test_live_view_shows_trials_time_and_the_best(monkeypatch):
    view = LiveView()
    for event in events()[:4]:
        view.update(event)
    console = Console(file=io.StringIO(), width=120)
    console.print(view.render())
    text = console.file.getvalue()
    assert "study: 1 of 4 trials" in text
    assert "best accuracy 50.00 % (trial 0 (baseline))" in text
    assert "trial 1 │ 1 of 2 │ 1.0000" in text
    assert "trial 2 │ 1 of 3 │" in text
    assert "62.50 %" in text
    for event in events()[4:]:
        view.update(event)
    assert not view.running
    assert view.tally.done == 3


@pytest.mark.parametrize(("metric", "label"), [("macro_f1", "macro F1"), ("balanced_accuracy", "balanced accuracy")])
def test_the_metric_of_the_study_is_shown_and_named_beside_every_number(capsys, monkeypatch, metric, label):
    monkeypatch.setenv("COLUMNS", "300")
    with progress(quiet=False, verbose=True) as listener:
        for event in [*events(metric=metric), TrainingEnded(4, "trial 4, fold 1", 0.25)]:
            listener(event)
    lines = capsys.readouterr().err.splitlines()
    assert any(f"validation accuracy 62.50 %, validation {label} 62.50 %" in line for line in lines)
    assert any(f"trial 1 complete, {label} 70.00 % after 2 epochs, best {label} 70.00 %" in line for line in lines)
    assert f"trial 4, fold 1 done: {label} 25.00 %" in lines
    view = LiveView()
    for event in events(metric=metric)[:4]:
        view.update(event)
    console = Console(file=io.StringIO(), width=160)
    console.print(view.render())
    assert f"val. accuracy ┃ val. {label}" in console.file.getvalue()
    assert f"best {label} 50.00 %" in console.file.getvalue()


def test_smaller_is_better_for_a_loss():
    view = LiveView()
    for event in events(maximize=False):
        view.update(event)
    assert view.tally.best.name == "trial 0 (baseline)"


def test_live_view_shows_nothing_before_the_first_trial_is_due():
    console = Console(file=io.StringIO(), width=100)
    console.print(LiveView().render())
    assert console.file.getvalue().strip() == ""


def test_trial_that_has_ended_leaves_the_live_view_with_its_trainings_and_others_stay():
    view = LiveView()
    view.update(SweepStarted("study", 0, 4, 2, True, None))
    for number, name in ((1, "trial 1, fold 1"), (1, "trial 1, fold 2"), (2, "trial 2")):
        view.update(TrialStarted(number, name, 0, 2))
    view.update(TrialEnded(1, "trial 1", "complete", 0.7, 2))
    assert list(view.running) == ["trial 2"]
    view.update(TrialInterrupted(2, "trial 2"))
    assert list(view.running) == []


def test_view_has_a_column_of_places_once_a_trial_runs_elsewhere():
    view = LiveView()
    view.update(SweepStarted("study", 0, 4, 2, True, None))

    def shown():
        console = Console(file=io.StringIO(), width=120)
        console.print(view.render())
        return console.file.getvalue()

    view.update(TrialStarted(1, "trial 1", 0, 3))
    assert "│ on" not in shown()
    view.update(TrialStarted(2, "trial 2", 0, 3, "node-7"))
    lines = shown().splitlines()
    assert "┃ on " in lines[2]
    assert lines[4].rstrip(" │").endswith("this machine")
    assert lines[5].rstrip(" │").endswith("node-7")
    view.update(TrialStarted(2, "trial 2", 1, 3, "node-8"))  # the other one was lost
    assert "node-7" not in shown()
    assert "node-8" in shown()


def test_lines_name_the_place_of_a_trial_that_runs_elsewhere(capsys):
    with progress(quiet=False, verbose=True) as listener:
        listener(TrialStarted(1, "trial 1", 0, 3, "node-7"))
        listener(TrialStarted(1, "trial 1", 2, 3, "node-8"))
        listener(TrialStarted(2, "trial 2", 0, 3))
    assert capsys.readouterr().err.splitlines() == [
        "trial 1 started on node-7",
        "trial 1 resumes after epoch 2 on node-8",
        "trial 2 started",
    ]


def test_batches_move_a_bar_within_an_epoch():
    view = LiveView()
    view.update(SweepStarted("study", 0, 4, 2, True, None))
    view.update(TrialStarted(1, "trial 1", 0, 3))

    def shown():
        console = Console(file=io.StringIO(), width=120)
        console.print(view.render())
        return console.file.getvalue()

    assert "━" not in shown().splitlines()[-2]
    for done, length in ((20, 2), (70, 7), (100, 10)):
        view.update(BatchesTrained("trial 1", 1, done, 100))
        assert shown().splitlines()[-2].count("━") == length
    view.update(EpochEnded(1, "trial 1", metrics(1, 0.5)))
    assert "━" not in shown().splitlines()[-2]
    view.update(BatchesTrained("trial 1", 1, 50, 100))  # a new worker trains the epoch once more
    assert "━" not in shown().splitlines()[-2]


def test_step_that_takes_long_is_named_in_a_line_and_a_short_one_is_not(capsys, monkeypatch):
    seen = threading.Event()
    monkeypatch.setattr(module, "LONG_STEP_SECONDS", 0.0)
    monkeypatch.setattr(
        module.PlainLines, "_say", lambda lines, text, say=module.PlainLines._say: (say(lines, text), seen.set())
    )
    with progress(quiet=False, verbose=False) as listener:
        listener(Step("Opening MLflow's database"))
        assert seen.wait(DEADLINE)
        monkeypatch.setattr(module, "LONG_STEP_SECONDS", DEADLINE)
        listener(Step("Starting the workers"))
        waiting = listener.step
        listener(SweepStarted("study", 1, 4, 2, True, None))
        listener(Step("Left behind"))
        last = listener.step
    assert capsys.readouterr().err == "Opening MLflow's database ...\nstudy: 1 of 4 trials done, 2 workers\n"
    for timer in (waiting, last):
        timer.join(DEADLINE / 2)
        assert not timer.is_alive()  # so that it says nothing later


def test_live_view_shows_the_running_step_and_its_time(monkeypatch):
    view = LiveView()
    view.update(Step("Reading the images of tiny"))
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 5)
    console = Console(file=io.StringIO(), width=120)
    console.print(view.render())
    assert console.file.getvalue().startswith("Reading the images of tiny, 0:00:0")
    view.update(SweepStarted("study", 1, 4, 2, True, None))
    console.print(view.render())
    assert console.file.getvalue().count("Reading") == 1


def test_plain_lines_tell_of_a_long_epoch_only_after_a_silence(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with progress(quiet=False, verbose=False) as listener:
        listener(TrialStarted(1, "trial 1", 0, 3))
        for second in range(70):
            now[0] = float(second)
            listener(BatchesTrained("trial 1", 2, second, 100))
    assert capsys.readouterr().err == "trial 1: 30 % of epoch 2 of 3\ntrial 1: 60 % of epoch 2 of 3\n"


def test_what_others_print_above_the_live_view_commands_nothing(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(quiet=False, verbose=False) as listener:
        listener(events()[0])
        print("\x1b]8;;http://evil\x1b\\here \x1b[31mred \x9b2J http://me:hunter2@host", file=sys.stderr)
        listener(Note("\x1b[32mgreen"))
    seen = terminal.getvalue()
    assert r"\x1b]8;;http://evil\x1b\here \x1b[31mred \x9b2J http://me:***@host" in seen
    assert r"\x1b[32mgreen" in seen
    assert not any(sequence in seen for sequence in ("\x1b]8;", "\x1b[31m", "\x1b[32m", "\x9b", "hunter2"))
    assert sys.stderr is terminal
