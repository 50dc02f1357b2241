"""Describes a study in Markdown, for its run in MLflow: the ranking, and how to repeat the search."""

import shlex
from collections.abc import Sequence
from textwrap import shorten

from sweeper.evaluation.amounts import number, scale
from sweeper.studies import trial_records
from sweeper.studies.objective import LABELS
from sweeper.studies.trial_list import from_baseline
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.descriptions import code, escaped

TOP = 10
# So that ten rows and the verdict of a promotion fit into a description.
MOST_LETTERS = 150
LONGEST_COMMAND = 1000


def description(study_name: str, trials: Sequence[TrialRecord], metric: str, command: str) -> str:
    """The best trials as a table, the counts of all, and the command of the search."""
    ranked = trial_records.ranking(trials, metric)[:TOP]
    differences = from_baseline(trials)
    lines = [
        "### Ranking",
        f"{counts(trials)}. Scores are the last epoch's validation {LABELS[metric]}, in {scale(metric)}: the best of "
        "many is too high, and neighbours may well change places.",
        "",
        f"| rank | trial | {LABELS[metric]} | parameters | differs from the baseline in |",
        "| ---: | :--- | ---: | ---: | :--- |",
    ]
    for rank, trial in enumerate(ranked, start=1):
        assert trial.value is not None
        started = f" from {trial.warm_start}" if trial.warm_start else ""
        cells = [
            str(rank),
            escaped(shorten(trial.name.removeprefix("trial ") + started, MOST_LETTERS)),
            number(metric, trial.value),
        ]
        cells += [
            "" if trial.n_parameters is None else f"{trial.n_parameters:,}",
            escaped(shorten(differences[trial.number], MOST_LETTERS)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if command and len(command) <= LONGEST_COMMAND:
        lines += ["", "To repeat the search:", "", code(command)]
    lines += ["", "For one page about all of it, which is then in this run's artifacts (folder report):", ""]
    lines.append(code(f"sweeper report {shlex.quote(study_name)}"))
    return "\n".join(lines)


def counts(trials: Sequence[TrialRecord]) -> str:
    """The numbers of trials by outcome, as far as there are any."""
    found = {"failed" if state == "fail" else state: n for state, n in trial_records.counts(trials).items()}
    return ", ".join(f"{n} {state}" for state, n in found.items() if n or state == "complete")
