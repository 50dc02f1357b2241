"""Describes a study in Markdown, for its run in MLflow: the ranking, and how to repeat the search."""

import shlex
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from sweeper.config import shortly
from sweeper.evaluation.amounts import number, scale
from sweeper.store.shown import shown
from sweeper.studies import trial_records
from sweeper.studies.objective import LABELS
from sweeper.studies.trial_list import configured
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.descriptions import code, escaped

TOP = 10
# So that ten rows and the verdict of a promotion fit into a description.
MOST_LETTERS = 150
LONGEST_COMMAND = 1000


def description(study_name: str, trials: Sequence[TrialRecord], metric: str, command: str) -> str:
    """The best trials as a table, the counts of all, and the command of the search."""
    ranked = trial_records.ranking(trials, metric)[:TOP]
    differences = _differences(trials)
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


def _differences(trials: Sequence[TrialRecord]) -> dict[int, str]:
    """In what each trial differs from the baseline, as far as it applies, by the trial's number."""
    fields = configured(trials)
    baseline: Mapping[str, Any] = next(
        (values for trial, values in zip(trials, fields, strict=True) if trial.variant == "baseline"), {}
    )
    return {
        trial.number: ", ".join(
            f"{name} {shown(shortly(value))}"
            for name, value in values.items()
            if value is not None and value != baseline.get(name)
        )
        for trial, values in zip(trials, fields, strict=True)
    }
