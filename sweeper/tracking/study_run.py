"""The run of a study in MLflow, for commands that read what the search has logged there or add a file to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.store.layout import Store
from sweeper.tracking.client import connect, database_exists, reaching
from sweeper.tracking.copies import check_run_of_store
from sweeper.tracking.parent_run import ParentRuns
from sweeper.tracking.places import check_experiment


@dataclass(frozen=True)
class StudyRun:
    """A study's run: its id, its parameters, and the texts of those of its files that were asked for, by name."""

    run_id: str
    params: Mapping[str, str]
    texts: Mapping[str, str]


def read(store: Store, dataset: str, data_sha256: str, study_id: str, files: Sequence[str] = ()) -> StudyRun | None:
    """The study's run with its `files`, as far as it has them; None if MLflow has no run of it.

    Raises SweeperError if MLflow cannot be used, or the run belongs to a store of which this one is a copy.
    """
    if not database_exists(store):
        return None
    client = connect(store)
    with reaching(store.tracking_uri):
        for parent in ParentRuns(client, dataset, data_sha256, study_id).find("study"):
            if parent.deleted or parent.run is None:
                continue
            check_run_of_store(store, parent.run)
            check_experiment(client.get_experiment(parent.experiment_id), store)
            present = {file.path for file in client.list_artifacts(parent.run_id)}
            texts = {
                name: Path(client.download_artifacts(parent.run_id, name)).read_text(encoding="utf-8", errors="replace")
                for name in files
                if name in present
            }
            return StudyRun(parent.run_id, parent.run.data.params, texts)
    return None


def add_file(store: Store, run_id: str, path: Path, folder: str) -> None:
    """Puts a file into a folder of the run's artifacts, in place of an earlier one of its name.

    Raises SweeperError if MLflow cannot be used, or cannot keep the file.
    """
    with reaching(store.tracking_uri):
        connect(store).log_artifact(run_id, str(path), folder)
