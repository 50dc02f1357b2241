"""Section 4 of a report: how good the networks of each size are, and which of them no other beats."""

from collections.abc import Mapping
from dataclasses import replace

from sweeper.evaluation.amounts import number, unit
from sweeper.models.latency import DESCRIBED, milliseconds
from sweeper.quantities import counted
from sweeper.report import interactive
from sweeper.report.blocks import Block, Figure, Section, Sentences, Table
from sweeper.report.display_study import Scale
from sweeper.report.score_range import shown_scores
from sweeper.report.subject import Subject
from sweeper.report.wording import count, numbered, score, settings
from sweeper.studies.baseline import differences
from sweeper.studies.frontier import COST_LABELS, Cost, Frontier, Point, cost_of, frontier, plot, sentence
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.objective import LABELS, direction

TITLE = "The frontier"
HOW = (
    "Each point is a configuration. Those on the front are beaten by no other: to score higher, a network must cost "
    "more. Scores are of the search's validation images."
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
    roles = _roles(subject)
    networks = replace(
        networks,
        points=[_measured(subject, p, found) if p.on_front or p.trial in roles else p for p in networks.points],
    )
    front = networks.front
    named = numbered([point.trial for point in front])
    on_front = f"On the front, the cheapest first: {named}." if front else "No trial is on the front."
    of_them = f"{len(front)} of them on the front: {named}" if front else "none of them on the front"
    of_them = f"{len(front)} of them on the front: {named}" if front else "none of them on the front"
    drawn = plot(networks, roles)
    points = drawn.arguments["points"]
    scale = Scale.of(metric)
    view = shown_scores([point.value for point in networks.points], [], metric, scale.factor)
    blocks: list[Block] = [
        Sentences([on_front, sentence(networks), *_champion(subject, networks)]),
        Figure(
            f"{LABELS[metric].capitalize()} by {COST_LABELS[networks.cost]}",
            "Small networks are on the left, good ones on top." if direction(metric) == "maximize" else "",
            f"{counted(len(points), 'configuration')}, {of_them}.",
            drawn,
            interactive.accuracy_and_cost(points, scale, COST_LABELS[networks.cost], view),
        ),
        _table(subject, [p for p in networks.points if p.on_front or p.trial in roles], roles),
    ]
    return Section(TITLE, HOW, blocks, networks.as_json())


def _measured(subject: Subject, point: Point, found: NetworkInput | None) -> Point:
    trial = subject.trial(point.trial)
    if found is None or trial is None or trial.configuration is None:
        return point
    return replace(point, milliseconds=milliseconds(trial.configuration.model, found.input_shape, found.n_classes))


def _roles(subject: Subject) -> dict[int, str]:
    """The finalists of the promotion by trial, with their roles."""
    if subject.outcome is None:
        return {}
    return {e.trial: e.alias or ("baseline" if e.is_baseline else "finalist") for e in subject.outcome.entrants}


def _champion(subject: Subject, networks: Frontier) -> list[str]:
    """Why a champion is not on the front, if it is not."""
    champion = next(
        (p for p in networks.points if subject.outcome and p.trial == subject.outcome.entrants[0].trial), None
    )
    if champion is None or champion.on_front or subject.outcome is None:
        return []
    metric = subject.spec.metric
    cost = cost_of(champion, networks.cost)
    above = [point for point in networks.front if cost_of(point, networks.cost) <= cost]
    if not above:  # the champion may not win, or is over a limit
        return [f"The champion, trial {champion.trial}, is not on the front."]
    best = above[-1]
    less = f"{number(metric, abs(best.value - champion.value), 1)} {unit(metric)}"
    means = {entrant.trial: entrant.validation["mean"] for entrant in subject.outcome.entrants}
    other = means.get(best.trial)
    is_ahead = other is not None and (other - means[champion.trial] > 0) == (direction(metric) == "minimize")
    won = "But it did better with fresh seeds" if is_ahead else "The promotion chose by fresh seeds"
    return [
        f"The champion, trial {champion.trial}, is not on the front: in the search, trial {best.trial} scored {less} "
        f"better at no higher cost. {won}: a score here is of one seed."
    ]


def _table(subject: Subject, points: list[Point], roles: Mapping[int, str]) -> Table:
    shown = points[-MOST_ROWS:]
    rows = []
    for point in shown:
        trial = subject.trial(point.trial)
        rows.append(
            [
                str(point.trial),
                *(
                    [", ".join(["front"] * point.on_front + [roles.get(point.trial, "")] * (point.trial in roles))]
                    if roles
                    else []
                ),
                score(subject.spec.metric, point.value, 2),
                count(point.n_parameters),
                count(point.n_multiply_adds),
                "" if point.milliseconds is None else f"{point.milliseconds:.2f}",
                settings(differences(subject.spec, trial)) if trial else "",
            ]
        )
    columns = [
        "trial",
        *["what"] * bool(roles),
        f"validation {LABELS[subject.spec.metric]}",
        "parameters",
        "multiply-adds",
        "milliseconds",
    ]
    caption = "The front" + " and the finalists" * bool(roles)
    caption += f": the best {MOST_ROWS} of {len(points)}" * (len(points) > len(shown))
    if any(point.milliseconds is not None for point in shown):
        caption += f"; milliseconds are for {DESCRIBED}, measured now: other work on the machine changes them"
    first = 1 + bool(roles)
    return Table(caption, [*columns, "differs from the baseline in"], rows, (0, *range(first, first + 4)))
