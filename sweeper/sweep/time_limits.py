"""The time limits of a sweep: its timeout, and how long a trial may train."""

import time

from sweeper.engine.dispatcher import Dispatcher
from sweeper.events import Note
from sweeper.quantities import counted
from sweeper.sweep.context import Context
from sweeper.sweep.trial_end import Candidate


class TimeLimits:
    """Stops a sweep before an epoch that would end too late, and tells which trials have trained too long."""

    def __init__(self, context: Context, dispatcher: Dispatcher[Candidate]) -> None:
        self._deadline, self._trial_seconds = context.limits.deadline, context.limits.trial_seconds
        self._stop, self._listener, self._dispatcher = context.stop, context.listener, dispatcher
        self._shortest: float | None = None  # the length of the shortest epoch of this sweep, in seconds

    def record_epoch(self, seconds: float) -> None:
        """Records the length of an epoch that has just ended."""
        self._shortest = seconds if self._shortest is None else min(self._shortest, seconds)

    def stop_if_late(self, seconds: float | None = None) -> None:
        """Stops the sweep if an epoch of this length would end after the timeout.

        By default, it is the shortest epoch so far: the first epoch of a new trial hardly takes less.
        """
        needed = self._shortest or 0.0 if seconds is None else seconds
        if self._deadline is not None and time.monotonic() + needed >= self._deadline:
            self._stop.reason = self._stop.reason or "timeout"

    def note_overrun(self) -> None:
        """Tells by how much the last epochs have overrun the timeout, if they have."""
        late = 0.0 if self._deadline is None else time.monotonic() - self._deadline
        if self._stop.reason == "timeout" and late >= 1.0:
            self._listener(Note(f"the last epochs ended {late:.0f} s after the timeout"))

    def overdue(self, candidate: Candidate, next_epoch: float = 0.0) -> str:
        """Why a trial trains no more: it has trained too long, or would with `next_epoch` seconds more. Else empty."""
        if self._trial_seconds is None:
            return ""
        trained = sum(self._dispatcher.seconds(task) for task in candidate.tasks)
        done, due = sum(len(task.history) for task in candidate.tasks), sum(t.job.epochs for t in candidate.tasks)
        if done == due or trained + next_epoch <= self._trial_seconds:
            return ""
        return (
            f"trial_timeout: {done} of {counted(due, 'epoch')} in {trained:.0f} s of training, "
            f"{self._trial_seconds:g} s allowed"
        )
