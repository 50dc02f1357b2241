"""What killed commands have left in a store: found, and deleted while nobody works in the store."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from mlflow.entities import LoggedModelStatus
from mlflow.store.artifact import local_artifact_repo
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.tracking.client import database_exists
from sweeper.tracking.places import MODEL_ID

# Networks are exported in folders of such names.
EXPORT = ".export-"
# This tag of a logged model says that sweeper has made it, for which training.
IDENTITY = "sweeper.identity"
# MLflow writes a file under such a name first. If a release calls it otherwise, these files are left alone.
_UPLOAD = getattr(local_artifact_repo, "_TEMP_ARTIFACT_PREFIX", ".artifact.uploading.")
# Another program may write artifacts, too: so long has none of them been written to.
SETTLED_SECONDS = 600.0


def find(store: Store) -> list[Path]:
    """What only a killed command can have left in the store, or one that still works.

    That is exported networks, half-written artifacts, and the files of models of sweeper's that were never complete and
    that no registered version names. Raises SweeperError and SQLAlchemy's errors.
    """
    found = list(store.root.glob(f"{EXPORT}*"))
    if store.embedded_tracking and store.artifacts.exists():
        settled = time.time() - SETTLED_SECONDS
        found += [path for path in store.artifacts.rglob(f"{_UPLOAD}*") if path.lstat().st_mtime < settled]
        if folders := [path for path in store.artifacts.glob("*/models/*") if MODEL_ID.fullmatch(path.name)]:
            incomplete = _incomplete_models(store)
            found += [path for path in folders if path.name in incomplete]
    return sorted(path for path in found if path.resolve().is_relative_to(store.root.resolve()))


def sweep(store: Store) -> None:
    """Deletes what killed commands have left, unless another command works in the store."""
    # Whatever is wrong with the store, the command that is about to begin meets it, too, and says so.
    with suppress(SweeperError, SQLAlchemyError, OSError):
        # Many artifacts take long to look through, and no other command can begin while owners are kept out.
        if not find(store):
            return
        with store.unowned():
            for path in find(store):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _incomplete_models(store: Store) -> set[str]:
    """The ids of sweeper's models that MLflow does not have as ready, and that no registered version names.

    A model that MLflow does not know at all is kept: its database may have been lost.
    """
    if not database_exists(store):
        return set()
    url, ready = store.tracking_uri, LoggedModelStatus.READY.to_int()
    ours = {model for model, key in databases.rows(url, "logged_model_tags", "model_id", "tag_key") if key == IDENTITY}
    incomplete = {
        model
        for model, status in databases.rows(url, "logged_models", "model_id", "status")
        if model in ours and status != ready
    }
    sources = " ".join(
        str(place) for row in databases.rows(url, "model_versions", "source", "storage_location") for place in row
    )
    return {model for model in incomplete if model not in sources}
