"""A study and its trials as MLflow runs, written by one thread so that a slow server never stops training."""

import csv
import io
import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID, MLFLOW_USER
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError
from sweeper.store import Store, redact

# How a trial's state appears to MLflow, so that "best finished run" never meets a partial one.
STATUS = {
    "running": "RUNNING", "complete": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "failed": "FAILED",
}  # fmt: skip
WEIGHTS = "weights"
# Between two tries of a write that failed, and how long the last writes may take when the study ends.
RETRY_SECONDS = 5.0
CLOSING_SECONDS = 120.0
PAGE = 1000
# MLflow's codes for errors that may pass; a server that cannot be reached at all counts as the first.
PASSING = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}


@dataclass(frozen=True)
class DataRecord:
    """What is said of the data in MLflow: its name, our SHA-256 over the training files, and its shape."""

    name: str
    sha256: str
    source: str
    shape: tuple[int, ...]


class Tracker:
    """The runs of one study. Methods return at once; the queue thread does what they ask, in order."""

    def __init__(self, store: Store, data: DataRecord, notify: Callable[[str], None]) -> None:
        self._uri = store.tracking_uri
        self._data = data
        self._notify = notify
        self._queue: queue.Queue[tuple[int | None, Callable[[], object]] | None] = queue.Queue()
        self._deadline: float | None = None
        self._undelivered: list[str] = []
        self._incomplete: set[int | None] = set()  # trials with undelivered writes
        self._run_ids: dict[int, str] = {}
        self._open: set[int] = set()  # trials whose runs were never ended
        self._last_epochs: dict[int, int] = {}
        with self._reaching(), store.initialising(embedded=store.embedded_tracking):
            self._client = mlflow.MlflowClient(tracking_uri=self._uri)
            self.experiment_id = self._experiment(data.name, store)
        self.run_id = ""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def open_study(self, study: str, study_id: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> None:
        """Finds or makes the study's parent run, and learns its trials' runs.

        `study_id` is the study's own: on a shared server another study may well have the same name.
        """
        with self._reaching():
            found = self._search(f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = 'study'")
            if found:
                self.run_id = found[0].info.run_id
                self._client.update_run(self.run_id, status="RUNNING")
            else:
                identity = {
                    "sweeper.study": study, "sweeper.study_id": study_id, "sweeper.kind": "study",
                    MLFLOW_USER: "sweeper",
                }  # fmt: skip
                run = self._client.create_run(self.experiment_id, run_name=study, tags=identity)
                self.run_id = run.info.run_id
            self._client.log_batch(
                self.run_id, params=_params(params), tags=_tags({**tags, "sweeper.state": "running"})
            )
            self._log_data(self.run_id, "study")
            for child in self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"):
                if "sweeper.trial" in child.data.tags:
                    self._learn(int(child.data.tags["sweeper.trial"]), child)
        self._thread.start()

    def trial_run_id(self, number: int) -> str | None:
        """The run of a trial; None as long as MLflow has not made it."""
        return self._run_ids.get(number)

    def is_ended(self, number: int) -> bool:
        """Whether the trial had a run, and that had been ended, when the study was opened."""
        return number in self._run_ids and number not in self._open

    def last_epoch(self, number: int) -> int:
        """The last epoch that was logged of a trial; 0 before the first."""
        return self._last_epochs.get(number, 0)

    def start_trial(self, number: int, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Makes the trial's run, or opens it again."""
        started = _now()

        def start() -> None:
            if number not in self._run_ids:
                identity = {
                    MLFLOW_PARENT_RUN_ID: self.run_id, "sweeper.kind": "trial", "sweeper.trial": str(number),
                    MLFLOW_USER: "sweeper",
                }  # fmt: skip
                run = self._client.create_run(self.experiment_id, started, identity, run_name=name)
                self._run_ids[number] = run.info.run_id
            else:
                self._client.update_run(self._run_ids[number], status="RUNNING")
            run_id = self._run_ids[number]
            self._client.log_batch(run_id, params=_params(params), tags=_tags({**tags, "sweeper.state": "running"}))
            self._log_data(run_id, "training")

        self._put(number, start)

    def log_epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch's metrics in one batch, with `epoch` as the step."""
        self._last_epochs[number] = epoch
        batch = [Metric(name, value, _now(), epoch) for name, value in metrics.items()]
        self._put(number, lambda: self._client.log_batch(self._run_ids[number], metrics=batch))

    def log_text(self, number: int | None, texts: Mapping[str, str]) -> None:
        """Text artifacts by file name, of a trial or (None) of the study."""

        def write() -> None:
            for name, text in texts.items():
                self._client.log_text(self._of(number), text, name)

        self._put(number, write)

    def log_figures(self, number: int | None, figures: Mapping[str, Callable[[], Figure]]) -> None:
        """Figures by file name; they are drawn in the queue thread, not in the caller's."""

        def write() -> None:
            for name, draw in figures.items():
                self._client.log_figure(self._of(number), draw(), name)

        self._put(number, write)

    def log_weights(self, number: int, path: Path) -> None:
        """The weights as an artifact of the trial."""
        self._put(number, lambda: self._client.log_artifact(self._run_ids[number], str(path), WEIGHTS))

    def drop_weights(self, number: int) -> None:
        """Deletes a trial's weights: it is no longer among the best."""

        def drop() -> None:
            uri = self._client.get_run(self._run_ids[number]).info.artifact_uri
            assert uri is not None
            get_artifact_repository(uri, tracking_uri=self._uri).delete_artifacts(WEIGHTS)
            self._client.set_tag(self._run_ids[number], "sweeper.weights", "dropped")

        self._put(number, drop)

    def forget(self, number: int, folder: Path) -> None:
        """Deletes a trial's local files, once all that was asked before is delivered; else they stay."""

        def delete() -> None:
            if number not in self._incomplete:
                shutil.rmtree(folder, ignore_errors=True)

        self._put(number, delete)

    def finish(
        self,
        number: int | None,
        state: str,
        *,
        reason: str = "",
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Ends the run of a trial, or (None) of the study, in `state` (a key of STATUS)."""
        ended = _now()
        batch = [Metric(name, value, ended, 0) for name, value in (metrics or {}).items()]

        def end() -> None:
            run_id = self._of(number)
            tags = _tags({"sweeper.state": state, "sweeper.reason": reason})
            self._client.log_batch(run_id, metrics=batch, tags=tags)
            self._client.set_terminated(run_id, STATUS[state], ended)

        self._put(number, end)

    def close(self) -> list[str]:
        """Waits until everything is delivered, for a bounded time; gives the reasons of what was not."""
        self._deadline = time.monotonic() + CLOSING_SECONDS
        self._queue.put(None)
        self._thread.join()
        return self._undelivered

    def _put(self, number: int | None, write: Callable[[], object]) -> None:
        self._queue.put((number, write))

    def _of(self, number: int | None) -> str:
        return self.run_id if number is None else self._run_ids[number]

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            number, write = item
            reason = self._deliver(write)
            if reason:
                self._undelivered.append(reason)
                self._incomplete.add(number)

    def _deliver(self, write: Callable[[], object]) -> str:
        """Tries until it is done; gives the reason where it cannot be, else nothing."""
        while True:
            if self._deadline is not None and time.monotonic() > self._deadline:
                return "MLflow took too long at the end"
            try:
                write()
                return ""
            except Exception as error:  # whatever it is, the writes behind this one must go on
                reason = _redacted(error)
                if not _may_pass(error):
                    self._notify(f"MLflow refused a write: {reason}")
                    return reason
            self._notify(f"MLflow did not take a write, trying again: {reason}")
            time.sleep(RETRY_SECONDS)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
            raise SweeperError(f"MLflow at {redact(self._uri)} cannot be used: {_redacted(error)}") from error

    def _learn(self, number: int, run: Run) -> None:
        run_id = self._run_ids[number] = run.info.run_id
        state = run.data.tags.get("sweeper.state")
        if run.info.status == "RUNNING" or state == "interrupted":
            self._open.add(number)
            steps = [metric.step for metric in self._client.get_metric_history(run_id, "train_loss")]
            self._last_epochs[number] = max(steps, default=0)

    def _experiment(self, name: str, store: Store) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.lifecycle_stage == "deleted":
                raise SweeperError(f"the MLflow experiment {name} was deleted; restore it, or take another --store")
            return str(experiment.experiment_id)
        # A SQLite store would put artifacts under the current folder; a server knows its own place for them.
        location = (store.artifacts / name).as_uri() if store.embedded_tracking else None
        return str(self._client.create_experiment(name, artifact_location=location))

    def _search(self, query: str) -> list[Run]:
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self.experiment_id], query, ViewType.ACTIVE_ONLY, PAGE, None, token)
            found += page
            token = page.token
            if not token:
                return found

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


def _redacted(error: Exception) -> str:
    return redact(str(error).splitlines()[0] if str(error) else type(error).__name__)
