"""Adopts a store that was moved or copied: its runs and models get the place where it lies now."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.tracking.client import check_database, reaching
from sweeper.tracking.places import home

# Where MLflow keeps absolute addresses.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# sweeper's experiments: those of other programs in this database stay as they are.
_OURS = """
SELECT name, artifact_location FROM experiments AS e
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = e.experiment_id)
   OR EXISTS (SELECT 1 FROM runs JOIN tags USING (run_uuid)
              WHERE runs.experiment_id = e.experiment_id AND tags.key = 'sweeper.kind')
"""


@dataclass(frozen=True)
class Adoption:
    """The places to which the store's runs belonged before, and how many addresses were changed."""

    store: Path
    before: tuple[Path, ...]
    n_changed: int


def adopt(store: Store) -> Adoption:
    """Changes every address in the store's database that lies in its earlier place; changes nothing elsewhere.

    All of them change together or none, so an interrupted adoption can be repeated. A copy has the studies and test
    evaluations of its original, and from now on its own files. Raises SweeperError while a process runs a study of
    the store, and UsageError if the runs are not in it.
    """
    if not store.embedded_tracking:
        raise UsageError("the runs are not in the store, and their server looks after their files (--tracking-uri)")
    if not (store.root / "mlflow.db").exists():
        return Adoption(store.root, (), 0)
    store.prepare()
    check_database(store)
    with store.unowned(), reaching(store.tracking_uri), databases.transaction(store.tracking_uri) as connection:
        return _rewrite(connection, store)


def _rewrite(connection: Connection, store: Store) -> Adoption:
    here, changed = store.artifacts.as_uri(), 0
    before: dict[str, Path] = {}
    for name, location in connection.execute(text(_OURS)):
        place = home(name, location)
        if place is not None and place.resolve() != store.root.resolve():
            before[location.rpartition("/")[0]] = place
    for old in before:
        for table, column in _ADDRESSES:
            # Not LIKE: a place may have percent signs and underscores.
            update = (
                f"UPDATE {table} SET {column} = :here || substr({column}, length(:old) + 1) "
                f"WHERE substr({column}, 1, length(:old) + 1) = :old || '/'"
            )
            changed += connection.execute(text(update), {"here": here, "old": old}).rowcount
    if before:
        _check(connection, here)
    return Adoption(store.root, tuple(sorted(set(before.values()))), changed)


def _check(connection: Connection, here: str) -> None:
    """Raises SweeperError if a run or model of an experiment in the store keeps its files elsewhere."""
    for kind, table, identity, column in (
        ("run", "runs", "run_uuid", "artifact_uri"),
        ("model", "logged_models", "model_id", "artifact_location"),
    ):
        query = (
            f"SELECT {identity}, {column} FROM {table} WHERE experiment_id IN (SELECT experiment_id FROM experiments "
            f"WHERE substr(artifact_location, 1, length(:here) + 1) = :here || '/') "
            f"AND substr({column}, 1, length(:here) + 1) <> :here || '/'"
        )
        for found, address in connection.execute(text(query), {"here": here}):
            raise SweeperError(
                f"the store cannot be adopted: its {kind} {plain(str(found))} keeps its files at "
                f"{plain(str(address))}, which is not in the store's earlier place; nothing was changed"
            )
