"""A study, its promotion, or a training by itself, and their trials and trainings as MLflow runs."""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_USER

from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.tracking.client import connect, experiment_id, params_of, reaching, search_runs, tags_of
from sweeper.tracking.outbox import Key, Outbox, Target
from sweeper.tracking.outbox_worker import OutboxWorker, children_of, log_data

ENDED = ("complete", "pruned", "failed")


@dataclass(frozen=True)
class DataRecord:
    """What is said of the data in MLflow: its name, our SHA-256 over the training files, and its shape."""

    name: str
    sha256: str
    source: str
    shape: tuple[int, ...]


class Tracker:
    """The runs of one study, of its promotion, or of a training by itself.

    That is a parent, and under it a child for each trial or training. A child is known by its key: a trial's number, a
    training's name. A trial of several trainings has their runs under its own. A training by itself that has no folds
    and repeats is all on the parent, whose key is None. Methods that write return at once: what they are given is in
    the store's spool, and a thread delivers it in order. They raise SweeperError where it cannot be kept.
    """

    def __init__(
        self,
        store: Store,
        data: DataRecord,
        notify: Callable[[str], None],
        kind: Literal["study", "promotion", "training"] = "study",
    ) -> None:
        self._store, self._kind, self._data, self._notify = store, kind, data, notify
        self._states: dict[Key | None, str] = {}
        self._last_epochs: dict[Key | None, int] = {}
        self._client = connect(store)
        with reaching(store.tracking_uri):
            self.experiment_id = experiment_id(self._client, data.name, store)
        self.run_id = ""

    def open(
        self, study: str, study_id: str, tags: Mapping[str, str], params: Mapping[str, Any], run_name: str = ""
    ) -> None:
        """Finds or makes the parent run, and learns its children's; what an earlier process left in the spool follows.

        `study_id` is the study's own: on a shared server another study may well have the same name. The run of a
        training that is complete stays as it is. `run_name` is what a new run is called, if not as the study.
        """
        uri = self._store.tracking_uri
        with reaching(uri):
            found = self._parents(study_id, self._kind)
            if found:
                self.run_id = found[0].info.run_id
                if self._kind == "training":
                    self._learn(None, found[0])
            else:
                self.run_id = self._make_parent(study, study_id, run_name)
            target = Target(
                kind=self._kind,
                study=study,
                study_id=study_id,
                experiment_id=self.experiment_id,
                run_id=self.run_id,
                data_name=self._data.name,
                data_sha256=self._data.sha256,
                data_source=json.dumps({"place": self._data.source, "sha256": self._data.sha256}),
                data_profile=json.dumps({"shape": self._data.shape}),
            )
            if self.state(None) != "complete":
                self._client.update_run(self.run_id, status="RUNNING")
                running = tags_of({**tags, "sweeper.state": "running"})
                self._client.log_batch(self.run_id, params=params_of(params), tags=running)
                log_data(self._client, self.run_id, target, self._kind)
            children = children_of(self._client, target)
            for key, child in children.items():
                self._learn(key, child)
        outbox = Outbox(self._store.outbox(study, study_id, self._kind))
        outbox.target = target
        self._learn_waiting(outbox)
        if self.state(None) != "complete":
            self._states[None] = "running"
        run_ids = {key: child.info.run_id for key, child in children.items()}
        self._outbox_worker = OutboxWorker(self._client, self._store, outbox, run_ids, self._notify)

    def child_run_id(self, key: Key) -> str | None:
        """The run of a child; None as long as MLflow has not made it."""
        return self._outbox_worker.run_ids.get(key)

    def state(self, key: Key | None) -> str | None:
        """The state that the run was last given, by this process or an earlier one; None if it was never started."""
        return self._states.get(key)

    def is_ended(self, key: Key) -> bool:
        """Whether the child has ended, and is not to be gone on with."""
        return self._states.get(key) in ENDED

    def last_epoch(self, key: Key | None) -> int:
        """The last epoch that was logged of a child, or (None) of the parent; 0 before the first."""
        return self._last_epochs.get(key, 0)

    def start_child(
        self, key: Key, name: str, params: Mapping[str, Any], tags: Mapping[str, str], under: Key | None = None
    ) -> None:
        """Makes the child's run, or opens it again; `under` another child, where it is a part of that one."""
        self._states[key] = "running"
        self._outbox_worker.put(key, "start", name=name, time=_now(), params=dict(params), tags=dict(tags), under=under)

    def log_epoch(self, key: Key | None, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch's metrics in one batch, with `epoch` as the step."""
        self._last_epochs[key] = epoch
        self._outbox_worker.put(key, "metrics", epoch=epoch, time=_now(), values=dict(metrics))

    def log_text(self, key: Key | None, texts: Mapping[str, str]) -> None:
        """Text artifacts by file name, of a child or (None) of the parent."""
        self._outbox_worker.put(key, "texts", texts=dict(texts))

    def log_plots(self, key: Key | None, figures: Mapping[str, Plot]) -> None:
        """Figures by file name; they are drawn when they are delivered."""
        self._outbox_worker.put(key, "figures", figures={name: asdict(plot) for name, plot in figures.items()})

    def log_weights(self, key: Key | None, path: Path) -> None:
        """The weights as an artifact of a child or (None) the parent; the file must stay until `forget` takes it."""
        self._outbox_worker.put(key, "weights", path=self._kept(path))

    def drop_weights(self, key: Key) -> None:
        """Deletes a child's weights: it is no longer among the best."""
        self._outbox_worker.put(key, "drop_weights")

    def forget(self, key: Key | None, path: Path) -> None:
        """Deletes a run's local file or folder, once all that was asked before is delivered; else it stays."""
        self._outbox_worker.put(key, "forget", path=self._kept(path))

    def finish(
        self,
        key: Key | None,
        state: str,
        *,
        reason: str = "",
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Ends the run of a child, or (None) of the parent, in `state` (a key of delivery.STATUS)."""
        self._states[key] = state
        self._outbox_worker.put(key, "finish", state=state, time=_now(), reason=reason, metrics=dict(metrics or {}))

    def flush(self) -> list[str]:
        """Waits until everything so far is delivered, but not for ever; gives the reasons of what was not."""
        return self._outbox_worker.flush()

    def close(self, patience: float | None = None) -> list[str]:
        """As `flush`, and ends the delivery; what was not delivered waits in the spool.

        `patience` are the seconds for which a write that fails is tried again, if not the usual ones.
        """
        return self._outbox_worker.close(patience)

    def _kept(self, path: Path) -> str:
        """The path as the spool keeps it: a copied store must not touch the files of the first."""
        root = self._store.root
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def _make_parent(self, study: str, study_id: str, name: str) -> str:
        identity = {_id_tag(self._kind): study_id, "sweeper.kind": self._kind, MLFLOW_USER: "sweeper"}
        if self._kind != "training":
            identity["sweeper.study"] = name = study
        if self._kind == "promotion":
            name = f"{study} promotion"
            studies = self._parents(study_id, "study")
            if studies:
                identity[MLFLOW_PARENT_RUN_ID] = studies[0].info.run_id
        run = self._client.create_run(self.experiment_id, run_name=name, tags=identity)
        return str(run.info.run_id)

    def _parents(self, study_id: str, kind: str) -> list[Run]:
        query = f"tags.`{_id_tag(kind)}` = '{study_id}' AND tags.`sweeper.kind` = '{kind}'"
        return search_runs(self._client, self.experiment_id, query)

    def _learn(self, key: Key | None, run: Run) -> None:
        state = run.data.tags.get("sweeper.state", "running")
        self._states[key] = "running" if run.info.status == "RUNNING" else state
        # An ended trial is never trained again; a training is, where its weights are gone, or its trial is cut short.
        if not isinstance(key, int) or not self.is_ended(key):
            steps = [metric.step for metric in self._client.get_metric_history(run.info.run_id, "train_loss")]
            self._last_epochs[key] = max(steps, default=0)

    def _learn_waiting(self, outbox: Outbox) -> None:
        """What MLflow will know once all that waits is delivered."""
        for write in outbox.writes():
            if write.action == "start":
                self._states[write.key] = "running"
            elif write.action == "finish":
                self._states[write.key] = write.arguments["state"]
            elif write.action == "metrics":
                self._last_epochs[write.key] = max(self.last_epoch(write.key), write.arguments["epoch"])


def _id_tag(kind: str) -> str:
    """The tag of a parent run with the id of its study, or of a training, which is none."""
    return "sweeper.training_id" if kind == "training" else "sweeper.study_id"


def shortfall(undelivered: Sequence[str]) -> str:
    """What to say of writes that were not delivered, from their reasons."""
    return f"{len(undelivered)} writes wait for MLflow, the first because: {undelivered[0]}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _now() -> int:
    return int(time.time() * 1000)
