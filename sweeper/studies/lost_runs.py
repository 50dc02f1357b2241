"""Finds the studies whose runs MLflow's database in the store has lost: it was deleted, emptied or replaced."""

import json
import shlex
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.studies.attributes import RUN_ID, STUDY_ID
from sweeper.studies.storage import check_database
from sweeper.tracking.outbox import dropped_in
from sweeper.tracking.run_ids import run_ids

# A study's attribute: where its runs are, IN_STORE or the address of MLflow.
TRACKING, IN_STORE = "tracking", "store"


def lost_runs(store: Store) -> dict[str, int]:
    """How many runs each such study had, by its name. Nothing is written. Raises SweeperError.

    Only for databases in the store: on a server, the studies and runs of other stores may come and go.
    """
    if not (store.embedded_storage and store.embedded_tracking) or not check_database(store):
        return {}
    present = run_ids(store)
    if present is None:
        return {}
    try:
        by_study = _attributes(store)
    except (SQLAlchemyError, ValueError):  # damaged: whoever reads the studies says so
        return {}
    found = {}
    for name, attributes in by_study.items():
        runs = {value for key, value in attributes.items() if key.startswith(f"{RUN_ID}:") and is_id(value)}
        if runs and not runs & present and _were_in_store(store, attributes.get(TRACKING), runs):
            found[name] = len(runs - _given_up(store, name, attributes.get(STUDY_ID)))
    return {name: n_runs for name, n_runs in found.items() if n_runs}


def check(store: Store, study: str | None) -> None:
    """Raises SweeperError if the runs of this study are lost, or a new database would hide that another's are."""
    lost = lost_runs(store)
    if study in lost or (lost and not run_ids(store)):
        name = study if study in lost else next(iter(lost))
        raise SweeperError(f"{told(store, name, lost[name])}")


def told(store: Store, study: str, n_runs: int) -> str:
    """What is lost, and what to do about it."""
    runs = f"the run of 1 trial of study {study}" if n_runs == 1 else f"the runs of {n_runs} trials of study {study}"
    command = shlex.join(["sweeper", "sync", study, "--rebuild", "--store", str(store.root)])
    return (
        f"{store.root / 'mlflow.db'} does not have {runs}: put the file back from a backup, or `{command}` makes them "
        "again from the study's own records"
    )


def _attributes(store: Store) -> dict[str, dict[str, Any]]:
    """The attributes of each study that say where its runs are, by the study's name."""
    names = dict(databases.rows(store.storage, "studies", "study_id", "study_name"))
    found: dict[str, dict[str, Any]] = {name: {} for name in names.values()}
    for study, key, value in databases.rows(store.storage, "study_user_attributes", "study_id", "key", "value_json"):
        if study in names and (key in (TRACKING, STUDY_ID) or key.startswith(f"{RUN_ID}:")):
            found[names[study]][key] = json.loads(value)
    return found


def _given_up(store: Store, study: str, study_id: Any) -> set[str]:
    """The runs that were deleted in MLflow, and that the study does without."""
    with suppress(SweeperError):  # whoever delivers the study's writes says that they cannot be read
        return dropped_in(store.outbox(study, str(study_id), "study"))
    return set()


def _were_in_store(store: Store, tracking: str | None, runs: set[str]) -> bool:
    """Whether the runs were in the store's own database; an older sweeper wrote only their folders."""
    if tracking is not None:
        return bool(tracking == IN_STORE)
    return any(folder.name in runs for folder in store.artifacts.glob("*/*"))
