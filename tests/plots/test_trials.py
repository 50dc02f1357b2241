import math

import pytest

from sweeper.plots import Plot

CURVES = [
    {"number": 0, "state": "complete", "steps": [1, 2], "values": [70.0, 80.0]},
    {"number": 1, "state": "pruned", "steps": [1], "values": [50.0]},
    {"number": 2, "state": "infeasible", "steps": [1, 2], "values": [60.0, math.nan]},
]


def test_intermediate_values_draw_a_line_a_trial_and_a_cross_where_one_was_pruned():
    arguments = {"curves": CURVES, "best": [0], "label": "Accuracy (%)", "step": "Epoch", "low": 40.0, "high": 90.0}
    (axes,) = Plot("intermediate_values", arguments).draw().axes
    crosses = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "x"]
    assert crosses == [[[1, 50.0]]]
    assert len(axes.lines) == len(CURVES) + 1
    assert axes.get_ylim() == (40.0, 90.0)


def test_a_timeline_has_a_bar_from_start_to_end_in_minutes():
    bars = [{"number": n, "state": "complete", "start": 60.0 * n, "end": 60.0 * n + 30} for n in range(3)]
    (axes,) = Plot("timeline", {"bars": bars}).draw().axes
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, 0.5), (1, 0.5), (2, 0.5)]


@pytest.mark.parametrize("values", [[1, 2, 3], ["relu", "a $x$ <b>", "relu"], [1e-4, 1e-2, 1e-3]])
def test_scores_by_value_has_a_point_a_trial(values):
    arguments = {"name": "x", "values": values, "scores": [1.0, 2.0, 3.0], "label": "y", "low": 0.0, "high": 4.0}
    figure = Plot("scores_by_value", arguments | {"log": values[0] == 1e-4}).draw()
    figure.canvas.draw()
    (axes,) = figure.axes
    assert len(axes.collections[0].get_offsets()) == 3
