"""Delivers the writes that earlier commands left in a store's outboxes."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.tracking import deletions
from sweeper.tracking.client import check_place, connect, public_uri, reaching
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.outbox_worker import CLOSING_SECONDS, OutboxWorker
from sweeper.tracking.patience import Patience
from sweeper.tracking.run_writer import children_of


@dataclass(frozen=True)
class Synced:
    """The result for one outbox: how many writes were delivered, and why each of the others was not.

    `error` says why the whole outbox could not be delivered, or is empty. `dropped` counts the writes that were given
    up, because their runs were deleted in MLflow.
    """

    study: str
    kind: str
    delivered: int
    undelivered: list[str]
    error: str = ""
    dropped: int = 0


def sync(store: Store, study: str | None, notify: Callable[[str], None], *, drop_deleted: bool = False) -> list[Synced]:
    """Delivers the waiting writes of one study or (None) of all; skips running studies, which deliver their own.

    With `drop_deleted`, the writes of runs that were deleted in MLflow are given up, and so are the local files that
    wait for them; the studies go on without these runs.
    """
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
                result = _deliver(store, name, kind, path, notify, drop_deleted=drop_deleted)
        except SweeperError as error:
            result = Synced(name, kind, 0, [], str(error))
        if result.delivered or result.undelivered or result.error or result.dropped:
            results.append(result)
    return results


def _deliver(
    store: Store, study: str, kind: str, path: Path, notify: Callable[[str], None], *, drop_deleted: bool
) -> Synced:
    outbox = Outbox(path)
    waiting = len(outbox.undelivered())
    if not len(outbox):
        outbox.close()
        return Synced(study, kind, 0, [])
    try:
        target = outbox.target
        if drop_deleted and target.uri is not None and target.uri != public_uri(store):
            raise SweeperError(
                f"the writes wait for MLflow at {target.uri or 'the store itself'}, not at {public_uri(store)}: "
                "nothing was dropped"
            )
        client = connect(store)
        with reaching(store.tracking_uri):
            if not deletions.of_experiment(client, target.experiment_id, target.data_name):
                check_place(client.get_experiment(target.experiment_id).artifact_location, store)
            run_ids = {key: run.info.run_id for key, run in children_of(client, target, outbox.dropped()).items()}
    except SweeperError:
        outbox.close()
        raise
    # `sync` has nothing else to do: it waits as long as MLflow accepts writes.
    worker = OutboxWorker(client, store, outbox, run_ids, notify, drop_deleted=drop_deleted)
    undelivered = worker.close(Patience(CLOSING_SECONDS, inf))
    n_delivered = waiting - len(undelivered) - worker.n_dropped
    return Synced(study, kind, n_delivered, undelivered, dropped=worker.n_dropped)
