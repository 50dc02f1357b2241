"""The ledger of test evaluations: each is an MLflow run, begun before the evaluation and completed after it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from matplotlib.figure import Figure
from mlflow.entities import Metric, Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_USER

from sweeper.events import State
from sweeper.store.layout import Store
from sweeper.tracking.client import check_database, connect, experiment_id, reaching, search_runs

EXPERIMENT = "sweeper-ledger"
RESULT = "result.json"


@dataclass(frozen=True)
class TestEvaluation:
    """One test evaluation. `models` are registered versions as "name/version", by role; `time` is UTC, ISO 8601.

    `networks` identify the trained networks by role: MLflow reuses a version's number once the model was deleted.

    An evaluation that is not `complete` was begun, and somebody may have seen its result. An evaluation that is
    `deleted` in MLflow still counts.
    """

    __test__ = False  # pytest takes a class of this name for tests

    run_id: str
    study: str
    study_id: str
    dataset: str
    test_sha256: str
    models: Mapping[str, str]
    networks: Mapping[str, str]
    command: str
    time: str
    complete: bool
    deleted: bool = False


class Ledger:
    """The test evaluations in a store's MLflow. Reading them creates no database. Methods raise SweeperError."""

    def __init__(self, store: Store) -> None:
        self._store, self._uri = store, store.tracking_uri

    @cached_property
    def _client(self) -> mlflow.MlflowClient:
        return connect(self._store)

    def evaluations(self) -> list[TestEvaluation]:
        """All test evaluations, also those that somebody deleted, the earliest first."""
        if not check_database(self._store):
            return []
        with reaching(self._uri):
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                return []
            query = "tags.`sweeper.kind` = 'test_look'"
            runs = search_runs(self._client, experiment.experiment_id, query, ViewType.ALL)
        return sorted((_evaluation(run) for run in runs), key=lambda evaluation: (evaluation.time, evaluation.run_id))

    def prepare(self) -> None:
        """Makes sure that entries can be written, before a command trains for hours."""
        with reaching(self._uri):
            experiment_id(self._client, EXPERIMENT, self._store)

    def begin(
        self,
        *,
        study: str,
        study_id: str,
        dataset: str,
        test_sha256: str,
        models: Mapping[str, str],
        networks: Mapping[str, str],
        command: str,
    ) -> TestEvaluation:
        """Creates the entry of a test evaluation that is about to start."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        tags = {
            "sweeper.kind": "test_look",
            "sweeper.study": study,
            "sweeper.study_id": study_id,
            "sweeper.dataset": dataset,
            "sweeper.test_sha256": test_sha256,
            "sweeper.models": json.dumps(dict(models)),
            "sweeper.networks": json.dumps(dict(networks)),
            "sweeper.command": command,
            "sweeper.time": now,
            "sweeper.state": "open",
            MLFLOW_USER: "sweeper",
        }
        with reaching(self._uri):
            experiment = experiment_id(self._client, EXPERIMENT, self._store)
            run = self._client.create_run(experiment, tags=tags, run_name=f"{study} test")
        return _evaluation(run)

    def complete(
        self,
        evaluation: TestEvaluation,
        result: Mapping[str, Any],
        metrics: Mapping[str, float],
        texts: Mapping[str, str],
        plots: Mapping[str, Callable[[], Figure]],
    ) -> None:
        """Writes the result of an evaluation, and then marks the entry complete. A repeated call overwrites."""
        # With the entry's own time, a metric that is written again equals the first one, and MLflow keeps only one.
        begun = int(datetime.fromisoformat(evaluation.time).timestamp() * 1000)
        with reaching(self._uri):
            for name, text in {**texts, RESULT: json.dumps(result, indent=2)}.items():
                self._client.log_text(evaluation.run_id, text, name)
            for name, draw in plots.items():
                self._client.log_figure(evaluation.run_id, draw(), name)
            batch = [Metric(name, value, begun, 0) for name, value in metrics.items()]
            self._client.log_batch(evaluation.run_id, metrics=batch)
            self._client.set_terminated(evaluation.run_id, "FINISHED")
            # This must come last: a complete entry is never written again.
            self._client.set_tag(evaluation.run_id, "sweeper.state", str(State.COMPLETE))

    def result(self, evaluation: TestEvaluation) -> dict[str, Any]:
        """The result of a complete evaluation."""
        with reaching(self._uri):
            path = self._client.download_artifacts(evaluation.run_id, RESULT)
            found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return found


def count(evaluations: Sequence[TestEvaluation], study_id: str, test_sha256: str | None) -> tuple[int, int]:
    """How often the study, and how often all studies of the store, have evaluated on these test data."""
    same_data = [evaluation for evaluation in evaluations if evaluation.test_sha256 == test_sha256]
    return sum(evaluation.study_id == study_id for evaluation in same_data), len(same_data)


def _evaluation(run: Run) -> TestEvaluation:
    tags = run.data.tags
    return TestEvaluation(
        run_id=run.info.run_id,
        study=tags["sweeper.study"],
        study_id=tags["sweeper.study_id"],
        dataset=tags["sweeper.dataset"],
        test_sha256=tags["sweeper.test_sha256"],
        models=json.loads(tags["sweeper.models"]),
        networks=json.loads(tags["sweeper.networks"]),
        command=tags["sweeper.command"],
        time=tags["sweeper.time"],
        complete=tags["sweeper.state"] == State.COMPLETE,
        deleted=run.info.lifecycle_stage == "deleted",
    )
