"""Figures of a study's trials that a reader can move in: Optuna's, as Plotly's JSON, made legible for many trials."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import optuna
from optuna import visualization
from plotly.utils import PlotlyJSONEncoder

from sweeper.report.display_study import Scale
from sweeper.report.wording import state

# These can be told apart on light and dark ground, and with every common colour-vision deficiency.
BLUE, ORANGE, GREY, RED, GREEN = "#2f8fd6", "#e08b00", "#8c8c8c", "#d4493a", "#0a9e73"
# The colours of a timeline's states, by Optuna's names for them.
STATES = {"COMPLETE": BLUE, "PRUNED": ORANGE, "INFEASIBLE": GREY, "FAIL": RED, "RUNNING": GREEN}
# From this ratio of the largest to the smallest cost on, a linear axis would press small networks into a corner.
LOG_FROM = 4
# With more epochs, not each can have a tick.
MOST_TICKS = 15

# A figure as JSON values, and a trace of one. Plotly's own objects check each change, which takes seconds for a study.
Plotly = dict[str, Any]
Trace = dict[str, Any]
Range = tuple[float, float]


def optimization_history(shown: optuna.Study, scale: Scale, pruned: Sequence[tuple[int, float]], view: Range) -> Plotly:
    """The score of each complete trial and the best so far, and the last scores of `pruned` ones, by number."""
    figure = visualization.plot_optimization_history(shown, target_name=scale.label).to_plotly_json()
    traces = [trace for trace in figure["data"] if trace.get("x") is not None and len(trace["x"])]
    for trace in traces:
        if trace["name"] == scale.label:
            trace |= {"name": "complete", "marker": {"color": BLUE}}
        elif trace["mode"] == "lines":
            trace |= {"name": "best so far", "line": {"color": GREEN, "shape": "hv"}}
    if pruned:
        traces.append(_crosses(pruned, "pruned, last score"))
    return _finished(traces, {"xaxis": {"title": {"text": "Trial"}}, "yaxis": _axis(scale.label, range=view)})


def intermediate_values(
    shown: optuna.Study, scale: Scale, step: str, best: Collection[int], pruned: Collection[int], view: Range
) -> Plotly:
    """The scores of all trials by epoch, those of the `best` in blue, with a cross where each of the `pruned` ended."""
    figure = visualization.plot_intermediate_values(shown).to_plotly_json()
    others: list[Trace] = []
    above: list[Trace] = []  # drawn last
    ends: list[tuple[int, float]] = []
    longest = 1
    for trace in figure["data"]:
        number, steps, scores = int(trace["name"].removeprefix("Trial")), trace["x"], trace["y"]
        is_best = number in best
        (above if is_best else others).append(
            {
                "type": "scatter",
                "x": steps,
                "y": scores,
                "name": f"trial {number}",
                "mode": "lines+markers" if len(steps) == 1 else "lines",
                "line": {"color": BLUE if is_best else GREY, "width": 2 if is_best else 1},
                "opacity": 1 if is_best else 0.45,
            }
        )
        longest = max(longest, *steps)
        if number in pruned:
            ends.append((steps[-1], scores[-1]))
    crosses = [_crosses(ends, "pruned here")] if ends else []
    horizontal = _axis(step, dtick=1) if longest <= MOST_TICKS else _axis(step)
    layout = {"xaxis": horizontal, "yaxis": _axis(scale.label, range=view), "showlegend": False}
    return _finished([*others, *above, *crosses], layout)


def timeline(shown: optuna.Study, *, is_running: bool) -> Plotly:
    """When each trial ran, in its state's colour; `is_running` says whether a process runs the study."""
    figure = visualization.plot_timeline(shown).to_plotly_json()
    traces = [trace for trace in figure["data"] if trace["name"] in STATES]
    for trace in traces:
        named = state(trace["name"].lower().replace("fail", "failed"), is_running=is_running)
        trace |= {"marker": {"color": STATES[trace["name"]]}, "name": named}
        trace |= {
            "text": [f"trial {number}" for number in trace["y"]],
            "hovertemplate": f"%{{text}}, {named}<extra></extra>",
        }
    horizontal = _axis("Time, as on the machine of the search", type="date")
    return _finished(traces, {"xaxis": horizontal, "yaxis": _axis("Trial", autorange="reversed"), "showlegend": True})


def parallel_coordinates(shown: optuna.Study, scale: Scale, parameters: Sequence[str], n_best: int) -> Plotly:
    """A line for each complete trial through its score and its values of `parameters`; the best ones in blue."""
    figure = visualization.plot_parallel_coordinate(shown, params=list(parameters), target_name=scale.label)
    drawn = figure.to_plotly_json()
    # Optuna's colour bar, a trace of its own, would repeat the first axis.
    lines = [trace for trace in drawn["data"] if trace["mode"] == "lines" and trace["y"][0] is not None]
    lines.sort(key=lambda trace: trace["y"][0], reverse=shown.direction.name == "MINIMIZE")
    for place, trace in enumerate(lines):
        is_best = place >= len(lines) - n_best
        trace |= {"line": {"color": BLUE if is_best else GREY, "width": 2 if is_best else 1}}
        trace |= {"opacity": 0.9 if is_best else 0.3}
    layout = {name: drawn["layout"][name] for name in ("xaxis", "yaxis", "annotations", "shapes", "hovermode")}
    for note in layout["annotations"]:
        note["font"] = {"size": 10}
    return _finished(lines, layout | {"margin": {"l": 70, "r": 60, "t": 20, "b": 60}})


def slice_of(shown: optuna.Study, scale: Scale, parameter: str, view: Range) -> Plotly:
    """The scores of complete trials by the value of one parameter."""
    figure = visualization.plot_slice(shown, params=[parameter], target_name=scale.label).to_plotly_json()
    traces = figure["data"]
    for trace in traces:  # Optuna quotes texts as Python does
        is_feasible = trace["name"] == "Feasible Trial"
        trace |= {"x": [_unquoted(value) for value in trace["x"]], "showlegend": False}
        trace["marker"] = {"color": BLUE if is_feasible else GREY, "opacity": 0.7}
    known = figure["layout"]["xaxis"]
    horizontal: dict[str, Any] = (
        {"type": "log", "dtick": "D2", "tickformat": "~g"} if known.get("type") == "log" else {}
    )
    if known.get("categoryarray") is not None:
        # Plotly would take the names of numbers for numbers.
        horizontal = {"type": "category", "categoryorder": "array"}
        horizontal["categoryarray"] = [_unquoted(value) for value in known["categoryarray"]]
    return _finished(traces, {"xaxis": horizontal, "yaxis": {"range": view}, "height": 260})


def accuracy_and_cost(points: Sequence[Mapping[str, Any]], scale: Scale, cost: str, view: Range) -> Plotly:
    """The score of each configuration by its cost; those that no other beats are joined."""
    beaten = [point for point in points if point["may_win"] and not point["on_front"]]
    barred = [point for point in points if not point["may_win"]]
    front = [point for point in points if point["on_front"]]
    traces = [
        {
            "type": "scatter",
            "x": [point["cost"] for point in group],
            "y": [scale.factor * point["value"] for point in group],
            "text": [f"trial {point['trial']}" for point in group],
            "name": name,
            "mode": mode,
            "textposition": "top center",
            "marker": {"color": colour},
            "line": {"shape": "hv"},
        }
        for name, group, mode, colour in (
            ("beaten", beaten, "markers", GREY),
            ("may not win: over a limit", barred, "markers", ORANGE),
            ("front", front, "lines+markers+text", BLUE),
        )
        if group
    ]
    if finalists := [point for point in points if point.get("role")]:
        traces.append(
            {
                "type": "scatter",
                "x": [point["cost"] for point in finalists],
                "y": [scale.factor * point["value"] for point in finalists],
                "text": [f"{point['role']} ({point['trial']})" for point in finalists],
                "name": "finalists",
                "mode": "markers+text",
                "textposition": "bottom center",
                "marker": {"color": ORANGE, "symbol": "circle-open", "size": 15, "line": {"width": 2}},
            }
        )
    costs = [point["cost"] for point in points]
    is_wide = min(costs) > 0 and max(costs) >= LOG_FROM * min(costs)
    horizontal = _axis(cost, type="log" if is_wide else "linear")
    return _finished(traces, {"xaxis": horizontal, "yaxis": _axis(scale.label, range=view)})


def _crosses(points: Sequence[tuple[int, float]], name: str) -> Trace:
    x, y = zip(*points, strict=True)
    marker = {"color": ORANGE, "symbol": "x-thin-open", "size": 8}
    return {"type": "scatter", "x": x, "y": y, "mode": "markers", "name": name, "marker": marker}


def _axis(title: str, **settings: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **settings}


def _unquoted(value: Any) -> Any:
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == "'" else value


def _finished(traces: Sequence[Trace], layout: Mapping[str, Any]) -> Plotly:
    """The figure without Optuna's title and colours of the ground: the page gives both."""
    legend = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
    usual = {"height": 400, "legend": legend, "margin": {"l": 60, "r": 20, "t": 30, "b": 55}}
    # The encoder writes numpy's arrays, and null for what JSON has no number for.
    plain: Plotly = json.loads(json.dumps({"data": traces, "layout": {**usual, **layout}}, cls=PlotlyJSONEncoder))
    return plain
