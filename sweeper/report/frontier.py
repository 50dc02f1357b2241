"""Section 4 of a report: how good the networks of each size are, and which of them no other beats."""

from collections.abc import Sequence
from dataclasses import replace

from sweeper.models.latency import DESCRIBED, milliseconds
from sweeper.report import interactive
from sweeper.report.blocks import Block, Figure, Section, Sentences, Table
from sweeper.report.display_study import Scale
from sweeper.report.score_range import shown_scores
from sweeper.report.subject import Subject
from sweeper.report.wording import count, score, settings
from sweeper.studies.frontier import COST_LABELS, Cost, Point, frontier, plot, sentence
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.objective import LABELS, direction

TITLE = "The frontier"
HOW = (
    "Each point is a configuration. Those on the front are beaten by no other: any better score costs more. Scores are "
    "of the search's validation images."
)
# So many networks of the front have a row: the best of them.
MOST_ROWS = 15


def section(subject: Subject, found: NetworkInput | None) -> Section:
    """The front by multiply-adds or, without `found`, which an old study lacks, by parameters."""
    metric = subject.spec.metric
    cost: Cost = "multiply_adds" if found else "parameters"
    networks = frontier(subject.trials, metric, cost, found)
    if not networks.points:
        return Section(TITLE, HOW, [Sentences(["No trial has completed."])], networks.as_json())
    front = [_measured(subject, point, found) for point in networks.front]
    networks = replace(
        networks, points=[next((f for f in front if f.trial == p.trial), p) for p in networks.points]
    )  # fmt: skip
    drawn = plot(networks)
    points = drawn.arguments["points"]
    scale = Scale.of(metric)
    view = shown_scores([point.value for point in networks.points], [], metric, scale.factor)
    blocks: list[Block] = [
        Sentences([f"On the front, the cheapest first: {_named(front)}.", sentence(networks)]),
        Figure(
            f"{LABELS[metric].capitalize()} by {COST_LABELS[networks.cost]}",
            "Small networks are on the left, good ones on top." if direction(metric) == "maximize" else "",
            f"{len(points)} configurations, {len(front)} of them on the front: {_named(front)}.",
            drawn,
            interactive.accuracy_and_cost(points, scale, COST_LABELS[networks.cost], view),
        ),
        _table(subject, front),
    ]
    return Section(TITLE, HOW, blocks, networks.as_json())


def _measured(subject: Subject, point: Point, found: NetworkInput | None) -> Point:
    trial = subject.trial(point.trial)
    if found is None or trial is None or trial.configuration is None:
        return point
    return replace(point, milliseconds=milliseconds(trial.configuration.model, found.input_shape, found.n_classes))


def _named(front: Sequence[Point]) -> str:
    return f"trial{'s' * (len(front) != 1)} {', '.join(str(point.trial) for point in front) or 'none'}"


def _table(subject: Subject, front: list[Point]) -> Table:
    shown = front[-MOST_ROWS:]
    rows = []
    for point in shown:
        trial = subject.trial(point.trial)
        rows.append(
            [
                str(point.trial),
                score(subject.spec.metric, point.value, 2),
                count(point.n_parameters),
                count(point.n_multiply_adds),
                "" if point.milliseconds is None else f"{point.milliseconds:.2f}",
                settings(subject.differing(trial)) if trial else "",
            ]
        )
    columns = ["trial", f"validation {LABELS[subject.spec.metric]}", "parameters", "multiply-adds", "milliseconds"]
    caption = "The front" + f": the best {MOST_ROWS} of {len(front)}" * (len(front) > len(shown))
    caption += f"; milliseconds are for {DESCRIBED}" * any(point.milliseconds is not None for point in shown)
    return Table(caption, [*columns, "differs from the baseline in"], rows, range(5))
