"""Delivering what earlier commands could not: the spools that are left in a store."""

from collections.abc import Callable
from dataclasses import dataclass

from sweeper.errors import SweeperError
from sweeper.store import Store
from sweeper.tracking.client import connect, reaching
from sweeper.tracking.delivery import Delivery, children_of
from sweeper.tracking.spool import Spool


@dataclass(frozen=True)
class Synced:
    """What became of one spool: writes delivered, and the reasons of those that still wait."""

    study: str
    kind: str
    delivered: int
    undelivered: list[str]


def sync(store: Store, study: str | None, notify: Callable[[str], None]) -> list[Synced]:
    """Delivers what waits for MLflow, of one study or (None) of all; a study that is being run does so itself.

    Raises SweeperError when MLflow cannot be used, or knows nothing of the study.
    """
    results = []
    for path in sorted(store.spools.glob("*.db")):
        name = path.stem.rsplit("-", 2)[0]
        if study not in (None, name):
            continue
        if store.owner(name) is not None:
            notify(f"{name} is being run: its own process delivers what it writes")
            continue
        with store.owning(name):
            result = _deliver(store, name, Spool(path), notify)
        if result.delivered or result.undelivered:
            results.append(result)
    return results


def _deliver(store: Store, study: str, spool: Spool, notify: Callable[[str], None]) -> Synced:
    waiting = len(spool)
    if not waiting:
        spool.close()
        return Synced(study, "", 0, [])
    try:
        target = spool.target
        client = connect(store)
        with reaching(store.tracking_uri):
            client.get_run(target.run_id)
            run_ids = {key: run.info.run_id for key, run in children_of(client, target).items()}
    except SweeperError:
        spool.close()
        raise
    undelivered = Delivery(client, store.tracking_uri, spool, run_ids, notify).close()
    return Synced(study, target.kind, waiting - len(undelivered), undelivered)
