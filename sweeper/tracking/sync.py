"""Delivers the writes that earlier commands left in a store's outboxes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from sweeper.errors import SweeperError, plain
from sweeper.store.layout import Store
from sweeper.store.names import STUDY_NAME
from sweeper.tracking import deletions, outbox_worker
from sweeper.tracking.client import connect, public_uri, reaching
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.outbox_worker import OutboxWorker
from sweeper.tracking.parent_run import is_parent
from sweeper.tracking.patience import Patience
from sweeper.tracking.places import check_experiment
from sweeper.tracking.run_writer import CHILDREN, children_of

# The name of an outbox's file.
FILE = re.compile(rf"(?P<study>{STUDY_NAME.pattern})-[A-Za-z0-9-]{{1,8}}-(?P<kind>{'|'.join(CHILDREN)})\.db")


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


# Called with a study's name, its id, and its trials' run ids by trial number.
Record = Callable[[str, str, Mapping[int, str]], None]


def sync(
    store: Store,
    study: str | None,
    notify: Callable[[str], None],
    record: Record = lambda study, study_id, run_ids: None,
    *,
    drop_deleted: bool = False,
) -> list[Synced]:
    """Delivers the waiting writes of one study or (None) of all; skips running studies, which deliver their own.

    `record` gets the runs of each study's trials; if it raises SweeperError, `notify` gets the reason. With
    `drop_deleted`, the writes of runs that were deleted in MLflow are given up, and so are the local files that wait
    for them; the studies go on without these runs.
    """
    if store.outboxes.exists():
        store.check_links()
    results = []
    for path in sorted(store.outboxes.glob("*.db")):
        named = FILE.fullmatch(path.name)
        if named is None:
            if study is None:
                results.append(Synced(path.name, "", 0, [], f"{path} is no outbox of sweeper's: remove it"))
            continue
        name, kind = named["study"], named["kind"]
        if study not in (None, name):
            continue
        try:
            if store.owner(name) is not None:
                notify(f"{name} is being run: its own process delivers its writes")
                continue
            with store.owning(name, checked=True):
                result = _deliver(store, name, kind, path, notify, record, drop_deleted=drop_deleted)
        except SweeperError as error:
            result = Synced(name, kind, 0, [], str(error))
        if result.delivered or result.undelivered or result.error or result.dropped:
            results.append(result)
    return results


def _deliver(
    store: Store,
    study: str,
    kind: str,
    path: Path,
    notify: Callable[[str], None],
    record: Record,
    *,
    drop_deleted: bool,
) -> Synced:
    outbox = Outbox(path)
    try:
        waiting = len(outbox.undelivered())
        if not len(outbox):
            outbox.close()
            return Synced(study, kind, 0, [])
        target = outbox.target
        if path != store.outbox(study, target.study_id, kind) or (target.study, target.kind) != (study, kind):
            raise SweeperError(f"{path} says that it belongs to {target.kind} {plain(target.study)}: remove it")
        if drop_deleted and target.uri is not None and target.uri != public_uri(store):
            raise SweeperError(
                f"the writes wait for MLflow at {target.uri or store.root}, this command has "
                f"{public_uri(store) or store.root} (--tracking-uri): nothing was dropped"
            )
        client = connect(store)
        with reaching(store.tracking_uri):
            if not deletions.of_experiment(client, target.experiment_id, target.data_name):
                check_experiment(client.get_experiment(target.experiment_id), store)
            if not is_parent(client, store, target):
                raise SweeperError(f"{path} has writes for a run that is not its study's: remove it")
            run_ids = {key: run.info.run_id for key, run in children_of(client, target, outbox.dropped()).items()}
    except SweeperError:
        outbox.close()
        raise
    # `sync` has nothing else to do: it waits as long as MLflow accepts writes.
    worker = OutboxWorker(client, store, outbox, run_ids, notify, drop_deleted=drop_deleted)
    undelivered = worker.close(Patience(outbox_worker.CLOSING_SECONDS, inf))
    if kind == "study":
        try:
            record(
                study, target.study_id, {key: run_id for key, run_id in worker.run_ids.items() if isinstance(key, int)}
            )
        except SweeperError as error:
            notify(
                f"{study}: its new runs in MLflow were not recorded in the study ({error}); the command that resumes "
                "the study records them"
            )
    n_delivered = waiting - len(undelivered) - worker.n_dropped
    return Synced(study, kind, n_delivered, undelivered, dropped=worker.n_dropped)
