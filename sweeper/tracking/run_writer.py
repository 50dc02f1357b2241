"""Carries out an outbox's writes in MLflow: each is one operation on the parent run or a child's run."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, Metric, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from sweeper.events import State
from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.tracking import confirmation, deletions
from sweeper.tracking.actions import check_write
from sweeper.tracking.client import ROOT, is_server, params_of, search_runs, tags_of
from sweeper.tracking.deletions import Deletion
from sweeper.tracking.descriptions import DESCRIPTION, add_section
from sweeper.tracking.outbox import Key, Target, Write
from sweeper.tracking.places import check_run
from sweeper.tracking.user import user_tag

# MLflow's status for each state of a run, so that a search for the best finished run never finds a partial one. Its
# interface has a red cross for KILLED as for FAILED, and a green check or a clock for the others, which would both be
# wrong for a pruned trial: the tag sweeper.state, which can be shown as a column, tells them apart.
STATUS = {
    State.RUNNING: "RUNNING", State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.INTERRUPTED: "KILLED",
    State.FAILED: "FAILED",
}  # fmt: skip
WEIGHTS = "weights"
# By kind of parent run, what its child runs are called; the tag with a child's key has the same name.
CHILDREN = {"study": "trial", "promotion": "training", "ablation": "training", "training": "training"}


class RunWriter:
    """Carries out writes for one target.

    Repeating a write does no harm. This matters because a process can be killed after MLflow accepts a write and before
    the outbox removes it. So metrics carry the time of their epoch (of equal metrics, MLflow keeps one), and a run is
    searched for before it is created.
    """

    def __init__(self, client: MlflowClient, store: Store, target: Target, run_ids: dict[Key, str]) -> None:
        self.run_ids = run_ids  # of the child runs that MLflow has, by key
        self._client, self._store, self._target = client, store, target
        self._actions: dict[str, Callable[..., None]] = {
            "start": self._start, "texts": self._texts, "figures": self._figures, "weights": self._weights,
            "drop_weights": self._drop_weights, "forget": self._forget, "finish": self._finish, "reopen": self._reopen,
        }  # fmt: skip

    def write(self, writes: Sequence[Write]) -> None:
        """Carries out one write, or several epochs' metrics of one run in one call. Raises what MLflow raises.

        Raises ValueError and SweeperError for a write that sweeper does not make, as a foreign outbox may have, and
        NotMlflow if a server's address took the write, but has nothing of it.
        """
        for write in writes:
            check_write(write)
        first = writes[0]
        if first.action == "metrics":
            self._metrics(first.key, [write.arguments for write in writes])
        else:
            self._actions[first.action](first.key, **first.arguments)
        if is_server(self._store):
            self._confirm(first, writes[-1])

    def deletion(self, write: Write) -> Deletion | None:
        """What somebody deleted in MLflow that this write needs: its run, or the experiment; None if nothing."""
        target, key = self._target, write.key
        if found := deletions.of_experiment(self._client, target.experiment_id, target.data_name):
            return found
        name = f"{target.kind} {target.study}" if key is None else f"{CHILDREN[target.kind]} {key}"
        run_id = target.run_id if key is None else self.run_ids.get(key)
        if run_id is not None:
            return deletions.of_run(self._client, run_id, name)
        # The start of a run is its first write: MLflow has taken it, and then lost the run.
        return Deletion("run", "", name, for_good=True) if write.action != "start" else None

    def run_ids_of(self, key: Key | None) -> list[str]:
        """The id of the run of this key; none if MLflow never had it."""
        found = self._target.run_id if key is None else self.run_ids.get(key)
        return [found] if found else []

    def _run_id(self, key: Key | None) -> str:
        return self._target.run_id if key is None else self.run_ids[key]

    def _confirm(self, write: Write, last: Write) -> None:
        """Raises NotMlflow unless the server has what was written; `last` are the last epoch's metrics."""
        if write.action == "forget":
            return
        run_id, arguments = self._run_id(write.key), write.arguments
        check = partial(confirmation.check_run, self._client, run_id)
        check_files = partial(confirmation.check_files, self._client, run_id)
        match write.action:
            case "start" | "reopen":
                check(params=arguments["params"], tags={"sweeper.state": State.RUNNING})
            case "metrics":
                check(steps=dict.fromkeys(last.arguments["values"], last.arguments["epoch"]))
            case "texts":
                check_files({name: len(text.encode()) for name, text in arguments["texts"].items()})
            case "figures":
                check_files(dict.fromkeys(arguments["figures"]))
            case "weights":
                path = self._own_path(arguments["path"])
                check_files({f"{WEIGHTS}/{path.name}": path.stat().st_size})
            case "drop_weights":
                check(tags={"sweeper.weights": "dropped"})
            case "finish":
                state = arguments["state"]
                check(
                    steps=dict.fromkeys(arguments["metrics"], 0),
                    tags={"sweeper.state": state},
                    status=STATUS[State(state)],
                )

    def _reopen(self, key: None, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        open_run(self._client, self._run_id(key), self._target, params, tags, self._target.kind)

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
                MLFLOW_PARENT_RUN_ID: parent, ROOT: target.run_id, tag: str(key), **user_tag(),
                "sweeper.kind": CHILDREN[target.kind] if under is None else "training",
            }  # fmt: skip
            # A run is found if MLflow created it and the answer was lost.
            found = search_runs(self._client, target.experiment_id, query)
            run = found[-1] if found else self._client.create_run(target.experiment_id, time, identity, run_name=name)
            self.run_ids[key] = check_run(run).info.run_id
        open_run(self._client, self.run_ids[key], target, params, tags, "training")

    def _metrics(self, key: Key | None, epochs: Sequence[Mapping[str, Any]]) -> None:
        batch = [
            Metric(name, value, epoch["time"], epoch["epoch"])
            for epoch in epochs
            for name, value in epoch["values"].items()
        ]
        self._client.log_batch(self._run_id(key), metrics=batch)

    def _texts(self, key: Key | None, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self._client.log_text(self._run_id(key), text, name)

    def _figures(self, key: Key | None, figures: Mapping[str, Any]) -> None:
        for name, plot in figures.items():
            self._client.log_figure(self._run_id(key), Plot(**plot).draw(), name)

    def _weights(self, key: Key | None, path: str) -> None:
        self._client.log_artifact(self._run_id(key), str(self._own_path(path)), WEIGHTS)

    def _drop_weights(self, key: Key) -> None:
        run_id = self._run_id(key)
        uri = self._client.get_run(run_id).info.artifact_uri
        assert uri is not None
        if self._client.list_artifacts(run_id, WEIGHTS):
            get_artifact_repository(uri, tracking_uri=self._store.tracking_uri).delete_artifacts(WEIGHTS)
        self._client.set_tag(run_id, "sweeper.weights", "dropped")

    def _forget(self, key: Key | None, path: str) -> None:
        place = self._own_path(path)
        with suppress(OSError):  # a file that cannot be deleted must not hold up later writes
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def _own_path(self, path: str) -> Path:
        return self._store.own_path(self._target.study, self._target.study_id, path)

    def _finish(
        self,
        key: Key | None,
        state: str,
        time: int,
        reason: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        run_id = self._run_id(key)
        batch = [Metric(name, value, time, 0) for name, value in metrics.items()]
        if tags and DESCRIPTION in tags:
            add_section(self._client, run_id, [tags[DESCRIPTION]])
            tags = {name: text for name, text in tags.items() if name != DESCRIPTION}
        found = tags_of({**(tags or {}), "sweeper.state": state, "sweeper.reason": reason})
        self._client.log_batch(run_id, metrics=batch, tags=found)
        self._client.set_terminated(run_id, STATUS[State(state)], time)


def children_of(client: MlflowClient, target: Target, dropped: Collection[str]) -> dict[Key, Run]:
    """The runs below the target's parent run, at any depth, by key.

    A deleted run is there, too, unless another has its place or its id is in `dropped`: it may be restored, and a
    second run for its key would lack its metrics.
    """
    query = f"tags.`{ROOT}` = '{target.run_id}'"
    tag = _key_tag(target.kind)
    runs = search_runs(client, target.experiment_id, query, ViewType.ALL)
    found: dict[Key, Run] = {}
    for run in sorted(runs, key=lambda run: run.info.lifecycle_stage == LifecycleStage.ACTIVE):
        if (text := run.data.tags.get(tag)) and run.info.run_id not in dropped:
            found[int(text) if target.kind == "study" and text.isdigit() else text] = run
    return found


def open_run(
    client: MlflowClient, run_id: str, target: Target, params: Mapping[str, Any], tags: Mapping[str, str], context: str
) -> None:
    """Marks a run as running, and logs its parameters, its tags, and the target's data."""
    client.update_run(run_id, status="RUNNING")
    client.log_batch(run_id, params=params_of(params), tags=tags_of({**tags, "sweeper.state": State.RUNNING}))
    log_data(client, run_id, target, context)


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
