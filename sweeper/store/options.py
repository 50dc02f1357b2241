"""The options of a command that say which store is meant, and which stores there can be."""

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import UsageError, plain, shortened
from sweeper.store.layout import Store, sqlite_url
from sweeper.store.redaction import redact

# Addresses of SQLite databases in memory.
IN_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")
# How the address of a database on a server begins that MLflow could write to itself.
DATABASE_SERVERS = re.compile(r"(postgresql|mysql|mssql)\b")
DEFAULT_STORE = Path("mlruns")


@dataclass(frozen=True)
class StoreOptions:
    """The store options of a command: the store's folder, and the addresses of databases outside it."""

    store: Path | None = None
    storage: str | None = None
    tracking_uri: str | None = None

    def resolve(self, environment: Mapping[str, str]) -> Store:
        """The store. Options win over the environment's OPTUNA_STORAGE and MLFLOW_TRACKING_URI. Raises UsageError."""
        root = Path(os.path.abspath(self.store or DEFAULT_STORE))
        # In SQLite's addresses, a question mark ends the path and a percent sign starts an escape: the databases would
        # lie elsewhere.
        if not str(root).isprintable() or set("?%") & set(str(root)):
            raise UsageError(
                f"the store's path must be printable, without ? and %, got {plain(repr(str(root)))} (--store)"
            )
        try:
            if not stat.S_ISDIR(root.stat().st_mode):
                raise UsageError(f"the store must be a folder, got {plain(root)} (--store)")
        except FileNotFoundError:
            pass  # a search creates it
        except OSError as error:
            raise UsageError(f"{plain(root)} cannot be the store: {error.strerror} (--store)") from error
        for option, url in (("--storage", self.storage), ("--tracking-uri", self.tracking_uri)):
            if url and not url.isprintable():
                raise UsageError(f"an address must be printable, got {shortened(repr(redact(url)))} ({option})")
        storage = self.storage or environment.get("OPTUNA_STORAGE") or sqlite_url(root / "optuna.db")
        tracking_uri = self.tracking_uri or environment.get("MLFLOW_TRACKING_URI") or sqlite_url(root / "mlflow.db")
        for option, url in (("--storage", storage), ("--tracking-uri", tracking_uri)):
            if url in IN_MEMORY:
                raise UsageError(
                    f"a database must be a file or on a server, got {url}, which ends with the command ({option})"
                )
        if DATABASE_SERVERS.match(tracking_uri):
            shown = redact(tracking_uri)
            raise UsageError(
                "MLflow keeps no files in a database, and would put the artifacts into a folder of this machine, got "
                f"{shown}: start `mlflow server --backend-store-uri {shlex.quote(shown)} --artifacts-destination "
                "FOLDER`, and give the server's address (--tracking-uri)"
            )
        return Store(root, storage, tracking_uri)
