"""A study and its trials as MLflow runs, written by one thread so that a slow server never stops training."""

import csv
import io
import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mlflow
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID, MLFLOW_USER
from sqlalchemy.exc import SQLAlchemyError

from sweeper.store import Store
from sweeper.tracking.client import experiment_id, reaching, redacted, search_runs

# How a trial's state appears to MLflow, so that "best finished run" never meets a partial one.
STATUS = {
    "running": "RUNNING", "complete": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "failed": "FAILED",
}  # fmt: skip
ENDED = ("complete", "pruned", "failed")
WEIGHTS = "weights"
# The runs that a parent run of either kind has under it: what each is called, and its key's tag.
CHILDREN = {"study": "trial", "promotion": "training"}
# Between two tries of a write that failed, and how long the last writes may take when the study ends.
RETRY_SECONDS = 5.0
CLOSING_SECONDS = 120.0
# MLflow's codes for errors that may pass; a server that cannot be reached at all counts as the first.
PASSING = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}

Key = int | str


@dataclass(frozen=True)
class DataRecord:
    """What is said of the data in MLflow: its name, our SHA-256 over the training files, and its shape."""

    name: str
    sha256: str
    source: str
    shape: tuple[int, ...]


class Tracker:
    """The runs of one study, or of its promotion: a parent, and under it a child for each trial or training.

    A child is known by its key: a trial's number, a training's name. Methods return at once; the queue thread does
    what they ask, in order.
    """

    def __init__(
        self,
        store: Store,
        data: DataRecord,
        notify: Callable[[str], None],
        kind: Literal["study", "promotion"] = "study",
    ) -> None:
        self._uri = store.tracking_uri
        self._kind = kind
        self._data = data
        self._notify = notify
        self._queue: queue.Queue[tuple[Key | None, Callable[[], object]] | None] = queue.Queue()
        self._deadline: float | None = None
        self._undelivered: list[str] = []
        self._incomplete: set[Key | None] = set()  # children with undelivered writes
        self._run_ids: dict[Key, str] = {}
        self._states: dict[Key, str] = {}
        self._last_epochs: dict[Key, int] = {}
        with reaching(self._uri), store.initialising(embedded=store.embedded_tracking):
            self._client = mlflow.MlflowClient(tracking_uri=self._uri)
            self.experiment_id = experiment_id(self._client, data.name, store)
        self.run_id = ""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def open(self, study: str, study_id: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> None:
        """Finds or makes the parent run, and learns its children's.

        `study_id` is the study's own: on a shared server another study may well have the same name.
        """
        with reaching(self._uri):
            found = self._parents(study_id, self._kind)
            if found:
                self.run_id = found[0].info.run_id
                self._client.update_run(self.run_id, status="RUNNING")
            else:
                self.run_id = self._make_parent(study, study_id)
            self._client.log_batch(
                self.run_id, params=_params(params), tags=_tags({**tags, "sweeper.state": "running"})
            )
            self._log_data(self.run_id, self._kind)
            query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"
            for child in search_runs(self._client, self.experiment_id, query):
                if self._key_tag in child.data.tags:
                    key = child.data.tags[self._key_tag]
                    self._learn(int(key) if self._kind == "study" else key, child)
        self._thread.start()

    def child_run_id(self, key: Key) -> str | None:
        """The run of a child; None as long as MLflow has not made it."""
        return self._run_ids.get(key)

    def state(self, key: Key) -> str | None:
        """The state that the child was in when the parent was opened, or running if it was started since."""
        return self._states.get(key)

    def is_ended(self, key: Key) -> bool:
        """Whether the child had a run, and that had been ended, when the parent was opened."""
        return self._states.get(key) in ENDED

    def last_epoch(self, key: Key) -> int:
        """The last epoch that was logged of a child; 0 before the first."""
        return self._last_epochs.get(key, 0)

    def start_child(self, key: Key, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Makes the child's run, or opens it again."""
        started = _now()
        self._states[key] = "running"

        def start() -> None:
            if key not in self._run_ids:
                identity = {
                    MLFLOW_PARENT_RUN_ID: self.run_id, "sweeper.kind": CHILDREN[self._kind], self._key_tag: str(key),
                    MLFLOW_USER: "sweeper",
                }  # fmt: skip
                run = self._client.create_run(self.experiment_id, started, identity, run_name=name)
                self._run_ids[key] = run.info.run_id
            else:
                self._client.update_run(self._run_ids[key], status="RUNNING")
            run_id = self._run_ids[key]
            self._client.log_batch(run_id, params=_params(params), tags=_tags({**tags, "sweeper.state": "running"}))
            self._log_data(run_id, "training")

        self._put(key, start)

    def log_epoch(self, key: Key, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch's metrics in one batch, with `epoch` as the step."""
        self._last_epochs[key] = epoch
        batch = [Metric(name, value, _now(), epoch) for name, value in metrics.items()]
        self._put(key, lambda: self._client.log_batch(self._run_ids[key], metrics=batch))

    def log_text(self, key: Key | None, texts: Mapping[str, str]) -> None:
        """Text artifacts by file name, of a child or (None) of the parent."""

        def write() -> None:
            for name, text in texts.items():
                self._client.log_text(self._of(key), text, name)

        self._put(key, write)

    def log_figures(self, key: Key | None, figures: Mapping[str, Callable[[], Figure]]) -> None:
        """Figures by file name; they are drawn in the queue thread, not in the caller's."""

        def write() -> None:
            for name, draw in figures.items():
                self._client.log_figure(self._of(key), draw(), name)

        self._put(key, write)

    def log_weights(self, key: Key, path: Path) -> None:
        """The weights as an artifact of the child."""
        self._put(key, lambda: self._client.log_artifact(self._run_ids[key], str(path), WEIGHTS))

    def drop_weights(self, key: Key) -> None:
        """Deletes a child's weights: it is no longer among the best."""

        def drop() -> None:
            uri = self._client.get_run(self._run_ids[key]).info.artifact_uri
            assert uri is not None
            get_artifact_repository(uri, tracking_uri=self._uri).delete_artifacts(WEIGHTS)
            self._client.set_tag(self._run_ids[key], "sweeper.weights", "dropped")

        self._put(key, drop)

    def forget(self, key: Key, path: Path) -> None:
        """Deletes a child's local file or folder, once all that was asked before is delivered; else it stays."""

        def delete() -> None:
            if key not in self._incomplete:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

        self._put(key, delete)

    def finish(
        self,
        key: Key | None,
        state: str,
        *,
        reason: str = "",
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Ends the run of a child, or (None) of the parent, in `state` (a key of STATUS)."""
        ended = _now()
        batch = [Metric(name, value, ended, 0) for name, value in (metrics or {}).items()]

        def end() -> None:
            run_id = self._of(key)
            tags = _tags({"sweeper.state": state, "sweeper.reason": reason})
            self._client.log_batch(run_id, metrics=batch, tags=tags)
            self._client.set_terminated(run_id, STATUS[state], ended)

        self._put(key, end)

    def flush(self) -> list[str]:
        """Waits until everything so far is delivered, for a bounded time; gives the reasons of what was not."""
        self._deadline = time.monotonic() + CLOSING_SECONDS
        self._queue.join()
        self._deadline = None
        return self._undelivered

    def close(self) -> list[str]:
        """As `flush`, and ends the queue thread."""
        self._deadline = time.monotonic() + CLOSING_SECONDS
        self._queue.put(None)
        self._thread.join()
        return self._undelivered

    def _put(self, key: Key | None, write: Callable[[], object]) -> None:
        self._queue.put((key, write))

    def _of(self, key: Key | None) -> str:
        return self.run_id if key is None else self._run_ids[key]

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            key, write = item
            reason = self._deliver(write)
            if reason:
                self._undelivered.append(reason)
                self._incomplete.add(key)
            self._queue.task_done()
        self._queue.task_done()

    def _deliver(self, write: Callable[[], object]) -> str:
        """Tries until it is done; gives the reason where it cannot be, else nothing."""
        while True:
            if self._deadline is not None and time.monotonic() > self._deadline:
                return "MLflow took too long at the end"
            try:
                write()
                return ""
            except Exception as error:  # whatever it is, the writes behind this one must go on
                reason = redacted(error)
                if not _may_pass(error):
                    self._tell(f"MLflow refused a write: {reason}")
                    return reason
            self._tell(f"MLflow did not take a write, trying again: {reason}")
            time.sleep(RETRY_SECONDS)

    def _tell(self, text: str) -> None:
        with suppress(OSError, ValueError):  # whoever listened is gone; the writes must go on
            self._notify(text)

    @property
    def _key_tag(self) -> str:
        return f"sweeper.{CHILDREN[self._kind]}"

    def _make_parent(self, study: str, study_id: str) -> str:
        identity = {
            "sweeper.study": study, "sweeper.study_id": study_id, "sweeper.kind": self._kind, MLFLOW_USER: "sweeper",
        }  # fmt: skip
        name = study
        if self._kind == "promotion":
            name = f"{study} promotion"
            studies = self._parents(study_id, "study")
            if studies:
                identity[MLFLOW_PARENT_RUN_ID] = studies[0].info.run_id
        run = self._client.create_run(self.experiment_id, run_name=name, tags=identity)
        return str(run.info.run_id)

    def _parents(self, study_id: str, kind: str) -> list[Run]:
        query = f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = '{kind}'"
        return search_runs(self._client, self.experiment_id, query)

    def _learn(self, key: Key, run: Run) -> None:
        run_id = self._run_ids[key] = run.info.run_id
        state = run.data.tags.get("sweeper.state", "running")
        self._states[key] = "running" if run.info.status == "RUNNING" else state
        # An ended trial is never trained again; a training is, where its weights are gone.
        if not self.is_ended(key) or self._kind == "promotion":
            steps = [metric.step for metric in self._client.get_metric_history(run_id, "train_loss")]
            self._last_epochs[key] = max(steps, default=0)

    def _log_data(self, run_id: str, context: str) -> None:
        # MLflow's digest holds 36 characters at most, and its own covers only the first values: ours is whole in
        # the source.
        dataset = Dataset(
            name=self._data.name,
            digest=self._data.sha256[:36],
            source_type="local",
            source=json.dumps({"place": self._data.source, "sha256": self._data.sha256}),
            profile=json.dumps({"shape": self._data.shape}),
        )
        tag = InputTag(MLFLOW_DATASET_CONTEXT, context)
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, [tag])])


def shortfall(undelivered: Sequence[str]) -> str:
    """What to say of writes that were not delivered, from their reasons."""
    return f"{len(undelivered)} writes did not reach MLflow, the first because: {undelivered[0]}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _may_pass(error: Exception) -> bool:
    """Whether a later try may succeed: the server or the database is away or busy, rather than of another mind."""
    if isinstance(error, MlflowException):
        return error.error_code in PASSING
    return isinstance(error, SQLAlchemyError | OSError)


def _params(values: Mapping[str, Any]) -> list[Param]:
    return [
        Param(name, json.dumps(value) if isinstance(value, list | tuple | dict | bool) else str(value))
        for name, value in values.items()
    ]


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in values.items()]


def _now() -> int:
    return int(time.time() * 1000)
