"""Refuses a precision that trainings cannot have on the planned devices, before anything is trained."""

from collections.abc import Collection

from sweeper.engine.execution import Execution
from sweeper.errors import UsageError


def check(precisions: Collection[str], execution: Execution) -> None:
    """Raises UsageError if trainings of one of these precisions cannot run as planned."""
    if "tf32" not in precisions:
        return
    kind = execution.devices[0].split(":")[0]
    if kind != "cuda":
        raise UsageError(f"precision tf32 needs a CUDA device, got {kind} (--device)")
    if execution.graphs:
        raise UsageError(
            "precision tf32 is a setting of a whole process, and trials with CUDA graphs share theirs: give --jobs "
            "instead of --jobs-per-gpu"
        )
