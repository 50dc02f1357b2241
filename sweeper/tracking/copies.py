"""Keeps a copy of a store away from the runs of its original on a server, where both find them by the same ids."""

import shlex

from mlflow.entities import Run

from sweeper.errors import SweeperError, plain
from sweeper.store import identity
from sweeper.store.layout import Store
from sweeper.store.redaction import redact

# The tag of a parent run on a server with the id of the store that its study is in.
STORE = "sweeper.store"


def store_tags(store: Store) -> dict[str, str]:
    """The tag of the store's parent runs on a server; none if they, or their studies, are where no copy shares them."""
    if store.embedded_tracking or not store.embedded_storage:
        return {}
    return {STORE: identity.check_place(store.root).id}


def is_of_another_store(store: Store, run: Run) -> bool:
    """Whether a store of which this one is a copy, or that is a copy of this one, has the run."""
    owner = run.data.tags.get(STORE)
    return owner is not None and store_tags(store).get(STORE, owner) != owner


def check_run_of_store(store: Store, run: Run) -> None:
    """Raises SweeperError if the run belongs to the original of this store, or to a copy of it."""
    if is_of_another_store(store, run):
        study = run.data.tags.get("sweeper.study", "")
        named = f"study {plain(study)}" if study else f"training {plain(run.info.run_name or '')}"
        own = shlex.quote(f"sqlite:///{store.root}/mlflow.db")
        raise SweeperError(
            f"the run of {named} in MLflow at {redact(store.tracking_uri)} belongs to another store, of which this one "
            f"is a copy: `--tracking-uri {own}` gives the copy runs of its own, and a search with --new starts another "
            "study"
        )
