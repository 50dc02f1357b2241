"""Where a sweep keeps what it knows: a folder, and the addresses of Optuna's and MLflow's databases."""

import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.store.redaction import redact

DEFAULT_STORE = Path("mlruns")
# Somebody who only asks whether a study is owned holds its lock for a moment.
TRIES, TRY_SECONDS = 20, 0.05
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

    @property
    def outboxes(self) -> Path:
        return self.root / "spool"

    def trial_folder(self, study: str, study_id: str, number: int) -> Path:
        """Where a trial's checkpoint lives until the trial is finished; a study of the same name has another."""
        return self.root / "checkpoints" / _own(study, study_id) / str(number)

    def training_folder(self, study: str, study_id: str, key: str) -> Path:
        """Where a promotion's training keeps its checkpoint, and then its weights."""
        return self.root / "promotions" / _own(study, study_id) / key

    def single_folder(self, name: str) -> Path:
        """Where a training by itself keeps its checkpoints, and then what came of it."""
        return self.root / "trainings" / name

    def initial_weights(self, run_id: str) -> Path:
        """Where the weights of an MLflow run lie that trainings by themselves have started from."""
        return self.root / "initial" / f"{run_id}.safetensors"

    def outbox(self, study: str, study_id: str, kind: str) -> Path:
        """Where the writes wait that MLflow has not taken yet; `kind` is study, promotion or training."""
        return self.outboxes / f"{_own(study, study_id)}-{kind}.db"

    def outboxes_of(self, study: str, study_id: str) -> list[Path]:
        """The spools that the study has."""
        return list(self.outboxes.glob(f"{_own(study, study_id)}-*.db"))

    def shared_images_folder(self, study: str, study_id: str) -> Path:
        """Where the images lie that the study's workers may see, while they work."""
        return self.root / "parts" / _own(study, study_id)

    def log_folder(self, study: str, study_id: str) -> Path:
        """Where the study's workers write what they do."""
        return self.root / "logs" / _own(study, study_id)

    def belongings(self, study: str, study_id: str) -> list[Path]:
        """All of the study's own in the store, its lock left out; what is not there yet may be named too."""
        own = _own(study, study_id)
        folders = [self.root / kind / own for kind in ("checkpoints", "promotions", "parts", "logs")]
        # Parts that a killed process was writing begin with a dot.
        return [*folders, *(self.root / "parts").glob(f".{own}.*"), *self.outboxes.glob(f"{own}-*")]

    def prepare(self) -> None:
        """Makes the folder; SweeperError if it cannot be written to."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweeperError(f"the store {self.root} cannot be made: {error.strerror}") from error
        databases = [self.root / name for name in ("optuna.db", "mlflow.db")]
        for path in [self.root, *(path for path in databases if path.exists())]:
            if not os.access(path, os.W_OK):
                raise SweeperError(f"the store {self.root} cannot be written to: {path} is read-only")

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
        """Held by the one process that runs or changes a study; SweeperError, naming the owner, if another holds it.

        Whatever was asked of the owner before is forgotten.
        """
        path = self._lock(study)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as owned:
            with self._changing_owners():
                owned.enter_context(_locked(path, wait=False))
                # Over the name of the owner before: on a full disk there is no room but that.
                with _writing(path), open(path, "r+") as file:
                    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
                    file.truncate()
                self._stop(study).unlink(missing_ok=True)
            yield

    def owner(self, study: str) -> str | None:
        """The process that runs the study now, and its machine; None where nobody does."""
        with suppress(FileNotFoundError), open(self._lock(study)) as file:
            try:
                # Shared, so that two askers at once do not take each other for an owner.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _name_in(file)
        return None

    def wait_for_owner(self, study: str) -> None:
        """Returns when nobody runs the study any more."""
        # In short steps: a Ctrl-C in the moment before one long wait would be heard only after it.
        while self.owner(study) is not None:
            time.sleep(TRY_SECONDS)

    def request_stop(self, study: str) -> str | None:
        """Asks the study's owner, on whatever machine, to end with the running epochs.

        The owner that is asked, or None where nobody runs the study, and nobody is asked.
        """
        path = self._stop(study)
        with self._changing_owners():
            owner = self.owner(study)
            if owner is not None:
                with _writing(path):
                    path.touch()
            return owner

    def stop_requested(self, study: str) -> bool:
        """Whether the study's owner is asked to end."""
        return self._stop(study).exists()

    def forget(self, study: str) -> None:
        """Deletes the study's lock, by its owner: the study is no more."""
        self._stop(study).unlink(missing_ok=True)
        self._lock(study).unlink(missing_ok=True)

    def _changing_owners(self) -> AbstractContextManager[None]:
        """Held while an owner comes, and while one is asked to stop: the new one would forget what it is asked."""
        return _locked(self.root / ".owners.lock", wait=True)

    def _lock(self, study: str) -> Path:
        return self.root / "locks" / f"{study}.lock"

    def _stop(self, study: str) -> Path:
        return self.root / "locks" / f"{study}.stop"


def resolve(store: Path | None, storage: str | None, tracking_uri: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a command line: each flag goes over the ecosystem's variable, and that over the folder."""
    root = Path(os.path.abspath(store or DEFAULT_STORE))
    # SQLite's addresses end at a question mark and take what follows a percent sign for a code: the databases would
    # lie elsewhere.
    if not str(root).isprintable() or set("?%") & set(str(root)):
        raise UsageError(f"the store's path must be printable, without ? and %, got {plain(repr(str(root)))} (--store)")
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise UsageError(f"the store must be a folder, got {plain(str(root))} (--store)")
    except FileNotFoundError:
        pass  # a search makes it
    except OSError as error:
        raise UsageError(f"{plain(str(root))} cannot be the store: {error.strerror} (--store)") from error
    for option, url in (("--storage", storage), ("--tracking-uri", tracking_uri)):
        if url and not url.isprintable():
            raise UsageError(f"an address must be printable, got {shortened(repr(redact(url)))} ({option})")
    return Store(
        root,
        storage or environment.get("OPTUNA_STORAGE") or _sqlite(root / "optuna.db"),
        tracking_uri or environment.get("MLFLOW_TRACKING_URI") or _sqlite(root / "mlflow.db"),
    )


def check_study_name(name: str) -> str:
    """The name, if it can name a folder; else UsageError."""
    if not STUDY_NAME.fullmatch(name):
        raise UsageError(
            "a study's name must be 1 to 100 letters, digits, dots, dashes and underscores, "
            f"got {shortened(repr(name))} (--study)"
        )
    return name


def _own(study: str, study_id: str) -> str:
    """What a study's folders and files are called: another study may have its name, but not its id."""
    return f"{study}-{study_id[:8]}"


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SweeperError(f"{path} in the store cannot be written to: {error.strerror}") from error


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    while True:
        with _writing(path):
            path.touch()
        with open(path, "a+") as file:
            if wait:
                fcntl.flock(file, fcntl.LOCK_EX)
            elif not _take(file):
                file.seek(0)
                raise SweeperError(f"{path.stem} is being run by {_name_in(file)}")
            # A lock that was deleted with its study before we had it keeps nobody out.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return


def _name_in(file: IO[str]) -> str:
    """The owner that a lock names; none yet, maybe, in the moment after it was taken."""
    return file.readline().strip() or "another process"


def _take(file: IO[str]) -> bool:
    """Whether the lock could be had, within a second."""
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(TRY_SECONDS)
    return False
