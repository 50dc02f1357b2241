"""A part of section 3 of a report: which of the champion's choices are worth it, one by one."""

import shlex

from sweeper.config import shortly
from sweeper.errors import SweeperError
from sweeper.evaluation.amounts import signed_with_interval, unit, with_interval
from sweeper.promotion import ablation, ablation_outcome
from sweeper.promotion.ablation_outcome import AblationOutcome
from sweeper.quantities import counted
from sweeper.report.blocks import Block, Commands, Figure, Section, Sentences, Table
from sweeper.report.subject import Subject
from sweeper.report.wording import count
from sweeper.studies.objective import LABELS

TITLE = "Ablation: is each choice of the champion worth it?"


def section(subject: Subject) -> Section:
    """The recorded ablation of the study's champion; without one, the command for it."""
    if subject.outcome is None:
        promote = "An ablation sets back the champion's choices one by one: it needs a promotion first."
        return _without(Sentences([subject.unread or promote]), recorded=None if subject.unread else False)
    if subject.outcome.entrants[0].is_baseline:
        return _without(Sentences(["The champion is the baseline: it has no choices to set back."]))
    try:
        found = ablation.recorded(subject.store, subject.study, subject.outcome)
    except SweeperError as error:
        return _without(Sentences([f"It cannot be read: {error}"]), recorded=None)
    if found is None:
        command = f"sweeper ablate {shlex.quote(subject.name)}{subject.options}"
        what = "To train the champion with each choice set back to the baseline's, and compare"
        said = Sentences(["The champion's choices have not been ablated yet."])
        return _without(said, Commands([(what, command)]))
    return _ablated(found)


def _without(*blocks: Block, recorded: bool | None = False) -> Section:
    """The section without an ablation; `recorded` is None if it is not known whether there is one."""
    return Section(TITLE, "", blocks, {"recorded": recorded})


def _ablated(outcome: AblationOutcome) -> Section:
    helps = "left" if outcome.metric == "loss" else "right"
    how_to_read = (
        f"Each row sets one choice back to the baseline's. An interval wholly to the {helps} of 0 means that the "
        "choice is worth it; a difference whose interval contains 0 may be chance."
    )
    figure = Figure(
        f"Champion minus champion with the choice set back, {counted(outcome.n_images, f'{outcome.part} image')}",
        "",
        outcome.sentence,
        ablation_outcome.plot_of(outcome),
    )
    blocks: list[Block] = [Sentences([outcome.sentence], lead=True), figure, _table(outcome)]
    untold = [row.sentence for row in outcome.rows if row.difference is None]
    return Section(
        TITLE, how_to_read, [*blocks, Sentences([*untold, *outcome.notes])], {"recorded": True, **outcome.as_json()}
    )


def _table(outcome: AblationOutcome) -> Table:
    metric, rows = outcome.metric, []
    for row in outcome.rows:
        advice = ablation_outcome.advice(row.difference, metric)
        rows.append(
            [
                ", ".join(row.values),
                *("; ".join(shortly(both[side]) for both in row.values.values()) for side in (0, 1)),
                signed_with_interval(metric, row.difference, row.low, row.high),
                count(row.n_parameters),
                f"undecided: {advice}" if row.verdict == "undecided" else row.verdict,
            ]
        )
    own = with_interval(metric, outcome.value, outcome.low, outcome.high, 1)
    return Table(
        f"The choices of trial {outcome.trial}, whose {outcome.part} {LABELS[metric]} is {own} with "
        f"{count(outcome.n_parameters)} parameters",
        ["choice", "champion", "baseline", f"difference ({unit(metric)})", "parameters if set back", "verdict"],
        rows,
        (3, 4),
    )
