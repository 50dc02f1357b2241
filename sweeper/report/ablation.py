"""The part of section 3 that says which of the champion's choices are worth it, from the study's ablation."""

from sweeper.errors import SweeperError
from sweeper.promotion.ablation import recorded
from sweeper.promotion.ablation_outcome import AblationOutcome, plot_of
from sweeper.report.blocks import Block, Commands, Figure, Section, Sentences, Table
from sweeper.report.subject import Subject
from sweeper.report.wording import score
from sweeper.store.arguments import store_arguments
from sweeper.studies.objective import LABELS

TITLE = "Ablation: is each choice of the champion worth it?"
HOW = "A row is the champion with one choice set back to the baseline's; right of zero, the choice helps."


def section(subject: Subject) -> Section:
    """What was found of each choice, or how to find it."""
    if subject.outcome is None or subject.outcome.entrants[0].is_baseline:
        return Section(TITLE, HOW, [Sentences(["There is no champion with choices of its own."])], {"recorded": False})
    try:
        found = recorded(subject.store, subject.study)
    except SweeperError as error:
        return Section(TITLE, HOW, [Sentences([f"It cannot be read: {error}"])], {"recorded": None})
    if found is None:
        command = f"sweeper ablate {subject.name}{store_arguments(subject.store)}"
        blocks: list[Block] = [Sentences(["It was not made."]), Commands([("To make it", command)])]
        return Section(TITLE, HOW, blocks, {"recorded": False})
    return Section(TITLE, HOW, _blocks(found), {"recorded": True, **found.as_json()})


def _blocks(found: AblationOutcome) -> list[Block]:
    label = LABELS[found.metric]
    rows = [[row.change, score(found.metric, row.value), row.verdict, row.sentence] for row in found.rows]
    columns = ["choice", f"{label} without it", "verdict", "in words"]
    alt = " ".join([found.sentence, *(row.sentence for row in found.rows)])
    blocks: list[Block] = [Sentences([found.sentence], lead=True)]
    if found.rows:
        blocks += [
            Figure("What each choice is worth", "", alt, plot_of(found)),
            Table(f"{label.capitalize()} of the champion: {score(found.metric, found.value)}", columns, rows, (1,)),
        ]
    return [*blocks, Sentences(found.notes)]
