"""The options that a printed command needs to find the same store."""

import os
import shlex
from pathlib import Path

from sweeper.store.layout import Store
from sweeper.store.options import DEFAULT_STORE
from sweeper.store.redaction import redact


def store_arguments(store: Store) -> str:
    """The options that a command typed here needs for this store; begins with a space, or is empty."""
    words = []
    # Also what a variable holds: the command may be typed where the variable is not set, or is another.
    if store.root != Path(os.path.abspath(DEFAULT_STORE)) or os.environ.get("SWEEPER_STORE"):
        words += ["--store", str(store.root)]
    for option, url, embedded in (
        ("--storage", store.storage, store.embedded_storage),
        ("--tracking-uri", store.tracking_uri, store.embedded_tracking),
    ):
        if not embedded and redact(url) == url:  # an address with its password hidden would not work
            words += [option, url]
    return "".join(f" {shlex.quote(word)}" for word in words)
