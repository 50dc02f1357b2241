"""Lines on stderr, and options that printed commands need to find the same store."""

import os
import shlex
import sys
from pathlib import Path

from sweeper.store.layout import DEFAULT_STORE, Store
from sweeper.store.redaction import redact


def store_arguments(store: Store) -> str:
    """The options that a command typed here needs for this store; begins with a space, or is empty."""
    words = []
    if store.root != Path(os.path.abspath(DEFAULT_STORE)):
        words += ["--store", str(store.root)]
    for option, variable, url, embedded in (
        ("--storage", "OPTUNA_STORAGE", store.storage, store.embedded_storage),
        ("--tracking-uri", "MLFLOW_TRACKING_URI", store.tracking_uri, store.embedded_tracking),
    ):
        # An address with its password hidden would not work, and one in the variable need not be typed.
        if not embedded and redact(url) == url and os.environ.get(variable) != url:
            words += [option, url]
    return "".join(f" {shlex.quote(word)}" for word in words)


def note_store(store: Store) -> None:
    """Prints on stderr which store is used, and both databases if one of them is not in it."""
    note(f"Store: {store.root}")
    if not store.embedded_storage or not store.embedded_tracking:
        note(f"Optuna: {redact(store.storage)}  MLflow: {redact(store.tracking_uri)}")


def note(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr, flush=True)
