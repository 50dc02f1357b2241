"""Tracks a study, promotion, ablation or training by itself in MLflow, with child runs of trials or trainings."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Run

from sweeper.errors import SweeperError
from sweeper.events import ENDED, State
from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.tracking.actions import check_write
from sweeper.tracking.client import connect, public_uri, reaching
from sweeper.tracking.copies import check_run_of_store, store_tags
from sweeper.tracking.names import experiment_of
from sweeper.tracking.outbox import TEXTS, File, Key, Outbox, Target, Write
from sweeper.tracking.outbox_worker import OutboxWorker
from sweeper.tracking.parent_run import ParentRun, ParentRuns, id_tag
from sweeper.tracking.patience import Patience
from sweeper.tracking.places import check_experiment
from sweeper.tracking.run_writer import children_of, open_run


@dataclass(frozen=True)
class DataRecord:
    """What MLflow records of the data: name, our SHA-256 over the training files, source, and shape."""

    name: str
    sha256: str
    source: str
    shape: tuple[int, ...]


class Tracker:
    """The MLflow runs of one study, of its promotion or ablation, or of a training by itself.

    A parent run has a child run for each trial or training. The key of a child is a trial's number or a training's
    name. If a trial has several trainings, their runs are under the trial's run. A training by itself without folds and
    repeats has only the parent run, whose key is None. Methods that write return at once: they put the write into the
    outbox on disk, and a thread delivers the writes in order. They raise SweeperError if the outbox cannot keep one.
    `check_owned` raises SweeperError once another process writes these runs: nothing is written any more.
    """

    def __init__(
        self,
        store: Store,
        data: DataRecord,
        notify: Callable[[str], None],
        kind: Literal["study", "promotion", "ablation", "training"] = "study",
        check_owned: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._kind, self._data, self._notify = store, kind, data, notify
        self._check_owned = check_owned
        self._states: dict[Key | None, str] = {}
        self._last_epochs: dict[Key | None, int] = {}
        self._was_here = False  # whether MLflow has, or had, the parent run
        self._lost: set[Key] = set()  # the children that ended, and whose runs were deleted since
        self._client = connect(store)
        self.experiment_id = self.run_id = ""

    def open(
        self,
        study: str,
        study_id: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        run_name: str = "",
        recorded: Mapping[Key, str] | None = None,
        *,
        elsewhere: bool = False,
    ) -> None:
        """Finds or creates the parent run, reads the children's states, and starts to deliver what the outbox holds.

        The outbox may hold writes of an earlier process. `study_id` identifies the study: on a shared server, another
        study may have the same name. The run of a complete training stays as it is. `run_name` names the new run of a
        training by itself; other new runs are named after the study. `recorded` holds the runs that the study knows
        for its ended trials: one that MLflow no longer has was deleted, and is not made again. With `elsewhere`, a new
        parent run may go to another experiment if that of the data was deleted.

        If a study's own run was deleted in MLflow, the writes for it wait until it is restored, or `sync` drops them.
        """
        recorded = recorded or {}
        tags = {**tags, **store_tags(self._store)}
        outbox = Outbox(self._store.outbox(study, study_id, self._kind))
        try:
            with reaching(self._store.tracking_uri):
                dropped = outbox.dropped()
                parent = self._parent(study, study_id, run_name, recorded, dropped, elsewhere=elsewhere)
                self.run_id, self.experiment_id = parent.run_id, parent.experiment_id
                outbox.target = target = self._target(study, study_id)
                if self._kind == "training" and parent.run:
                    self._restore(None, parent.run)
                opening = self.state(None) != State.COMPLETE
                if opening and not parent.deleted:
                    open_run(self._client, self.run_id, target, params, tags, self._kind)
                children = children_of(self._client, target, dropped)
                for key, child in children.items():
                    self._restore(key, child)
        except BaseException:
            outbox.close()
            raise
        self._lost = set(recorded) - set(children) if self._was_here or dropped else set()
        self._restore_waiting(outbox)
        if opening:
            self._states[None] = State.RUNNING
        run_ids = {key: child.info.run_id for key, child in children.items()}
        self._outbox_worker = OutboxWorker(
            self._client, self._store, outbox, run_ids, self._notify, check_owned=self._check_owned
        )
        if opening and parent.deleted:
            self._outbox_worker.put(None, "reopen", params=dict(params), tags=dict(tags))

    def child_run_id(self, key: Key) -> str | None:
        """The id of a child's run; None until MLflow has created the run."""
        return self._outbox_worker.run_ids.get(key)

    def state(self, key: Key | None) -> str | None:
        """The state that this or an earlier process last gave the run; None if the run never started."""
        return self._states.get(key)

    def is_ended(self, key: Key) -> bool:
        """Whether the child has ended and must not be resumed, or its run was deleted after its end."""
        return self._states.get(key) in ENDED or key in self._lost

    def last_epoch(self, key: Key | None) -> int:
        """The last epoch that was logged for a child or (None) the parent; 0 before the first."""
        return self._last_epochs.get(key, 0)

    def start_child(
        self, key: Key, name: str, params: Mapping[str, Any], tags: Mapping[str, str], under: Key | None = None
    ) -> None:
        """Creates or reopens the child's run, below the parent run or below the run of the child `under`."""
        self._lost.discard(key)
        self._states[key] = State.RUNNING
        self._outbox_worker.put(key, "start", name=name, time=_now(), params=dict(params), tags=dict(tags), under=under)

    def log_epoch(self, key: Key | None, epoch: int, metrics: Mapping[str, float]) -> None:
        """Logs one epoch's metrics in one batch, with `epoch` as the step."""
        self._last_epochs[key] = epoch
        self._outbox_worker.put(key, "metrics", epoch=epoch, time=_now(), values=dict(metrics))

    def log_text(self, key: Key | None, texts: Mapping[str, str]) -> None:
        """Logs text artifacts by file name, for a child or (None) the parent."""
        self._outbox_worker.put(key, TEXTS, texts=dict(texts))

    def log_plots(self, key: Key | None, plots: Mapping[str, Plot]) -> None:
        """Logs plots by file name, for a child or (None) the parent; they are drawn when they are delivered."""
        self._outbox_worker.put(key, "figures", figures={name: asdict(plot) for name, plot in plots.items()})

    def log_weights(self, key: Key | None, path: Path) -> None:
        """Logs weights as an artifact of a child or (None) the parent; the file must stay until `forget` deletes it."""
        self._outbox_worker.put(key, "weights", path=self._stored_path(path))

    def drop_weights(self, key: Key) -> None:
        """Deletes a child's weights from MLflow: the child is no longer among the best."""
        if key in self._lost:
            return
        self._outbox_worker.put(key, "drop_weights")

    def forget(self, key: Key | None, path: Path) -> None:
        """Deletes a run's local file or folder once all earlier writes are delivered; otherwise the file stays."""
        self._outbox_worker.put(key, "forget", path=self._stored_path(path))

    def finish(
        self,
        key: Key | None,
        state: State,
        *,
        reason: str = "",
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Ends the run of a child, or (None) the parent run, in `state` (a key of run_writer.STATUS)."""
        self._states[key] = state
        ended = {"reason": reason, "metrics": dict(metrics or {}), "tags": dict(tags or {})}
        self._outbox_worker.put(key, "finish", state=state, time=_now(), **ended)

    def repeat(self, writes: Sequence[Write]) -> None:
        """Puts writes of an earlier outbox into this one, as they were."""
        for write in writes:
            self._outbox_worker.put(write.key, write.action, **write.arguments)

    def flush(self) -> list[str]:
        """Waits until all writes so far are delivered or fail; returns the reasons of undelivered writes."""
        return self._outbox_worker.flush()

    def missing(self, files: Collection[File]) -> str:
        """Why MLflow lacks one of these text files, which were logged before; empty if it has all of them.

        Waits as `flush` does. Other writes may be undelivered all the same.
        """
        return self._outbox_worker.missing(files)

    def close(self, patience: Patience | None = None) -> list[str]:
        """Delivers what it can within `patience`, and ends the outbox worker; undelivered writes stay in the outbox.

        Returns the reasons of undelivered writes.
        """
        return self._outbox_worker.close(patience)

    def _stored_path(self, path: Path) -> str:
        """The path, relative to the store if inside it: a copied store must not touch the original's files."""
        root = self._store.root
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def _target(self, study: str, study_id: str) -> Target:
        """Where the writes of this tracker go."""
        return Target(
            kind=self._kind,
            study=study,
            study_id=study_id,
            experiment_id=self.experiment_id,
            run_id=self.run_id,
            data_name=self._data.name,
            data_sha256=self._data.sha256,
            data_source=json.dumps({"place": self._data.source, "sha256": self._data.sha256}),
            data_profile=json.dumps({"shape": self._data.shape}),
            uri=public_uri(self._store),
        )

    def _parent(
        self,
        study: str,
        study_id: str,
        run_name: str,
        recorded: Mapping[Key, str],
        dropped: Collection[str],
        *,
        elsewhere: bool,
    ) -> ParentRun:
        """The parent run, created if there is none; a deleted one only of a study that has not given it up."""
        runs = ParentRuns(self._client, self._data.name, self._data.sha256, study_id)
        found = runs.find(self._kind, recorded.values())
        self._was_here = bool(found)
        for parent in found:
            if parent.run is not None:
                check_run_of_store(self._store, parent.run)
            if not parent.deleted:
                check_experiment(self._client.get_experiment(parent.experiment_id), self._store)
            if not parent.deleted or (self._kind == "study" and parent.run_id not in dropped):
                runs.adopt(parent, dropped)
                return parent
        if recorded and not found and not dropped:
            self._notify(
                f"MLflow at {redact(self._store.tracking_uri)} has no run of study {study}: its runs were deleted for "
                "good, or are in another MLflow; they are made anew, with what the study itself knows of its trials"
            )
        query = f"tags.`{id_tag(self._kind)}` = '{study_id}'"
        data = self._data
        experiment_id = experiment_of(
            self._client, self._store, data.name, data.sha256, query, elsewhere=elsewhere or bool(dropped)
        )
        name = self._client.get_experiment(experiment_id).name
        if name != data.name:
            self._notify(
                f"MLflow's experiment {data.name} was deleted, or belongs to other data of that name: runs go to {name}"
            )
        parent = runs.create(self._kind, experiment_id, study, run_name)
        runs.adopt(parent, dropped)
        return parent

    def _restore(self, key: Key | None, run: Run) -> None:
        state = run.data.tags.get("sweeper.state", State.RUNNING)
        self._states[key] = State.RUNNING if run.info.status == "RUNNING" else state
        # An ended trial is never trained again. An ended training is, if its weights are gone or its trial was
        # interrupted.
        if not isinstance(key, int) or not self.is_ended(key):
            steps = [metric.step for metric in self._client.get_metric_history(run.info.run_id, "train_loss")]
            self._last_epochs[key] = max(steps, default=0)

    def _restore_waiting(self, outbox: Outbox) -> None:
        """Adds the states and epochs of writes that MLflow does not have yet."""
        for write in outbox.writes():
            try:
                check_write(write)
            except ValueError as error:
                raise SweeperError(f"{outbox.path} cannot be read: {error}; remove it to go on without it") from error
            if write.action == "start":
                self._states[write.key] = State.RUNNING
            elif write.action == "finish":
                self._states[write.key] = write.arguments["state"]
            elif write.action == "metrics":
                self._last_epochs[write.key] = max(self.last_epoch(write.key), write.arguments["epoch"])


def _now() -> int:
    return int(time.time() * 1000)
