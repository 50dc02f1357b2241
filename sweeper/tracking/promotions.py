"""Reads and writes what a study's promotion has found, in the promotion's run in MLflow."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.events import State
from sweeper.store.layout import Store
from sweeper.store.stored_values import from_text
from sweeper.tracking.client import check_database, connect, reaching, search_runs
from sweeper.tracking.names import experiments_of
from sweeper.tracking.places import check_experiment

# The options that decide what is found, by name, with their types; the run has a tag for each.
OPTIONS: Mapping[str, Callable[[str], Any]] = {"top": int, "seeds": int, "prefer": str}
# What was found before the test evaluation, from which a promotion is shown, and what the command printed at its end.
FOUND, PRINTED = "found.json", "promotion.json"


@dataclass(frozen=True)
class RecordedPromotion:
    """A promotion's run and what was found. An older sweeper has recorded only what it printed, tests included."""

    run_id: str
    text: str
    tags: Mapping[str, str]
    is_printed: bool

    def content(self) -> dict[str, Any]:
        """What was found, as plain data. Raises ValueError if it cannot be read."""
        found: dict[str, Any] = from_text(dict[str, Any], self.text, "promotion")
        return _options(self.tags) | found


def find(store: Store, dataset: str, data_sha256: str, study_id: str) -> RecordedPromotion | None:
    """The recorded promotion of a study of these data; None if there is none. Creates no database.

    Raises SweeperError if MLflow cannot be used.
    """
    if not check_database(store):
        return None
    client = connect(store)
    query = f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = 'promotion'"
    with reaching(store.tracking_uri):
        for experiment in experiments_of(client, dataset, data_sha256):
            check_experiment(experiment, store)
            for run in search_runs(client, experiment.experiment_id, query):
                run_id = str(run.info.run_id)
                files = {file.path for file in client.list_artifacts(run_id)}
                for name in (FOUND, PRINTED):
                    if name in files:
                        text = Path(client.download_artifacts(run_id, name)).read_text(encoding="utf-8")
                        return RecordedPromotion(run_id, text, run.data.tags, name == PRINTED)
    return None


def end_killed(store: Store, run_id: str) -> None:
    """Ends a recorded promotion's run if the command was killed before it did. Raises SweeperError if MLflow fails."""
    client = connect(store)
    with reaching(store.tracking_uri):
        if client.get_run(run_id).info.status == "RUNNING":
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
