"""The ledger of test evaluations: each is an MLflow run and an entry of a file in the store.

Both are begun before the evaluation and completed after it. An evaluation counts if either has it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from matplotlib.figure import Figure
from mlflow.entities import Metric, Run, ViewType

from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.quantities import counted
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.store.stored_values import from_text
from sweeper.tracking import ledger_file
from sweeper.tracking.client import connect, database_exists, experiment_id, public_uri, reaching, search_runs
from sweeper.tracking.places import check_run
from sweeper.tracking.user import user_tag

EXPERIMENT = "sweeper-ledger"
RESULT = "result.json"
# The tag of a run whose entry is in the store's file as well.
IN_FILE = "sweeper.in_store"
# The role of a network that was evaluated by name, and not in a promotion.
EVALUATED = "network"


@dataclass(frozen=True)
class TestEvaluation:
    """One test evaluation. `models` are registered versions as "name/version", by role; `time` is UTC, ISO 8601.

    `networks` identify the trained networks by role: MLflow reuses a version's number once the model was deleted.

    An evaluation that is not `complete` was begun, and somebody may have seen its result. An evaluation that is
    `deleted` in MLflow, or no longer `in_mlflow` at all, still counts.
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
    in_mlflow: bool = True


class Ledger:
    """The test evaluations in a store's MLflow and in its file; reading them writes nothing.

    Methods raise SweeperError.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._uri, self._file = store, store.tracking_uri, store.ledger

    @cached_property
    def _client(self) -> mlflow.MlflowClient:
        return connect(self._store)

    def evaluations(self) -> list[TestEvaluation]:
        """All test evaluations, also those that somebody deleted, the earliest first."""
        found, written = self._in_mlflow(), ledger_file.read(self._file)
        for run_id, fields in written.entries.items():
            complete = run_id in written.results
            if ours := found.get(run_id):
                found[run_id] = replace(ours, **fields, complete=ours.complete or complete)
            else:
                found[run_id] = TestEvaluation(run_id, **fields, complete=complete, deleted=True, in_mlflow=False)
        return sorted(found.values(), key=lambda evaluation: (evaluation.time, evaluation.run_id))

    def differences(self) -> list[str]:
        """What is wrong with the store's file, and how MLflow differs from it; empty if all is well."""
        runs = {run.info.run_id: run for run in self._runs()}
        ours, written = self._in_mlflow(), ledger_file.read(self._file)
        found = list(written.faults)
        # An older sweeper has not recorded in which MLflow an evaluation was begun.
        here = public_uri(self._store)
        if lost := [
            run_id for run_id in written.entries if run_id not in runs and written.uris.get(run_id, here) == here
        ]:
            found.append(
                f"MLflow at {redact(self._uri)} has no run of {counted(len(lost), 'test evaluation')} in {self._file}: "
                "deleted there, but still counted"
            )
        # Only here: a server may have the evaluations of other stores.
        marked = [run_id for run_id, run in runs.items() if IN_FILE in run.data.tags]
        removed = [run_id for run_id in marked if run_id not in written.entries]
        if removed and self._store.embedded_tracking:
            found.append(
                f"{self._file} lacks {counted(len(removed), 'test evaluation')} that MLflow has: removed there, but "
                "still counted"
            )
        for run_id in runs:
            if run_id not in ours and run_id not in written.entries:
                found.append(f"the test evaluation {run_id} in MLflow cannot be read, and is not counted")
            changed = [
                name
                for name, value in written.entries.get(run_id, {}).items()
                if run_id not in ours or getattr(ours[run_id], name) != value
            ]
            if changed:
                names = ", ".join(changed)
                found.append(f"the {names} of the test evaluation {run_id} was changed in MLflow, or in {self._file}")
        return found

    def prepare(self) -> None:
        """Makes sure that entries can be written, before a command trains for hours.

        The store's file gets what only MLflow has, such as the evaluations of an older sweeper.
        """
        with reaching(self._uri):
            experiment_id(self._client, EXPERIMENT, self._store)
        written = ledger_file.read(self._file)
        for evaluation in self._in_mlflow().values():
            if evaluation.run_id not in written.entries:
                self._keep(evaluation)
            if evaluation.complete and evaluation.run_id not in written.results:
                ledger_file.complete(self._file, evaluation.run_id, self._readable_result(evaluation))

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
            **user_tag(),
        }
        with reaching(self._uri):
            experiment = experiment_id(self._client, EXPERIMENT, self._store)
            run = check_run(self._client.create_run(experiment, tags=tags, run_name=f"{study} test"))
        evaluation = _evaluation(run)
        self._keep(evaluation)
        return evaluation

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
        # Not earlier: an entry that is complete in the file is complete.
        ledger_file.complete(self._file, evaluation.run_id, result)

    def result(self, evaluation: TestEvaluation) -> Mapping[str, Any]:
        """The result of a complete evaluation: the file's, or else MLflow's."""
        if kept := ledger_file.read(self._file).results.get(evaluation.run_id):
            return kept
        if not evaluation.in_mlflow:
            raise SweeperError(f"{self._file} has no result of the test evaluation {evaluation.run_id}")
        with reaching(self._uri):
            path = self._client.download_artifacts(evaluation.run_id, RESULT)
            found: dict[str, Any] = from_text(dict[str, Any], Path(path).read_bytes(), RESULT)
        return found

    def table(self, evaluation: TestEvaluation, name: str) -> str:
        """A table that `complete` wrote, by its file name. Raises SweeperError if MLflow no longer has it."""
        if not evaluation.in_mlflow:
            raise SweeperError(f"the test evaluation {evaluation.run_id} was deleted in MLflow, with its {name}")
        with reaching(self._uri), TemporaryDirectory() as folder:
            path = self._client.download_artifacts(evaluation.run_id, name, folder)
            return Path(path).read_text(encoding="utf-8")

    def _runs(self) -> list[Run]:
        """The entries in MLflow."""
        if not database_exists(self._store):
            return []
        with reaching(self._uri):
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                return []
            query = "tags.`sweeper.kind` = 'test_look'"
            return search_runs(self._client, experiment.experiment_id, query, ViewType.ALL)

    def _in_mlflow(self) -> dict[str, TestEvaluation]:
        """The evaluations in MLflow that can be read, by id."""
        found = {}
        for run in self._runs():
            with suppress(KeyError, ValueError, TypeError):  # its tags were changed: `differences` tells
                found[run.info.run_id] = _evaluation(run)
        return found

    def _keep(self, evaluation: TestEvaluation) -> None:
        """Writes a begun evaluation into the store's file."""
        ledger_file.begin(self._file, evaluation.run_id, asdict(evaluation), public_uri(self._store))
        with reaching(self._uri):
            self._client.set_tag(evaluation.run_id, IN_FILE, "true")

    def _readable_result(self, evaluation: TestEvaluation) -> Mapping[str, Any] | None:
        try:
            return self.result(evaluation)
        except SweeperError:
            return None


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
        models=from_text(dict[str, str], tags["sweeper.models"], "models"),
        networks=from_text(dict[str, str], tags["sweeper.networks"], "networks"),
        command=tags["sweeper.command"],
        time=tags["sweeper.time"],
        complete=tags["sweeper.state"] == State.COMPLETE,
        deleted=run.info.lifecycle_stage == "deleted",
    )
