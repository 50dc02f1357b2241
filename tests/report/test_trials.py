import json
import re
from dataclasses import replace

import pytest

from sweeper.report.blocks import Figure, Heading, Table
from sweeper.report.display_study import literal
from sweeper.report.page import as_data
from sweeper.report.trials import section
from sweeper.studies import trial_records
from tests.report.subjects import add, drawn, subject

COMPLETE = [([0.5, 0.6 + number / 100, 0.7 + number / 100],) for number in range(8)]


def figures(found):
    return {block.title: block for block in found.blocks if isinstance(block, Figure)}


def table(found):
    (block,) = (block for block in found.blocks if isinstance(block, Table))
    return block


def test_scores_are_percent_for_people_and_shares_for_programs():
    found = section(subject(*COMPLETE))
    cells = [cell for row in table(found).rows for cell in row]
    assert "77.00 %" in cells
    assert found.data["trials"][7]["value"] == pytest.approx(0.77)
    history = figures(found)["Optimization history"].interactive
    assert max(y for trace in history["data"] if trace.get("mode") == "markers" for y in trace["y"]) == pytest.approx(
        77
    )


def test_a_single_trial_is_counted_in_the_singular():
    found = section(subject(COMPLETE[0]))
    texts = [
        table(found).caption,
        *(text for figure in figures(found).values() for text in (figure.alt, figure.how_to_read)),
    ]
    assert texts[0] == "1 trial"
    assert [text for text in texts if re.search(r"\b1 [a-z ]*(trials|parameters)\b", text)] == []
    assert "A line is a trial; the best, trial 0, is blue." in figures(found)["Scores by epoch"].how_to_read


def test_without_a_complete_trial_no_line_is_said_to_be_blue():
    found = section(subject(([0.4, 0.5], "pruned")))
    assert "blue" not in figures(found)["Scores by epoch"].how_to_read


@pytest.mark.parametrize(
    ("outliers", "words"),
    [
        ([0.01], " 1 of 9 trials is far worse and not in view."),
        ([0.01, 0.02], " 2 of 10 trials are far worse and not in view."),
    ],
)
def test_far_worse_trials_that_are_out_of_view_are_counted(outliers, words):
    found = section(subject(*COMPLETE, *(([value] * 3,) for value in outliers)))
    assert figures(found)["Optimization history"].how_to_read.endswith(words)


def test_a_cross_marks_where_each_trial_was_pruned():
    found = section(subject(*COMPLETE, ([0.4, 0.5], "pruned"), ([0.3], "pruned")))
    drawn = figures(found)["Scores by epoch"]
    (crosses,) = [trace for trace in drawn.interactive["data"] if trace["name"] == "pruned here"]
    assert [(x, round(y)) for x, y in zip(crosses["x"], crosses["y"], strict=True)] == [(2, 50), (1, 30)]
    assert {curve["number"] for curve in drawn.plot.arguments["curves"]} == set(range(10))


def test_a_conditional_parameter_has_no_axis_and_is_named():
    drawn = figures(section(subject(*COMPLETE)))
    axes = drawn["Parallel coordinates"].interactive["layout"]["xaxis"]["ticktext"]
    assert "momentum" not in axes
    assert "momentum" in drawn["Parallel coordinates"].how_to_read
    assert len(drawn["momentum"].plot.arguments["values"]) == 4


def test_a_parameter_with_one_value_in_all_complete_trials_is_named():
    with_one = subject()
    for trial in range(6):
        add(with_one.study, [0.5 + trial / 100], params=drawn(trial, batch_size=64))
    found = section(replace(with_one, trials=trial_records.records(with_one.study)))
    assert "batch_size" not in figures(found)
    assert figures(found)["Parallel coordinates"].how_to_read.endswith(
        " one value in all complete trials that have it: batch_size."
    )


def test_important_parameters_come_first_and_those_left_out_are_named(monkeypatch):
    monkeypatch.setattr("sweeper.report.trials.MOST_PARAMETERS", 2)
    found = section(subject(*COMPLETE), important=["batch_size", "lr"])
    drawn = figures(found)
    assert [title for title, figure in drawn.items() if figure.size == "small"] == ["batch_size", "lr"]
    (heading,) = (b for b in found.blocks if isinstance(b, Heading) and b.title == "Scores by parameter")
    assert heading.how_to_read.endswith("Only 2 parameters are shown; left out: activation, optimizer, momentum.")


def test_axes_that_find_no_room_are_named(monkeypatch):
    monkeypatch.setattr("sweeper.report.trials.MOST_AXES", 3)
    drawn = figures(section(subject(*COMPLETE), important=["optimizer"]))["Parallel coordinates"]
    assert drawn.how_to_read.endswith("Only 3 parameters are shown; left out: batch_size.")
    assert "the value mattered" not in drawn.how_to_read  # a sampler tries the values of good trials again


@pytest.mark.parametrize(("of_study", "of_trial"), [("running", "running"), ("stopped", "interrupted")])
def test_started_trial_is_running_only_while_its_study_is(of_study, of_trial):
    found = section(subject(*COMPLETE, ([0.5], "running"), status={"state": of_study}))
    assert of_trial in [cell for row in table(found).rows for cell in row]
    assert found.blocks[0].texts[0] == f"Trials: 8 complete, 1 {of_trial}."
    assert found.data["trials"][8]["state"] == "running"


def test_a_trial_that_is_still_running_has_a_bar_that_ends_after_its_start():
    for of_study, of_trial in (("running", "running"), ("dead", "interrupted")):
        made = subject(*COMPLETE, ([0.5], "running"), status={"state": of_study})
        timeline = figures(section(made))["Timeline"]
        bars = timeline.plot.arguments["bars"]
        assert bars[-1]["state"] == of_trial
        assert {trace["name"] for trace in timeline.interactive["data"]} == {"complete", of_trial}
        assert all(bar["end"] >= bar["start"] for bar in bars)


def test_pruned_trials_have_their_reason_once_in_the_words_of_the_trials_command():
    made = subject(*COMPLETE)
    trials = [
        replace(made.trials[0], reason="pruner"),  # an older version stored no more
        replace(made.trials[1], reason="pruner: not among the best third of the trials after epoch 1"),
        replace(made.trials[2], reason="out of memory"),
    ]
    found = section(replace(made, trials=trials))
    assert [row[-1] for row in table(found).rows] == ["", "", "out of memory"]
    (heading,) = (b for b in found.blocks if isinstance(b, Heading) and b.title == "All trials")
    assert heading.how_to_read.endswith(
        "Pruned trials were not among the best third of the trials after as many epochs."
    )


@pytest.mark.parametrize(
    ("trials", "spec"),
    [
        ([], {}),
        ([([], "waiting")], {}),
        ([([0.5],)], {}),
        ([([0.5, 0.6], "running")], {}),
        ([([0.1], "pruned"), ([], "failed")], {"metric": "loss"}),
        ([([], "failed")], {}),
        ([([0.5, 0.5, 0.5],)] * 6, {"variants_only": True}),
        ([([0.5, float("nan")], "pruned"), *COMPLETE], {"metric": "loss"}),
        (COMPLETE, {"folds": 3}),
    ],
)
def test_every_study_has_a_sound_section(trials, spec):
    found = section(subject(*trials, **spec))
    assert found.blocks
    for figure in figures(found).values():
        as_data(figure.interactive)  # it has no NaN, which JSON lacks
        if figure.plot:
            figure.plot.draw()
    json.dumps(found.data)
    if trials:
        assert len(table(found).rows) == len(trials)


def test_a_duplicate_is_in_the_table_and_in_no_figure():
    made = subject(*COMPLETE)
    add(made.study, [0.9, 0.95, 0.99], duplicate_of=0)
    again = replace(made, trials=trial_records.records(made.study))
    drawn = figures(section(again))
    history = drawn["Optimization history"].interactive
    assert all(99.0 not in trace["y"] for trace in history["data"])
    assert len(table(section(again)).rows) == 9


def test_texts_of_parameters_are_no_markup_in_figures():
    assert literal("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"


def test_many_trials_stay_small():
    trials = [([0.5 + n / 1000 + epoch / 100 for epoch in range(15)],) for n in range(50)]
    found = section(subject(*trials, epochs=15))
    assert sum(len(as_data(figure.interactive)) for figure in figures(found).values()) < 50 * 4000
