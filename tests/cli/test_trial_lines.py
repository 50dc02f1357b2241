from dataclasses import replace

import pytest
from rich.cells import cell_len

from sweeper.cli.trial_lines import trial_lines
from sweeper.config import Configuration
from sweeper.studies.trial_records import TrialRecord


def trial(number, value=0.9123, state="complete", **changes):
    params = changes.pop("params", {"lr": 0.001 * (number + 1), "pooling": "max"})
    made = TrialRecord(number, state, value, params, None, Configuration.from_values(params), "", True, 0, 4)
    return replace(made, **({"n_parameters": 61_706 + number, "seconds": 10.0 + number} | changes))


def lines_of(trials, width=None, metric="accuracy"):
    lines = trial_lines(trials, metric, width)
    assert width is None or max(map(cell_len, lines)) <= width
    return lines


def many(n=50):
    return [
        trial(
            number,
            params={
                "filters": [6 + number, 16, 120], "kernel_size": 3, "pooling": ("max", "avg")[number % 2],
                "batch_norm": number % 2 == 0, "activation": ("leaky_relu", "relu", "tanh")[number % 3],
                "dropout": 0.001234 * number, "optimizer": ("adam", "sgd")[number % 2], "lr": 0.00012345 * (number + 1),
                "schedule": ("one_cycle", "constant")[number % 2], "weight_decay": 1e-5 * (number % 3),
            },
        )
        for number in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_each_trial_has_one_line_and_what_is_left_out_is_named(width):
    trials = [replace(t, state="pruned", reason="pruner", epochs=t.number) if t.number % 3 else t for t in many()]
    lines = lines_of(trials, width)
    assert [sum(line.startswith(f"{number:2} ") for line in lines) for number in range(50)] == [1] * 50
    shown, text = " ".join(lines[:4]), " ".join(lines)
    named = text.partition("Left out")[2]
    heads = (" lr", "dropout", "filters", "seconds", "schedule", "parameters")
    assert all((name in shown) != (name in named) for name in heads)
    assert ("Left out" in text) == (width < 200)
    assert "dropout" in shown
    assert "kernel_size 3" in lines[0]


def test_nothing_is_left_out_without_a_width():
    long = "diverged: " + "the loss is nan " * 20
    text = "\n".join(lines_of([*many(), trial(50, None, "pruned", feasible=False, reason=long)]))
    assert long.strip() in text
    assert "Left out" not in text


def test_what_is_the_same_in_all_trials_is_named_once_above():
    first, *rest = lines_of([trial(0), trial(1)])
    assert first == "The same in all: epochs 4, pooling max."
    assert not any("pooling" in line or "epochs" in line for line in rest)


def test_without_a_trial_there_is_no_line():
    assert trial_lines([], "accuracy", 80) == []


def test_a_single_trial_has_its_parameters_in_its_line():
    lines = lines_of([trial(0)])
    assert len(lines) == 3
    assert "pooling" in lines[0]


def test_columns_without_an_entry_are_left_out():
    unknown = {"configuration": None, "n_parameters": None, "seconds": 0.0, "epochs": 0, "params": {}}
    head, _, line = lines_of([replace(trial(1, None, "waiting"), **unknown)])
    assert (head.split(), line.split()) == (["trial", "state", "epochs"], ["1", "waiting", "0"])


def test_epochs_say_when_the_pruner_ended_a_trial_and_other_reasons_are_told():
    pruned = trial(1, 0.5, "pruned", reason="pruner", epochs=2)
    lines = lines_of([trial(0), pruned])
    assert "reason" not in "".join(lines)
    assert lines[-1].split()[:5] == ["1", "pruned", "50.00", "%", "2"]
    diverged = trial(2, None, "pruned", feasible=False, reason="diverged: the loss is nan", epochs=1, retried=True)
    assert lines_of([trial(0), pruned, diverged])[-1].endswith("tried again; diverged: the loss is nan")
    assert "always says [b]cat" in lines_of([trial(0, constant=("[b]cat",)), pruned])[-2]


def test_why_the_pruner_ended_trials_is_said_once_for_all():
    reason = "pruner: not among the best third of the trials after epoch"
    pruned = [trial(n, 0.5, "pruned", reason=f"{reason} {n}", epochs=n) for n in (1, 3)]
    lines = lines_of([trial(0), *pruned])
    assert lines[-1] == "Pruned trials were not among the best third of the trials after as many epochs."
    assert "reason" not in "".join(lines[:-1])


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_and_reasons_are_cut_at_the_width(width):
    named = trial(10, variant="一" * 100)
    failed = trial(11, None, "failed", reason="RuntimeError: " + "数" * 200)
    lines = lines_of([*many(10), named, failed], width)
    assert len([line for line in lines if line.endswith("...") or "一..." in line]) == 2
    assert "the ends of reasons" in " ".join(lines)


def test_what_a_terminal_would_obey_is_shown():
    lines = lines_of([trial(0, variant="a\x1b[2Jb\nc"), trial(1, reason="x\x1b[31m\nTo resume: y")], 200)
    assert not any("\x1b" in line or line.startswith("To resume") for line in lines)
    assert "a\\x1b[2Jb c" in lines[-2]


def test_spread_over_folds_and_repeats_stands_beside_the_score_of_the_study_s_metric():
    folded = trial(3, metrics={"validation_macro_f1_sd": 0.0041})
    lines = lines_of([folded, trial(4)], 80, "macro_f1")
    assert "91.23 +- 0.41" in lines[-2]
    assert "+-" not in lines[-1]
    assert any("macro F1" in line for line in lines)
