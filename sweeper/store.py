"""Where a sweep keeps what it knows: a folder, and the addresses of Optuna's and MLflow's databases."""

import fcntl
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import SweeperError, UsageError

DEFAULT_STORE = Path("mlruns")
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Store:
    """`root` is absolute; checkpoints, logs and locks are always under it, the databases by default."""

    root: Path
    storage: str
    tracking_uri: str

    @property
    def embedded_tracking(self) -> bool:
        """Whether runs go to SQLite under the store, not to a server of the user's."""
        return self.tracking_uri == _sqlite(self.root / "mlflow.db")

    @property
    def embedded_storage(self) -> bool:
        return self.storage == _sqlite(self.root / "optuna.db")

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def trial_folder(self, study: str, study_id: str, number: int) -> Path:
        """Where a trial's checkpoint lives until the trial is finished; a study of the same name has another."""
        return self.root / "checkpoints" / f"{study}-{study_id[:8]}" / str(number)

    def training_folder(self, study: str, study_id: str, key: str) -> Path:
        """Where a promotion's training keeps its checkpoint, and then its weights."""
        return self.root / "promotions" / f"{study}-{study_id[:8]}" / key

    def log_folder(self, study: str) -> Path:
        return self.root / "logs" / study

    def prepare(self) -> None:
        """Makes the folder; SweeperError if it cannot be written to."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweeperError(f"the store {self.root} cannot be made: {error.strerror}") from error
        if not os.access(self.root, os.W_OK):
            raise SweeperError(f"the store {self.root} cannot be written to")

    @contextmanager
    def initialising(self, *, embedded: bool) -> Iterator[None]:
        """Held while an embedded database may be made: two processes making the same tables would end each other.

        A server looks after itself, and in a folder that cannot be written to nothing is made.
        """
        if not embedded or not os.access(self.root, os.W_OK):
            yield
            return
        with _locked(self.root / ".initialising.lock", wait=True):
            yield

    @contextmanager
    def owning(self, study: str) -> Iterator[None]:
        """Held by the one process that runs a study; SweeperError, naming the owner, if another holds it."""
        path = self._lock(study)
        path.parent.mkdir(exist_ok=True)
        with _locked(path, wait=False):
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield

    def is_owned(self, study: str) -> bool:
        """Whether some process runs the study now."""
        path = self._lock(study)
        if not path.exists():
            return False
        with open(path) as file:
            try:
                # Shared, so that two askers at once do not take each other for an owner.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _lock(self, study: str) -> Path:
        return self.root / "locks" / f"{study}.lock"


def resolve(store: Path | None, storage: str | None, tracking_uri: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a command line: each flag goes over the ecosystem's variable, and that over the folder."""
    root = Path(os.path.abspath(store or DEFAULT_STORE))
    if root.exists() and not root.is_dir():
        raise UsageError(f"the store must be a folder, got {root} (--store)")
    return Store(
        root,
        storage or environment.get("OPTUNA_STORAGE") or _sqlite(root / "optuna.db"),
        tracking_uri or environment.get("MLFLOW_TRACKING_URI") or _sqlite(root / "mlflow.db"),
    )


def check_study_name(name: str) -> str:
    """The name, if it can name a folder; else UsageError."""
    if not STUDY_NAME.fullmatch(name):
        raise UsageError(
            f"a study's name must be 1 to 100 letters, digits, dots, dashes and underscores, got {name!r} (--study)"
        )
    return name


def redact(url: str) -> str:
    """The text with what is secret in its addresses hidden: passwords, tokens before an @ and in queries."""
    url = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", url)
    url = re.sub(r"://[^:/@\s]+@", "://***@", url)
    return re.sub(r"([?&](?:password|passwd|token|secret)=)[^&\s]+", r"\1***", url, flags=re.IGNORECASE)


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise SweeperError(f"{path.stem} is being run by {file.read() or 'another process'}") from None
        yield
