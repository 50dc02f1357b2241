"""Finds the studies whose runs MLflow's database in the store has lost: it was deleted, emptied or replaced."""

import json
import shlex
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError
from sweeper.quantities import counted
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.studies.attributes import RUN_ID, STUDY_ID
from sweeper.studies.storage import database_exists
from sweeper.tracking.outbox import Outbox, dropped_in
from sweeper.tracking.run_ids import has_runs_table, run_ids

# A study's attribute: where its runs are, IN_STORE or the address of MLflow.
TRACKING, IN_STORE = "tracking", "store"


def lost_runs(store: Store) -> dict[str, int]:
    """How many runs each such study had, by its name. Nothing is written. Raises SweeperError.

    Runs that a study was told to do without are not lost. Only for databases in the store: on a server, the studies
    and runs of other stores may come and go.
    """
    return {name: len(runs) for name, (_, runs) in _lost(store).items()}


def _lost(store: Store) -> dict[str, tuple[str, set[str]]]:
    """The id and the lost runs of each such study, by its name."""
    if not (store.embedded_storage and store.embedded_tracking) or not database_exists(store):
        return {}
    present = run_ids(store)
    if present is None:
        return {}
    try:
        by_study = _attributes(store)
    except (SQLAlchemyError, ValueError, RecursionError):  # damaged: whoever reads the studies says so
        return {}
    found: dict[str, tuple[str, set[str]]] = {}
    for name, attributes in by_study.items():
        runs = {value for key, value in attributes.items() if key.startswith(f"{RUN_ID}:") and is_id(value)}
        study_id = attributes.get(STUDY_ID)
        if not runs or runs & present or not is_id(study_id):
            continue
        if _were_in_store(store, attributes.get(TRACKING), runs) and (runs := runs - _given_up(store, name, study_id)):
            found[name] = study_id, runs
    return found


def check(store: Store, study: str | None) -> None:
    """Raises SweeperError if the runs of this study are lost, or a new database would hide that another's are."""
    lost = lost_runs(store)
    if study in lost or (lost and not run_ids(store)):
        name = study if study in lost else next(iter(lost))
        raise SweeperError(f"{told(store, name, lost[name])}")


def told(store: Store, study: str, n_runs: int) -> str:
    """What is lost, and what to do about it."""
    runs = f"{'the run' if n_runs == 1 else 'the runs'} of {counted(n_runs, 'trial')} of study {study}"
    # An emptied database cannot be told from one in which everything was deleted for good.
    rebuild, drop = (
        shlex.join(["sweeper", "sync", study, option, "--store", str(store.root)])
        for option in ("--rebuild", "--drop-deleted")
    )
    without = f"; if they were deleted there for good, `{drop}` goes on without them" if has_runs_table(store) else ""
    return (
        f"{store.root / 'mlflow.db'} does not have {runs}: put the file back from a backup, or `{rebuild}` makes them "
        f"again from the study's own records{without}"
    )


def give_up(store: Store, study: str) -> int:
    """Has a study go on without its lost runs, because they were deleted in MLflow for good; returns their number.

    Does nothing unless MLflow's tables are there. Raises SweeperError.
    """
    if study not in _lost(store) or not has_runs_table(store):
        return 0
    with store.owning(study):
        study_id, runs = _lost(store).get(study, ("", set()))
        if runs:
            outbox = Outbox(store.outbox(study, study_id, "study"))
            outbox.give_up(runs)
            outbox.close()
    return len(runs)


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
