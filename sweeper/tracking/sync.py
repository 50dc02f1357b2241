"""Delivers the writes that earlier commands left in a store's outboxes."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.tracking.client import check_place, connect, reaching
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.outbox_worker import CLOSING_SECONDS, OutboxWorker
from sweeper.tracking.patience import Patience
from sweeper.tracking.run_writer import children_of


@dataclass(frozen=True)
class Synced:
    """The result for one outbox: how many writes were delivered, and why each of the others was not.

    `error` says why the whole outbox could not be delivered, or is empty.
    """

    study: str
    kind: str
    delivered: int
    undelivered: list[str]
    error: str = ""


def sync(store: Store, study: str | None, notify: Callable[[str], None]) -> list[Synced]:
    """Delivers the waiting writes of one study or (None) of all; skips running studies, which deliver their own."""
    results = []
    for path in sorted(store.outboxes.glob("*.db")):
        name, _, kind = path.stem.rsplit("-", 2)
        if study not in (None, name):
            continue
        if store.owner(name) is not None:
            notify(f"{name} is being run: its own process delivers its writes")
            continue
        try:
            with store.owning(name):
                result = _deliver(store, name, kind, path, notify)
        except SweeperError as error:
            result = Synced(name, kind, 0, [], str(error))
        if result.delivered or result.undelivered or result.error:
            results.append(result)
    return results


def _deliver(store: Store, study: str, kind: str, path: Path, notify: Callable[[str], None]) -> Synced:
    outbox = Outbox(path)
    waiting = len(outbox.undelivered())
    if not len(outbox):
        outbox.close()
        return Synced(study, kind, 0, [])
    try:
        target = outbox.target
        client = connect(store)
        with reaching(store.tracking_uri):
            check_place(client.get_experiment(target.experiment_id).artifact_location, store)
            client.get_run(target.run_id)
            run_ids = {key: run.info.run_id for key, run in children_of(client, target).items()}
    except SweeperError:
        outbox.close()
        raise
    # `sync` has nothing else to do: it waits as long as MLflow accepts writes.
    worker = OutboxWorker(client, store, outbox, run_ids, notify)
    undelivered = worker.close(Patience(CLOSING_SECONDS, inf))
    return Synced(study, kind, waiting - len(undelivered), undelivered)
