"""Section 2 of a report: what all trials of the search reached, when, and with which values."""

from collections.abc import Sequence
from datetime import datetime

import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from sweeper.events import UNTRAINED, State
from sweeper.plots import Plot
from sweeper.quantities import counted
from sweeper.report import interactive
from sweeper.report.blocks import Block, Figure, Heading, Section, Sentences, Table
from sweeper.report.display_study import Scale, display_study
from sweeper.report.score_range import shown_scores
from sweeper.report.subject import Subject
from sweeper.report.wording import best_in_blue, count, duration, numbered, score, setting, state
from sweeper.studies import trial_records, warm_start
from sweeper.studies.objective import LABELS, METRICS, direction
from sweeper.studies.queries import trial_as_dict
from sweeper.studies.trial_list import parameters, pruned, reason
from sweeper.studies.trial_records import TrialRecord

# So many parameters have an axis among parallel ones, and so many a figure of their own: more cannot be read.
MOST_AXES, MOST_PARAMETERS = 6, 12
# The share of the complete trials that figures bring out, and the fewest.
BEST_SHARE, FEWEST_BEST = 0.1, 3
# With fewer complete trials, their scores say nothing about a parameter.
FEWEST_COMPLETE = 5


def section(subject: Subject, important: Sequence[str] = ()) -> Section:
    """The figures and the table of the trials; `important` names parameters that deserve a figure before others."""
    trials, metric = subject.trials, subject.spec.metric
    counts = trial_records.counts(trials)
    warm = warm_start.told(subject.study)
    data = {
        "n_trials": counts,
        "warm_start": warm or None,
        "trials": [trial_as_dict(trial) for trial in trials],
    }
    how = "Every point and line is a trial: one configuration that was trained. Scores are of validation images."
    if not trials:
        return Section("Trials", how, [Sentences(["The study has no trial yet."])], data)
    scored = [trial for trial in trials if trial.values or trial.value is not None]
    blocks: list[Block] = [Sentences([_counts(counts, is_running=subject.is_running), *([f"{warm}."] if warm else [])])]
    if scored:
        blocks += _figures(subject, important)
    else:
        blocks.append(Sentences(["No trial has a score yet, so that there is nothing to draw."]))
    blocks += [
        Heading(
            "All trials",
            f"One row a trial; the table scrolls both ways. {_epoch_of_scores(subject)}Click a column's name to sort; "
            "type a word to keep the rows that have it. " + pruned(trials),
        ),
        _table(subject, metric),
    ]
    return Section("Trials", how, blocks, data)


def _epoch_of_scores(subject: Subject) -> str:
    """Of which epoch the scores and the kept weights are."""
    label = LABELS[subject.spec.metric]
    return (
        f"The {label} is that of the last epoch, whose weights are the network; the best epoch's is shown beside it, "
        "and chooses nothing. "
    )


def _counts(counts: dict[str, int], *, is_running: bool) -> str:
    names = {"complete": "complete", "pruned": "pruned", "infeasible": "infeasible", "fail": "failed"}
    words = [f"{counts[key]} {name}" for key, name in names.items() if counts[key] or key == "complete"]
    words += [f"{counts['running']} {state('running', is_running=is_running)}"] * bool(counts["running"])
    return f"Trials: {', '.join(words)}."


def _figures(subject: Subject, important: Sequence[str]) -> list[Block]:
    trials, metric = subject.trials, subject.spec.metric
    shown, scale = display_study(subject), Scale.of(metric)
    ranked = trial_records.ranking([t for t in trials if t.feasible], metric)
    n_best = min(len(ranked), max(FEWEST_BEST, round(BEST_SHARE * len(ranked))))
    best = [trial.number for trial in ranked[:n_best]]
    pruned_ones = [t for t in trials if t.outcome == "pruned" and t.values]
    last = [(t.number, scale.factor * t.values[max(t.values)]) for t in pruned_ones]
    view = shown_scores([t.value for t in ranked], [t.values[max(t.values)] for t in pruned_ones], metric, scale.factor)
    scored = [*(scale.factor * t.value for t in ranked if t.value is not None), *(value for _, value in last)]
    n_hidden = sum(not view[0] <= value <= view[1] for value in scored)
    are = "is" if n_hidden == 1 else "are"
    beneath = f" {n_hidden} of {counted(len(scored), 'trial')} {are} far worse and not in view." * bool(n_hidden)
    blocks: list[Block] = [
        Figure(
            "Optimization history",
            "Each point is a trial, the line is the best complete one so far: where it is flat, further trials found "
            f"nothing better.{beneath}",
            f"The scores of {counted(len(trials), 'trial')} by trial number, with the best so far.",
            _history(subject),
            interactive.optimization_history(shown, scale, last, view),
        )
    ]
    if any(len(trial.values) > 1 for trial in trials):
        step = "Epoch" if len(subject.spec.trainings) == 1 else "Training"
        curves = [
            {
                "number": t.number,
                "state": t.outcome,
                "steps": list(t.values),
                "values": [scale.factor * value for value in t.values.values()],
            }
            for t in trials
            if t.values and t.state not in UNTRAINED
        ]
        arguments = {
            "curves": curves,
            "best": best,
            "label": scale.label,
            "step": step,
            "low": view[0],
            "high": view[1],
        }
        blocks.append(
            Figure(
                "Scores by epoch" if step == "Epoch" else "Scores by training",
                f"A line is a trial{best_in_blue(best)}. The axis does not begin at 0."
                + " A cross marks where the pruner ended a trial." * bool(pruned_ones)
                + " Trials whose lines still rise at the end may gain from more epochs.",
                f"The scores of {counted(len(curves), 'trial')} by {step.lower()}; "
                f"{counted(len(pruned_ones), 'was', 'were')} pruned.",
                Plot("intermediate_values", arguments),
                interactive.intermediate_values(shown, scale, step, best, {t.number for t in pruned_ones}, view),
            )
        )
    blocks += [*_timeline(subject, shown), *_by_parameter(subject, shown, scale, ranked, important, n_best)]
    return blocks


def _history(subject: Subject) -> Plot:
    feasible = [t for t in subject.trials if t.state in (State.COMPLETE, State.PRUNED) and t.feasible]
    metric = subject.spec.metric
    values = [t.value if t.value is not None or not t.values else t.values[max(t.values)] for t in feasible]
    return Plot(
        "optimization_history",
        {
            "numbers": [t.number for t in feasible],
            "values": values,
            "states": [str(t.state) for t in feasible],
            "metric": metric,
            "direction": direction(metric),
        },
    )


def _timeline(subject: Subject, shown: optuna.Study) -> list[Block]:
    frozen = subject.study.get_trials(deepcopy=False)
    ran = [
        (trial, frozen[trial.number].datetime_start, frozen[trial.number].datetime_complete)
        for trial in subject.trials
        if trial.state not in (State.WAITING, *UNTRAINED) and frozen[trial.number].datetime_start is not None
    ]
    if not ran:
        return []
    first = min(start for _, start, _ in ran if start is not None)
    last = max(end or start or first for _, start, end in ran)
    if subject.is_running:
        last = max(last, datetime.now())
    bars = [
        {
            "number": trial.number,
            "state": state(trial.outcome, is_running=subject.is_running),
            "start": ((start or first) - first).total_seconds(),
            "end": ((end or last) - first).total_seconds(),
        }
        for trial, start, end in ran
    ]
    return [
        Figure(
            "Timeline",
            "A bar is a trial from its start to its end. Bars that overlap in time ran at once, on several workers; in "
            "a gap, no trial ran.",
            f"When {counted(len(bars), 'trial')} ran, over {duration((last - first).total_seconds())}.",
            Plot("timeline", {"bars": bars}),
            interactive.timeline(shown, is_running=subject.is_running),
        )
    ]


def _by_parameter(
    subject: Subject,
    shown: optuna.Study,
    scale: Scale,
    ranked: Sequence[TrialRecord],
    important: Sequence[str],
    n_best: int,
) -> list[Block]:
    """The figures of the parameters that differ among complete trials: the `important` ones, then in their order."""
    kinds = {name: kind for trial in shown.get_trials(deepcopy=False) for name, kind in trial.distributions.items()}
    complete = [shown.get_trials(deepcopy=False)[trial.number] for trial in ranked]
    searched = [trial for trial in complete if trial.params]
    differing = [name for name in kinds if len({t.params[name] for t in searched if name in t.params}) > 1]
    if len(searched) < FEWEST_COMPLETE or not differing:
        return []
    ordered = sorted(differing, key=lambda name: important.index(name) if name in important else len(important))
    chosen = ordered[:MOST_PARAMETERS]
    same = [name for name in kinds if name not in differing and any(name in t.params for t in searched)]
    alike = f" Of one value in all complete trials that have it: {', '.join(same)}." * bool(same)
    best = [trial.number for trial in ranked[:n_best]]
    view = shown_scores([trial.value for trial in ranked], [], subject.spec.metric, scale.factor)
    everywhere = [name for name in ordered if all(name in trial.params for trial in searched)]
    common = everywhere[:MOST_AXES]
    conditional = [name for name in ordered if name not in everywhere]
    blocks: list[Block] = []
    if len(common) > 1:
        only_some = f" Without an axis, because only some trials have it: {', '.join(conditional)}." * bool(conditional)
        blocks.append(
            Figure(
                "Parallel coordinates",
                f"A line is a complete trial, through its score and its values; the best {n_best} ({numbered(best)}) "
                f"are blue. Where the blue lines meet, the best trials have the same value."
                + only_some
                + _left_out(everywhere, common)
                + alike,
                f"{counted(len(searched), 'complete trial')} through {counted(len(common), 'parameter')}.",
                interactive=interactive.parallel_coordinates(shown, scale, common, n_best),
                size="broad",
            )
        )
    blocks.append(
        Heading(
            "Scores by parameter",
            f"A point is a complete trial, its height the score: {scale.label}. A slope shows where good values lie, "
            "but the sampler tries good values more often, and other parameters differ as well."
            + _left_out(ordered, chosen)
            + alike,
        )
    )
    for name in chosen:
        kind, having = kinds[name], [trial for trial in searched if name in trial.params]
        is_number = isinstance(kind, FloatDistribution | IntDistribution)
        arguments = {
            "name": name,
            "values": [trial.params[name] if is_number else setting(trial.params[name]) for trial in having],
            "scores": [trial.value for trial in having],
            "label": scale.label,
            "low": view[0],
            "high": view[1],
            "log": isinstance(kind, FloatDistribution | IntDistribution) and kind.log,
        }
        alt = f"The scores of {counted(len(having), 'complete trial')} by {name}."
        plot, moving = Plot("scores_by_value", arguments), interactive.slice_of(shown, scale, name, view)
        blocks.append(Figure(name, "", alt, plot, moving, size="small"))
    return blocks


def _left_out(names: Sequence[str], shown: Sequence[str]) -> str:
    """Which of the parameters are not shown, as a sentence; empty if all are."""
    left = [name for name in names if name not in shown]
    are_shown = counted(len(shown), "parameter is shown", "parameters are shown")
    return f" Only {are_shown}; left out: {', '.join(left)}." if left else ""


def _table(subject: Subject, metric: str) -> Table:
    trials = subject.trials
    settings = parameters(trials)
    label = LABELS[metric]
    columns = ["trial", "state", f"{label}", f"best epoch's {label}", "best epoch", "epochs", "parameters", "seconds"]
    numeric = {0, 2, 3, 4, 5, 6, 7}
    rows = []
    for place, trial in enumerate(trials):
        best = trial.metrics.get(f"best_{METRICS[metric]}")
        epoch = trial.metrics.get("best_epoch")
        value = trial.values[max(trial.values)] if trial.value is None and trial.values else trial.value
        rows.append(
            [
                trial.name.removeprefix("trial "),
                state(trial.outcome, is_running=subject.is_running),
                score(metric, value, 2),
                score(metric, best, 2),
                "" if epoch is None else f"{epoch:g}",
                str(trial.epochs or ""),
                count(trial.n_parameters),
                f"{trial.seconds:.0f}" if trial.seconds else "",
                *(setting(values[place]) for values in settings.values()),
                reason(trial),
            ]
        )
    for offset, values in enumerate(settings.values(), start=len(columns)):
        if all(isinstance(value, int | float) or value is None for value in values):
            numeric.add(offset)
    columns += [*settings, "reason"]
    filled = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    return Table(
        counted(len(rows), "trial"),
        [columns[place] for place in filled],
        [[row[place] for place in filled] for row in rows],
        [new for new, place in enumerate(filled) if place in numeric],
        sortable=True,
    )
