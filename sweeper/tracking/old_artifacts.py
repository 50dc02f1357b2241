"""Moves the artifacts of a run that MLflow no longer has to the run that takes its place."""

import os
from pathlib import Path

from mlflow.utils.file_utils import local_file_uri_to_path

from sweeper.store.layout import Store
from sweeper.tracking.client import connect, reaching


def move(store: Store, old: str, new: str) -> bool:
    """Moves the folder of the lost run `old` to that of the run `new`; False if there is none, or `new` has one."""
    found = list(store.artifacts.glob(f"*/{old}"))
    with reaching(store.tracking_uri):
        uri = connect(store).get_run(new).info.artifact_uri
        assert uri is not None
        place = Path(local_file_uri_to_path(uri)).parent
        if not found or place.exists():
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found[0], place)
    return True
