"""Adopts a store that was moved or copied: its runs and models get the place where it lies now."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.store import databases, identity
from sweeper.store.identity import Identity
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
    """The places to which the store belonged before, and how many addresses of runs and models were changed.

    A store that is a `copy` has an id of its own from now on; one that was moved keeps its id.
    """

    store: Path
    before: tuple[Path, ...]
    n_changed: int
    copy: bool = False


def adopt(store: Store, copied: bool | None = None) -> Adoption:
    """Makes the store one of the place where it lies now; changes nothing elsewhere.

    Every address in its database that lies in its earlier place changes, all of them together or none, and then its
    identity: an interrupted adoption can be repeated. A copy has the studies and test evaluations of its original, and
    from now on its own files, and no runs on servers in common with it. With None as `copied`, the store is a copy if
    its earlier place still has a store. Raises SweeperError while a process runs a study of the store, and UsageError
    if neither its studies nor its runs are in it.
    """
    if not store.embedded_tracking and not store.embedded_storage:
        raise UsageError("neither studies nor runs are in the store: nothing belongs to its place (--store)")
    if not store.root.exists():
        return Adoption(store.root, (), 0)
    store.prepare()
    with store.unowned():
        changed, before = 0, set[Path]()
        if store.embedded_tracking and (store.root / "mlflow.db").exists():
            check_database(store)
            with reaching(store.tracking_uri), databases.transaction(store.tracking_uri) as connection:
                changed, before = _rewrite(connection, store)
        known = identity.of(store.root)
        if known is not None and identity.is_elsewhere(known, store.root):
            before.add(Path(known.root))
        if copied is None:
            copied = any(_is_original(place, known) for place in before)
        # Last: until then, the store belongs to its earlier place.
        if before or copied:
            identity.record(store.root, known.id if known is not None and not copied else None)
    return Adoption(store.root, tuple(sorted(before)), changed, copied)


def _is_original(place: Path, known: Identity | None) -> bool:
    """Whether the store's earlier place still has that store: an older sweeper has left no identity in it."""
    if not any((place / name).exists() for name in ("optuna.db", "mlflow.db")):
        return False
    there = identity.of(place)
    return known is None or there is None or there.id == known.id


def _rewrite(connection: Connection, store: Store) -> tuple[int, set[Path]]:
    """Changes the addresses; returns how many, and the places to which they belonged."""
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
    return changed, set(before.values())


def _check(connection: Connection, here: str) -> None:
    """Raises SweeperError if a run or model of an experiment in the store keeps its files elsewhere."""
    for kind, table, key, column in (
        ("run", "runs", "run_uuid", "artifact_uri"),
        ("model", "logged_models", "model_id", "artifact_location"),
    ):
        query = (
            f"SELECT {key}, {column} FROM {table} WHERE experiment_id IN (SELECT experiment_id FROM experiments "
            f"WHERE substr(artifact_location, 1, length(:here) + 1) = :here || '/') "
            f"AND substr({column}, 1, length(:here) + 1) <> :here || '/'"
        )
        for found, address in connection.execute(text(query), {"here": here}):
            raise SweeperError(
                f"the store cannot be adopted: its {kind} {plain(found)} keeps its files at "
                f"{plain(address)}, which is not in the store's earlier place; nothing was changed"
            )
