"""Where runs and models keep their files: in a store, always below it; on this machine, in a folder of their own.

MLflow reads, writes and deletes wherever its database or server says, and that could be any folder of the user's.
"""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.entities import Experiment, LoggedModel, Run
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from sweeper.errors import SweeperError, plain
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.store.redaction import redact

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
# Hosts of a server that is on this machine, and may make its folders later.
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Tables of MLflow whose rows have files: the columns of their ids and of their places.
_TABLES = {"run": ("runs", "run_uuid", "artifact_uri"), "model": ("logged_models", "model_id", "artifact_location")}


def check_experiment(experiment: Experiment, store: Store) -> None:
    """Raises SweeperError if the files of an experiment, or of its runs and models, lie outside this store.

    MLflow keeps absolute addresses: in a moved store it would create the old folder again, and write there. Where the
    files of runs on a server lie is the server's matter, unless it has clients write to a folder that is on another
    machine: they would create one of that name here.
    """
    if store.embedded_tracking:
        _check_location(experiment.name, experiment.artifact_location, store)
        _check_rows(store, experiment.experiment_id)
    elif urlsplit(store.tracking_uri).hostname not in (None, *LOOPBACK):
        place = local_path(experiment.artifact_location)
        if place is not None and not place.parent.exists():
            raise SweeperError(
                f"MLflow at {redact(store.tracking_uri)} keeps the files of experiment {plain(experiment.name)} in "
                f"{plain(place)}, a folder that this machine does not have: start the server with "
                "--artifacts-destination for a new experiment, or run the command where the folder is"
            )


def check_moved(store: Store) -> None:
    """Raises SweeperError if sweeper's experiments in the store's own database belong to another place."""
    for name, location in databases.rows(store.tracking_uri, "experiments", "name", "artifact_location"):
        # Experiments of other programs in this database may keep their artifacts anywhere.
        if store.embedded_tracking and home(name, location) is not None:
            _check_location(name, location, store)


def check_shown(store: Store) -> None:
    """Raises SweeperError if any run or model in the store's own database, whoever made it, has its files elsewhere."""
    check_moved(store)
    _check_rows(store, None)


def check_run(run: Run) -> Run:
    """Returns the run; raises SweeperError if its files lie on this machine, but in no folder of its own."""
    run_id, place = str(run.info.run_id), local_path(run.info.artifact_uri or "")
    if not is_id(run_id) or (place is not None and place.parts[-2:] != (run_id, "artifacts")):
        raise _stray("run", run_id, run.info.artifact_uri)
    return run


def check_models(models: Iterable[LoggedModel]) -> list[LoggedModel]:
    """The logged models; raises SweeperError as `check_run` does."""
    found = list(models)
    for model in found:
        place, own = local_path(model.artifact_location), ("models", model.model_id, "artifacts")
        if not MODEL_ID.fullmatch(model.model_id) or (place is not None and place.parts[-3:] != own):
            raise _stray("model", model.model_id, model.artifact_location)
    return found


def home(name: str, location: str | None) -> Path | None:
    """The store for which sweeper made an experiment with this artifact location; None if it did not make it."""
    place = local_path(location or "")
    return place.parent.parent if place is not None and place.parts[-2:] == ("artifacts", name) else None


def local_path(address: str) -> Path | None:
    """The path of an address of this machine, without `..`; None for an address elsewhere."""
    return Path(os.path.normpath(local_file_uri_to_path(address))) if is_local_uri(address) else None


def _check_location(name: str, location: str, store: Store) -> None:
    place, old = local_path(location), home(name, location)
    if place is not None and place.resolve().is_relative_to(store.artifacts.resolve()):
        return
    if old is None:
        raise SweeperError(
            f"the files of experiment {plain(name)} must lie in the store {store.root}, got {plain(location)}: sweeper "
            "has not made it; take another store"
        )
    raise SweeperError(
        f"the store {store.root} was moved or copied: the artifacts of its runs belong to {plain(old)}; "
        f"`sweeper store adopt --store {shlex.quote(str(store.root))}` makes it a store of its own"
    )


def _check_rows(store: Store, experiment: str | None) -> None:
    """Raises SweeperError for a run or model of the experiment, or (None) of all, whose files are not in the store."""
    locations: dict[str, Path | None] = {
        str(key): local_path(location or "")
        for key, location in databases.rows(store.tracking_uri, "experiments", "experiment_id", "artifact_location")
    }
    inside = {
        key: place
        for key, place in locations.items()
        if place is not None and place.resolve().is_relative_to(store.artifacts.resolve())
    }
    for kind, (table, identity, column) in _TABLES.items():
        for key, found, address in databases.rows(store.tracking_uri, table, "experiment_id", identity, column):
            if experiment not in (None, str(key)):
                continue
            place, folder = local_path(address or ""), inside.get(str(key))
            if place is None or folder is None or not place.is_relative_to(folder):
                raise _stray(kind, found, address)


def _stray(kind: str, identity: str, address: str | None) -> SweeperError:
    return SweeperError(
        f"MLflow's {kind} {plain(identity)} keeps its files at {plain(address or 'no place')}, which is no folder of a "
        f"{kind} of sweeper's: nothing is read, written or deleted there; put MLflow's database back from a backup, or "
        "take another"
    )
