"""Reads and writes what a study's promotion and its ablation have found, each in its own run in MLflow."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from sweeper.events import State
from sweeper.store.layout import Store
from sweeper.store.stored_values import from_text
from sweeper.tracking.client import connect, database_exists, reaching, search_runs
from sweeper.tracking.names import experiments_of
from sweeper.tracking.places import check_experiment

# The options that decide what is found, by name, with their types; the run has a tag for each.
OPTIONS: Mapping[str, Callable[[str], Any]] = {"top": int, "seeds": int, "prefer": str}
# What was found before the test evaluation, from which a promotion is shown, and what the command printed at its end.
FOUND, PRINTED = "found.json", "promotion.json"
# The tag of a promotion anew: the time of the earlier one, whose record it replaces when it is complete.
REPLACES = "sweeper.replaces"
# What an ablation has found.
ABLATION = "ablation.json"


@dataclass(frozen=True)
class RecordedPromotion:
    """A promotion's run and what was found. An older sweeper has recorded only what it printed, tests included.

    `status` is MLflow's of the run, which an interrupted or failed command on the promotion leaves unfinished.
    """

    run_id: str
    text: str
    tags: Mapping[str, str]
    is_printed: bool
    status: str

    def content(self) -> dict[str, Any]:
        """What was found, as plain data. Raises ValueError if it cannot be read."""
        found: dict[str, Any] = from_text(dict[str, Any], self.text, "promotion")
        return _options(self.tags) | found


def find(store: Store, dataset: str, data_sha256: str, study_id: str) -> RecordedPromotion | None:
    """The recorded promotion of a study of these data; None if there is none. Creates no database.

    Raises SweeperError if MLflow cannot be used.
    """
    for run, name, text in _texts(store, dataset, data_sha256, study_id, "promotion", (FOUND, PRINTED)):
        return RecordedPromotion(run.info.run_id, text, run.data.tags, name == PRINTED, run.info.status)
    return None


def unfinished(store: Store, dataset: str, data_sha256: str, study_id: str) -> str | None:
    """The command of the study's promotion that has not finished; None if there is none. Like `find`."""
    for _, run in _runs(store, dataset, data_sha256, study_id, "promotion"):
        if run.info.status != "FINISHED":
            return str(run.data.tags.get("sweeper.command", ""))
    return None


def printed(store: Store, run_id: str) -> dict[str, Any] | None:
    """What a promotion's command has recorded as its last step; None if that cannot be read, or is not there.

    Raises SweeperError if MLflow cannot be used.
    """
    client = connect(store)
    with reaching(store.tracking_uri), suppress(ValueError):
        if PRINTED in {file.path for file in client.list_artifacts(run_id)}:
            text = Path(client.download_artifacts(run_id, PRINTED)).read_text(encoding="utf-8")
            found: dict[str, Any] = from_text(dict[str, Any], text, "promotion")
            return found
    return None


def find_ablation(store: Store, dataset: str, data_sha256: str, study_id: str) -> tuple[str, str] | None:
    """The run and the text of a study's recorded ablation, like `find`."""
    for run, _, text in _texts(store, dataset, data_sha256, study_id, "ablation", (ABLATION,)):
        return run.info.run_id, text
    return None


def _texts(
    store: Store, dataset: str, data_sha256: str, study_id: str, kind: str, names: Sequence[str]
) -> Iterator[tuple[Run, str, str]]:
    """The artifacts of these names of the study's runs of this kind: the run, the name, and the text."""
    for client, run in _runs(store, dataset, data_sha256, study_id, kind):
        run_id = str(run.info.run_id)
        files = {file.path for file in client.list_artifacts(run_id)}
        for name in names:
            if name in files:
                yield run, name, Path(client.download_artifacts(run_id, name)).read_text(encoding="utf-8")


def _runs(store: Store, dataset: str, data_sha256: str, study_id: str, kind: str) -> Iterator[tuple[MlflowClient, Run]]:
    """The study's runs of this kind, each with the client that has found it."""
    if not database_exists(store):
        return
    client = connect(store)
    query = f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = '{kind}'"
    with reaching(store.tracking_uri):
        for experiment in experiments_of(client, dataset, data_sha256):
            check_experiment(experiment, store)
            for run in search_runs(client, experiment.experiment_id, query):
                yield client, run


def is_running(store: Store, run_id: str) -> bool:
    """Whether the run is running in MLflow: a command works on it, or was killed. Raises SweeperError if that fails."""
    client = connect(store)
    with reaching(store.tracking_uri):
        return bool(client.get_run(run_id).info.status == "RUNNING")


def end(store: Store, run_id: str) -> None:
    """Ends the run of a recorded promotion or ablation as complete. Raises SweeperError if MLflow fails."""
    client = connect(store)
    with reaching(store.tracking_uri):
        client.set_tag(run_id, "sweeper.state", str(State.COMPLETE))
        client.set_terminated(run_id, "FINISHED")


def record(store: Store, run_id: str, name: str, content: Mapping[str, Any]) -> None:
    """Writes FOUND or PRINTED again. Raises SweeperError if MLflow cannot be used."""
    with reaching(store.tracking_uri):
        connect(store).log_text(run_id, json.dumps(content, indent=2), name)


def _options(tags: Mapping[str, str]) -> dict[str, Any]:
    """The options of a promotion by an older sweeper, which has recorded them in tags only."""
    return {
        "options": {name: read(tags[f"sweeper.{name}"]) for name, read in OPTIONS.items() if f"sweeper.{name}" in tags}
    }
