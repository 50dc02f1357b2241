"""Files about a trained network, kept with its run."""

from collections.abc import Sequence
from pathlib import Path

from sweeper.store.layout import Store
from sweeper.tracking import confirmation
from sweeper.tracking.client import is_server, reaching
from sweeper.tracking.places import check_experiment
from sweeper.tracking.weights import run_of


def log_files(store: Store, run_id: str, files: Sequence[Path], folder: str, option: str) -> None:
    """Logs the files to a folder of a run; those of the same names are replaced.

    Raises UsageError, naming the option, if the run does not exist, and SweeperError if MLflow cannot be used.
    """
    client, run = run_of(store, run_id, option)
    with reaching(store.tracking_uri):
        check_experiment(client.get_experiment(run.info.experiment_id), store)
        for file in files:
            client.log_artifact(run_id, str(file), folder)
        if is_server(store):
            sizes = {f"{folder}/{file.name}": file.stat().st_size for file in files}
            confirmation.check_files(client, run_id, sizes)
