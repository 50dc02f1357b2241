"""Trials as tables for people."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweeper.search import study as studies
from sweeper.search.study import TrialRecord

# Where output goes to a file, no terminal says how wide a line may be.
FILE_WIDTH = 160


def stdout_console() -> Console:
    """A console for results; into a file or pipe it does not break lines at 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=FILE_WIDTH)


def ranking_table(trials: Sequence[TrialRecord], metric: str, top: int = 10) -> Table:
    """The best complete trials, and the baseline wherever it ranks."""
    ranked = studies.ranking(trials, metric)
    table = Table(title="Ranking by the last epoch's validation score", title_justify="left")
    for name in ("rank", "trial", metric, "best epoch", "parameters"):
        table.add_column(name, justify="right" if name != "trial" else "left", no_wrap=True)
    table.add_column("differs from the baseline in", ratio=1)
    for rank, trial in enumerate(ranked, start=1):
        if rank > top and trial.variant != "baseline":
            continue
        best_value = trial.metrics.get(f"best_{studies.METRICS[metric]}")
        table.add_row(
            str(rank) if trial.feasible else f"{rank} (too large)",
            escape(_label(trial)),
            f"{trial.value:.4f}",
            "" if best_value is None else f"{best_value:.4f} ({trial.metrics['best_epoch']})",
            f"{trial.n_parameters:,}",
            escape(_differences(trial, trials)),
        )
    return table


def trials_table(trials: Sequence[TrialRecord], metric: str) -> Table:
    """Every trial by number."""
    table = Table()
    for name in ("trial", "state", metric, "epochs", "parameters", "seconds"):
        table.add_column(name, justify="left" if name in ("trial", "state") else "right", no_wrap=True)
    table.add_column("differs from the baseline in", ratio=3)
    table.add_column("reason", ratio=1)
    for trial in trials:
        table.add_row(
            escape(_label(trial)),
            trial.state,
            "" if trial.value is None else f"{trial.value:.4f}",
            str(trial.epochs),
            "" if trial.n_parameters is None else f"{trial.n_parameters:,}",
            f"{trial.seconds:.0f}" if trial.seconds else "",
            escape(_differences(trial, trials)),
            escape(trial.reason),
        )
    return table


def _label(trial: TrialRecord) -> str:
    return f"{trial.number} {trial.variant}" if trial.variant else str(trial.number)


def _differences(trial: TrialRecord, trials: Sequence[TrialRecord]) -> str:
    """The fields in which a trial's configuration is not the baseline's."""
    baseline = next((t.configuration for t in trials if t.variant == "baseline"), None)
    if trial.configuration is None:
        return ""
    usual = baseline.values() if baseline else {}
    own = trial.configuration.values()
    return ", ".join(f"{name} {_value(value)}" for name, value in own.items() if value != usual.get(name))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
