"""Values as a report shows them to people: scores in percent, durations in words, settings of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.config import shortly
from sweeper.evaluation.amounts import amount
from sweeper.events import State


def score(metric: str, value: float | None, decimals: int = 1) -> str:
    """A score with its unit; empty if there is none."""
    return "" if value is None else amount(metric, value, decimals)


def count(value: int | None) -> str:
    """A whole number with its thousands set apart; empty if it is not known."""
    return "" if value is None else f"{value:,}"


def numbered(trials: Sequence[int]) -> str:
    """Trials by their numbers: trial 3, or trials 3, 5."""
    if not trials:
        return "no trial"
    return f"{'trial' if len(trials) == 1 else 'trials'} {', '.join(map(str, trials))}"


def best_in_blue(trials: Sequence[int]) -> str:
    """The end of a figure's first sentence: which trials are the best and blue, if there are any."""
    if len(trials) > 1:
        return f"; the best {len(trials)} ({numbered(trials)}) are blue"
    return f"; the best, {numbered(trials)}, is blue" * bool(trials)


def state(outcome: str, *, is_running: bool) -> str:
    """A trial's outcome as people see it: a running trial of a study that no process runs is interrupted."""
    return "interrupted" if outcome == State.RUNNING and not is_running else outcome


def setting(value: Any) -> str:
    """A parameter's value; empty if it does not apply."""
    return "" if value is None else shortly(value)


def settings(values: Mapping[str, Any]) -> str:
    """Parameters with their values."""
    return ", ".join(f"{name} {setting(value)}" for name, value in values.items())


def duration(seconds: float) -> str:
    """A duration in the two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
