"""Figures of a study's trials that a reader can move in: Optuna's, as Plotly's JSON, made legible for many trials."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna import visualization

from sweeper.report.display_study import Scale

# These can be told apart on light and dark ground, and with every common colour-vision deficiency.
BLUE, ORANGE, GREY, RED, GREEN = "#2f8fd6", "#e08b00", "#8c8c8c", "#d4493a", "#0a9e73"
# The colours of a timeline's states, by Optuna's names for them.
STATES = {"COMPLETE": BLUE, "PRUNED": ORANGE, "INFEASIBLE": GREY, "FAIL": RED, "RUNNING": GREEN}

# With more epochs, not each can have a tick.
MOST_TICKS = 15

Plotly = dict[str, Any]
Range = tuple[float, float]


def optimization_history(shown: optuna.Study, scale: Scale, pruned: Sequence[tuple[int, float]], view: Range) -> Plotly:
    """The score of each complete trial and the best so far, and the last scores of `pruned` ones, by number."""
    figure = visualization.plot_optimization_history(shown, target_name=scale.label)
    figure.data = [trace for trace in figure.data if trace.x is not None and len(trace.x)]
    figure.update_traces(marker_color=BLUE, selector={"mode": "markers", "name": scale.label})
    figure.update_traces(line={"color": GREEN, "shape": "hv"}, selector={"mode": "lines"})
    for trace in figure.data:
        trace.name = {scale.label: "complete", "Best Value": "best so far"}.get(trace.name, trace.name)
    if pruned:
        numbers, values = zip(*pruned, strict=True)
        marker = {"color": ORANGE, "symbol": "x-thin-open", "size": 8}
        figure.add_trace(go.Scatter(x=numbers, y=values, mode="markers", name="pruned, last score", marker=marker))
    figure.update_yaxes(range=view)
    return _finished(figure)


def intermediate_values(
    shown: optuna.Study, scale: Scale, step: str, best: Collection[int], pruned: Collection[int], view: Range
) -> Plotly:
    """The scores of all trials by epoch, those of the `best` in blue, with a cross where each of the `pruned` ended."""
    figure = visualization.plot_intermediate_values(shown)
    ends: list[tuple[float, float, str]] = []
    ranked = []
    for trace in figure.data:
        number = int(trace.name.removeprefix("Trial"))
        is_best = number in best
        trace.update(
            name=f"trial {number}",
            mode="lines+markers" if len(trace.x) == 1 else "lines",
            line={"color": BLUE if is_best else GREY, "width": 2 if is_best else 1},
            opacity=1 if is_best else 0.45,
        )
        ranked.append((is_best, trace))
        if number in pruned:
            ends.append((trace.x[-1], trace.y[-1], trace.name))
    ranked.sort(key=lambda entry: entry[0])  # the best are drawn last, above the others
    figure = go.Figure([trace for _, trace in ranked], figure.layout)
    if ends:
        x, y, names = zip(*ends, strict=True)
        marker = {"color": ORANGE, "symbol": "x-thin-open", "size": 8}
        figure.add_trace(go.Scatter(x=x, y=y, text=names, mode="markers", name="pruned here", marker=marker))
    longest = max((max(trace.x) for _, trace in ranked), default=1)
    figure.update_xaxes(title=step, dtick=1 if longest <= MOST_TICKS else None)
    figure.update_yaxes(title=scale.label, range=view)
    return _finished(figure)


def timeline(shown: optuna.Study) -> Plotly:
    """When each trial ran, in its state's colour."""
    figure = visualization.plot_timeline(shown)
    figure.data = [trace for trace in figure.data if trace.name in STATES]
    for trace in figure.data:
        trace.marker.color = STATES[trace.name]
        trace.name = trace.name.lower().replace("fail", "failed")
    figure.update_xaxes(title="Time, as on the machine of the search")
    figure.update_yaxes(autorange="reversed")
    return _finished(figure)


def parallel_coordinates(shown: optuna.Study, scale: Scale, parameters: Sequence[str], n_best: int) -> Plotly:
    """A line for each complete trial through its score and its values of `parameters`; the best ones in blue."""
    figure = visualization.plot_parallel_coordinate(shown, params=list(parameters), target_name=scale.label)
    lines = [trace for trace in figure.data if trace.mode == "lines" and trace.y and trace.y[0] is not None]
    lines.sort(key=lambda trace: trace.y[0], reverse=shown.direction.name == "MINIMIZE")
    for place, trace in enumerate(lines):
        is_best = place >= len(lines) - n_best
        trace.update(
            line={"color": BLUE if is_best else GREY, "width": 2 if is_best else 1}, opacity=0.9 if is_best else 0.3
        )
    # Optuna's colour bar would repeat the first axis.
    figure = go.Figure(lines, figure.layout)
    figure.update_layout(plot_bgcolor=None)
    for note in figure.layout.annotations:
        note.font.color = None
    return _finished(figure, margin={"l": 70, "r": 20, "t": 20, "b": 60})


def slice_of(shown: optuna.Study, scale: Scale, parameter: str, view: Range) -> Plotly:
    """The scores of complete trials by the value of one parameter."""
    figure = visualization.plot_slice(shown, params=[parameter], target_name=scale.label)
    figure.update_traces(
        marker={"color": BLUE, "opacity": 0.7, "showscale": False, "line": {"width": 0}},
        selector={"name": "Feasible Trial"},
    )
    for trace in figure.data:  # Optuna quotes texts as Python does
        trace.x = [_unquoted(value) for value in trace.x]
    if figure.layout.xaxis.categoryarray:
        figure.layout.xaxis.categoryarray = [_unquoted(value) for value in figure.layout.xaxis.categoryarray]
        figure.layout.xaxis.type = "category"  # Plotly would take the names of numbers for numbers
    figure.update_yaxes(range=view, title=None)
    figure.update_xaxes(title=None)
    return _finished(figure, height=260)


def _unquoted(value: Any) -> Any:
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == "'" else value


def _finished(figure: go.Figure, height: int = 400, **layout: Any) -> Plotly:
    """The figure without Optuna's title and colours of the ground: the page gives both."""
    margin = {"l": 60, "r": 20, "t": 30, "b": 55}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
    figure.update_layout({"title": None, "template": "none", "height": height, "legend": legend, "margin": margin})
    figure.update_layout(layout)
    plain: Plotly = json.loads(figure.to_json())
    return plain
