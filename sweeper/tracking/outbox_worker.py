"""The thread that delivers an outbox to MLflow, so that a slow or absent server never stops training."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError, said
from sweeper.quantities import counted
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.tracking import deletions
from sweeper.tracking.deletions import Deletion
from sweeper.tracking.outbox import FORGET, TEXTS, File, Key, Outbox, Write, shortfall
from sweeper.tracking.patience import Patience
from sweeper.tracking.run_writer import RunWriter

# The pause between two tries of a failing write.
RETRY_SECONDS = 5.0
# How long a command that ends waits for a write that fails, and for all writes together if MLflow accepts them.
CLOSING_SECONDS, DELIVERING_SECONDS = 30.0, 120.0
# How long `close` waits for a write that hangs; the write stays in the outbox.
LEAVING_SECONDS = 5.0
# A longer step between two looks at the clock means that the machine or this process was suspended: MLflow was, too, or
# had nothing to answer, and such time is no wait for it.
MOST_STEP = 5.0
# After this time of waiting, the listener is told what the command waits for.
ANNOUNCING_SECONDS = 1.0
# MLflow's codes for errors that may go away; an unreachable server gives the first.
TRANSIENT = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}
NO_TIME = "the command ended before it was delivered"


class OutboxWorker:
    """Delivers an outbox's writes, those of each run in order, retrying each until MLflow accepts or refuses it.

    The metrics of several epochs that wait for one run are delivered in one call. The writes of a run that was deleted
    in MLflow stay in the outbox, or with `drop_deleted` are given up. Nothing is delivered after `check_owned` has
    raised SweeperError; what then waits for runs that have not ended is given up: another process writes these runs.
    """

    def __init__(
        self,
        client: MlflowClient,
        store: Store,
        outbox: Outbox,
        run_ids: dict[Key, str],
        notify: Callable[[str], None],
        *,
        drop_deleted: bool = False,
        check_owned: Callable[[], None] = lambda: None,
    ) -> None:
        self.n_dropped = 0
        self._check_owned = check_owned
        self._target, self._store = outbox.target, store
        self._writer = RunWriter(client, store, self._target, run_ids)
        self._outbox, self._notify, self._drop_deleted = outbox, notify, drop_deleted
        self._deletions: dict[Key | None, Deletion] = {}  # what was deleted that the writes of a key need
        self._refused: dict[int, str] = {}  # why a write was refused for good or skipped, by its number
        self._incomplete: set[Key | None] = set()  # the runs with refused writes, by key
        self._unstarted: dict[Key | None, str] = {}  # why a child run could not be created or reopened, by key
        self._texts: dict[File, int] = {}  # the number of the last delivered write of each text file
        self._position = 0  # the number of the last write that was delivered, refused or skipped
        self._failure = ""  # why the last try of the current write failed
        self._idle = self._closing = False
        self._changed = threading.Condition()
        self._broken: SweeperError | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    @property
    def run_ids(self) -> dict[Key, str]:
        """The child runs that MLflow has, by key."""
        return self._writer.run_ids

    def put(self, key: Key | None, action: str, **arguments: Any) -> None:
        """Appends a write to the outbox, and returns at once. Raises SweeperError if the outbox cannot keep it."""
        if self._broken is not None:
            raise self._broken
        self._check_owned()
        with self._changed:
            self._outbox.put(key, action, arguments)
            self._idle = False
            self._changed.notify_all()

    def flush(self) -> list[str]:
        """Waits until all writes are delivered or refused; returns the reasons of undelivered writes.

        Waits CLOSING_SECONDS for a write that fails, and as long as it takes for writes that MLflow accepts.
        """
        return self._wait(Patience(CLOSING_SECONDS, float("inf")))

    def missing(self, files: Collection[File]) -> str:
        """Why MLflow lacks one of these text files; empty if it has all of them.

        They must have been put. Waits as `flush` does.
        """
        undelivered = self.flush()
        with self._changed:
            waiting = self._outbox.texts()
            lacking = {file: waiting[file] for file in files if waiting.get(file, 0) > self._texts.get(file, 0)}
            for (key, name), number in lacking.items():
                if key not in self._deletions and (reason := self._refused.get(number)):
                    return f"MLflow refused {name}: {reason}"
        return f"{shortfall(undelivered)}; the same command resumes from here" if lacking else ""

    def close(self, patience: Patience | None = None) -> list[str]:
        """Like `flush`, but waits DELIVERING_SECONDS at most; then ends the thread. `patience` limits both waits.

        Remaining writes stay in the outbox for `sync` or the next command.
        """
        try:
            return self._wait(patience or Patience(CLOSING_SECONDS, DELIVERING_SECONDS))
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join(LEAVING_SECONDS)
            if not self._thread.is_alive():
                self._give_up_if_lost()
                self._outbox.close()

    def _give_up_if_lost(self) -> None:
        try:
            self._check_owned()
        except SweeperError:
            self._outbox.give_up_open_runs()

    def _wait(self, patience: Patience) -> list[str]:
        waited, looked, announced = 0.0, time.monotonic(), False
        while not self._wait_briefly():
            now = time.monotonic()
            waited, looked = waited + min(now - looked, MOST_STEP), now
            if waited > patience.total or (self._failure and waited > patience.failing):
                break
            if not announced and not self._failure and waited > ANNOUNCING_SECONDS:
                announced = True
                n = len(self._outbox.undelivered())
                self._try_notify(f"delivering {counted(n, 'write')} to MLflow")
        if self._broken is not None:
            raise self._broken
        with self._changed:
            waiting = self._outbox.undelivered()
            return [self._reason(write) for write in waiting]

    def _reason(self, write: Write) -> str:
        """Why a write is not delivered."""
        if write.key in self._deletions:
            return deletions.told(self._deletions.values(), self._store, self._target.study)
        return self._refused.get(write.number) or self._failure or NO_TIME

    def _wait_briefly(self) -> bool:
        """Whether all writes are delivered or refused, after a short wait for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle or not self._thread.is_alive(), 0.1)

    def _work(self) -> None:
        try:
            while (write := self._next()) is not None:
                self._deliver(write)
        except SweeperError as error:  # the outbox cannot be read or written: the next caller must know
            self._broken = error
        except Exception as error:
            self._broken = SweeperError(f"the delivery to MLflow broke off: {said(error)} ({self._outbox.path})")

    def _next(self) -> Write | None:
        with self._changed:
            while not self._closing:
                write = self._outbox.after(self._position)
                if write is not None:
                    return write
                self._idle = True
                self._changed.notify_all()
                self._changed.wait()
        return None

    def _deliver(self, write: Write) -> None:
        if write.key in self._deletions:
            self._pass_over(write)
            return
        above = write.arguments.get("under")
        if above is not None and above not in self.run_ids and above in self._deletions:
            self._deletions[write.key] = self._deletions[above]
            self._pass_over(write)
            return
        if above in self._unstarted:
            self._unstarted[write.key] = self._unstarted[above]
        if write.key in self._unstarted:
            # The start was refused, and stays: delivered after the run's other writes, it would reopen an ended run.
            self._skip(write, self._unstarted[write.key])
            return
        if write.action == FORGET and write.key in self._incomplete:
            self._skip(write, "")  # only the local file holds what MLflow lacks: the file and this write both stay
            return
        writes = [write]
        # In a refused batch, one bad value would keep the others from MLflow: such a run's epochs go one by one.
        if write.action == "metrics" and write.key not in self._incomplete:
            writes = self._outbox.epochs_from(write)
        while True:
            self._check_owned()
            try:
                refusal = self._attempt(writes)
            except Exception as error:  # whatever the error is, later writes must proceed
                reason = redact(said(error))
                if not self._failure:
                    self._try_notify(f"MLflow does not accept a write ({reason}); it is kept on disk and tried again")
                with self._changed:
                    self._failure = reason
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                    if self._closing:
                        return
                continue
            if self._failure:
                self._try_notify("MLflow accepts writes again")
            if refusal:
                self._refuse(writes, refusal)
                return
            with self._changed:
                self._outbox.remove(*(write.number for write in writes))
                self._position, self._failure = write.number, ""
                if write.action == TEXTS:
                    self._texts |= {(write.key, name): write.number for name in write.arguments["texts"]}
            return

    def _attempt(self, writes: Sequence[Write]) -> str | Deletion | None:
        """Tries to deliver; returns why MLflow refuses it for good, None if it does not. Raises transient errors."""
        try:
            self._writer.write(writes)
        except Exception as error:
            if _is_transient(error):
                raise
            return self._writer.deletion(writes[0]) or redact(said(error))
        return None

    def _refuse(self, writes: Sequence[Write], reason: str | Deletion) -> None:
        write = writes[0]
        if isinstance(reason, Deletion):
            if reason not in self._deletions.values():
                what = deletions.told([reason], self._store, self._target.study)
                self._try_notify(f"writes for MLflow wait on disk: {what}" if not self._drop_deleted else what)
            self._incomplete.add(write.key)
            self._deletions[write.key] = reason
            return  # the next try is of the first of them alone
        if write.key not in self._incomplete:  # later refusals for the same run mostly follow from the first
            self._try_notify(f"MLflow refused a write: {reason}")
        self._incomplete.add(write.key)
        if len(writes) > 1:
            return  # the next try is of the first of them alone
        if write.action == "start":
            self._unstarted[write.key] = reason
        self._skip(write, reason)

    def _pass_over(self, write: Write) -> None:
        """Gives up a write of a run that was deleted in MLflow, or leaves it in the outbox."""
        if not self._drop_deleted:
            self._skip(write, "")
            return
        if write.action == FORGET:
            self._writer.write([write])
        else:
            self.n_dropped += 1
        with self._changed:
            # Without the parent's experiment, the parent is given up, too.
            above = [self._target.run_id] if self._deletions[write.key].kind == "experiment" else []
            self._outbox.drop(write.number, [*self._writer.run_ids_of(write.key), *above])
            self._position = write.number

    def _skip(self, write: Write, reason: str) -> None:
        with self._changed:
            self._refused[write.number] = reason
            self._position, self._failure = write.number, ""

    def _try_notify(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the listener is gone; the writes must proceed
            self._notify(text)


def _is_transient(error: Exception) -> bool:
    """Whether a later try may succeed: the server or the database is away or busy, and did not refuse the write."""
    if isinstance(error, MlflowException):
        return error.error_code in TRANSIENT
    # A missing local file will not come back.
    return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, FileNotFoundError)
