import json
from dataclasses import replace

import pytest

from sweeper.report.blocks import Figure, Table
from sweeper.report.display_study import plain
from sweeper.report.page import as_data
from sweeper.report.trials import MOST_PARAMETERS, section
from sweeper.studies import trial_records
from tests.report.subjects import add, subject

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


def test_important_parameters_come_first_and_those_left_out_are_named(monkeypatch):
    monkeypatch.setattr("sweeper.report.trials.MOST_PARAMETERS", 2)
    found = section(subject(*COMPLETE), important=["batch_size", "lr"])
    drawn = figures(found)
    assert [title for title, figure in drawn.items() if figure.size == "small"] == ["batch_size", "lr"]
    assert all(name in drawn["Parallel coordinates"].how_to_read for name in ("activation", "optimizer", "momentum"))
    assert MOST_PARAMETERS < 10


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
    assert plain("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"


def test_many_trials_stay_small():
    trials = [([0.5 + n / 1000 + epoch / 100 for epoch in range(15)],) for n in range(50)]
    found = section(subject(*trials, epochs=15))
    assert sum(len(as_data(figure.interactive)) for figure in figures(found).values()) < 50 * 4000
