"""The thread that delivers an outbox to MLflow, so that a slow or absent server never stops training."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID, MLFLOW_USER
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError, said
from sweeper.events import State
from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.tracking.client import ROOT, params_of, search_runs, tags_of
from sweeper.tracking.outbox import Key, Outbox, Target, Write

# MLflow's status for each state of a run, so that a search for the best finished run never finds a partial one.
STATUS = {
    State.RUNNING: "RUNNING", State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.INTERRUPTED: "KILLED",
    State.FAILED: "FAILED",
}  # fmt: skip
WEIGHTS = "weights"
# By kind of parent run, what its child runs are called; the tag with a child's key has the same name.
CHILDREN = {"study": "trial", "promotion": "training", "training": "training"}
# The pause between two tries of a failing write, and how long a command that ends waits for one.
RETRY_SECONDS = 5.0
CLOSING_SECONDS = 30.0
# How long `close` waits for a write that hangs; the write stays in the outbox.
LEAVING_SECONDS = 5.0
# MLflow's codes for errors that may go away; an unreachable server gives the first.
TRANSIENT = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}


class OutboxWorker:
    """Delivers an outbox's writes in order, retrying each until MLflow accepts or refuses it.

    Repeating a write does no harm. This matters because a process can be killed after MLflow accepts a write and before
    the outbox removes it. So metrics carry the time of their epoch (of equal metrics, MLflow keeps one), and a run is
    searched for before it is created.
    """

    def __init__(
        self, client: MlflowClient, store: Store, outbox: Outbox, run_ids: dict[Key, str], notify: Callable[[str], None]
    ) -> None:
        self.run_ids = run_ids  # of the child runs that MLflow has, by key
        self._client, self._store, self._outbox, self._notify = client, store, outbox, notify
        self._target = outbox.target
        self._actions: dict[str, Callable[..., None]] = {
            "start": self._start, "metrics": self._metrics, "texts": self._texts, "figures": self._figures,
            "weights": self._weights, "drop_weights": self._drop_weights, "forget": self._forget,
            "finish": self._finish,
        }  # fmt: skip
        self._refused: dict[int, str] = {}  # why a write was refused for good or skipped, by its number
        self._incomplete: set[Key | None] = set()  # the runs with refused writes, by key
        self._unstarted: dict[Key | None, str] = {}  # why a child run could not be created or reopened, by key
        self._position = 0  # the number of the last write that was delivered, refused or skipped
        self._failure = ""  # why the last try of the current write failed
        self._idle = self._closing = False
        self._changed = threading.Condition()
        self._broken: SweeperError | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def put(self, key: Key | None, action: str, **arguments: Any) -> None:
        """Appends a write to the outbox, and returns at once. Raises SweeperError if the outbox cannot keep it."""
        if self._broken is not None:
            raise self._broken
        with self._changed:
            self._outbox.put(key, action, arguments)
            self._idle = False
            self._changed.notify_all()

    def flush(self, patience: float | None = None) -> list[str]:
        """Waits until all writes are delivered or refused; returns the reasons of undelivered writes.

        `patience` limits the wait for a failing write, in seconds; the default is CLOSING_SECONDS.
        """
        deadline = time.monotonic() + (CLOSING_SECONDS if patience is None else patience)
        with self._changed:
            while not self._idle and self._thread.is_alive():
                if self._failure and time.monotonic() > deadline:
                    break
                self._changed.wait(0.1)
            if self._broken is not None:
                raise self._broken
            waiting = self._outbox.writes()
            reasons = [self._refused.get(write.number, self._failure) for write in waiting]
        # Kept files have no error of their own.
        return [reason for reason in reasons if reason]

    def close(self, patience: float | None = None) -> list[str]:
        """Flushes, and then ends the thread; remaining writes stay in the outbox for `sync` or the next command."""
        try:
            return self.flush(patience)
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join(LEAVING_SECONDS)
            if not self._thread.is_alive():
                self._outbox.close()

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
        if write.key in self._unstarted:
            # The start was refused, and stays: delivered after the run's other writes, it would reopen an ended run.
            self._skip(write, self._unstarted[write.key])
            return
        if write.action == "forget" and write.key in self._incomplete:
            self._skip(write, "")  # only the local file holds what MLflow lacks: the file and this write both stay
            return
        while True:
            try:
                self._actions[write.action](write.key, **write.arguments)
            except Exception as error:  # whatever the error is, later writes must proceed
                reason = redact(said(error))
                if not _is_transient(error):
                    self._refuse(write, reason)
                    return
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
            with self._changed:
                self._outbox.remove(write.number)
                self._position, self._failure = write.number, ""
            return

    def _refuse(self, write: Write, reason: str) -> None:
        if write.key not in self._incomplete:  # later refusals for the same run mostly follow from the first
            self._try_notify(f"MLflow refused a write: {reason}")
        self._incomplete.add(write.key)
        if write.action == "start":
            self._unstarted[write.key] = reason
        self._skip(write, reason)

    def _skip(self, write: Write, reason: str) -> None:
        with self._changed:
            self._refused[write.number] = reason
            self._position, self._failure = write.number, ""

    def _try_notify(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the listener is gone; the writes must proceed
            self._notify(text)

    def _run_id(self, key: Key | None) -> str:
        if key is None:
            return self._target.run_id
        if key not in self.run_ids:
            raise ValueError(f"the run of {CHILDREN[self._target.kind]} {key} was not made")
        return self.run_ids[key]

    def _start(
        self,
        key: Key,
        name: str,
        time: int,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        under: Key | None = None,
    ) -> None:
        target = self._target
        parent = self._run_id(under)
        if key not in self.run_ids:
            tag = _key_tag(target.kind)
            query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}' AND tags.`{tag}` = '{key}'"
            identity = {
                MLFLOW_PARENT_RUN_ID: parent, ROOT: target.run_id, tag: str(key), MLFLOW_USER: "sweeper",
                "sweeper.kind": CHILDREN[target.kind] if under is None else "training",
            }  # fmt: skip
            # A run is found if MLflow created it and the answer was lost.
            found = search_runs(self._client, target.experiment_id, query)
            run = found[-1] if found else self._client.create_run(target.experiment_id, time, identity, run_name=name)
            self.run_ids[key] = run.info.run_id
        run_id = self.run_ids[key]
        self._client.update_run(run_id, status="RUNNING")
        self._client.log_batch(run_id, params=params_of(params), tags=tags_of({**tags, "sweeper.state": State.RUNNING}))
        log_data(self._client, run_id, target, "training")

    def _metrics(self, key: Key | None, epoch: int, time: int, values: Mapping[str, float]) -> None:
        batch = [Metric(name, value, time, epoch) for name, value in values.items()]
        self._client.log_batch(self._run_id(key), metrics=batch)

    def _texts(self, key: Key | None, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self._client.log_text(self._run_id(key), text, name)

    def _figures(self, key: Key | None, figures: Mapping[str, Any]) -> None:
        for name, plot in figures.items():
            self._client.log_figure(self._run_id(key), Plot(**plot).draw(), name)

    def _weights(self, key: Key | None, path: str) -> None:
        self._client.log_artifact(self._run_id(key), str(self._store.root / path), WEIGHTS)

    def _drop_weights(self, key: Key) -> None:
        run_id = self._run_id(key)
        uri = self._client.get_run(run_id).info.artifact_uri
        assert uri is not None
        if self._client.list_artifacts(run_id, WEIGHTS):
            get_artifact_repository(uri, tracking_uri=self._store.tracking_uri).delete_artifacts(WEIGHTS)
        self._client.set_tag(run_id, "sweeper.weights", "dropped")

    def _forget(self, key: Key | None, path: str) -> None:
        with suppress(OSError):  # a file that cannot be deleted must not hold up later writes
            place = self._store.root / path
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def _finish(self, key: Key | None, state: str, time: int, reason: str, metrics: Mapping[str, float]) -> None:
        run_id = self._run_id(key)
        batch = [Metric(name, value, time, 0) for name, value in metrics.items()]
        tags = tags_of({"sweeper.state": state, "sweeper.reason": reason})
        self._client.log_batch(run_id, metrics=batch, tags=tags)
        self._client.set_terminated(run_id, STATUS[State(state)], time)


def children_of(client: MlflowClient, target: Target) -> dict[Key, Run]:
    """The runs below the target's parent run, at any depth, by key."""
    query = f"tags.`{ROOT}` = '{target.run_id}'"
    tag = _key_tag(target.kind)
    found = {}
    for run in search_runs(client, target.experiment_id, query):
        if text := run.data.tags.get(tag):
            found[int(text) if target.kind == "study" and text.isdigit() else text] = run
    return found


def log_data(client: MlflowClient, run_id: str, target: Target, context: str) -> None:
    """Logs the target's data as an input of the run."""
    # MLflow's digest holds 36 characters at most, and the digest that it computes itself covers only the first values.
    # Our whole hash is in the source.
    dataset = Dataset(
        name=target.data_name,
        digest=target.data_sha256[:36],
        source_type="local",
        source=target.data_source,
        profile=target.data_profile,
    )
    inputs = [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)])]
    try:
        client.log_inputs(run_id, datasets=inputs)
    except MlflowException as error:
        # When several processes log new data at once, MLflow refuses all but one; by their second try the data exist.
        if error.error_code != "BAD_REQUEST":
            raise
        client.log_inputs(run_id, datasets=inputs)


def _key_tag(kind: str) -> str:
    return f"sweeper.{CHILDREN[kind]}"


def _is_transient(error: Exception) -> bool:
    """Whether a later try may succeed: the server or the database is away or busy, and did not refuse the write."""
    if isinstance(error, MlflowException):
        return error.error_code in TRANSIENT
    # A missing local file will not come back.
    return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, FileNotFoundError)
