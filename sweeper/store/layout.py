"""The layout of a store: the files and locks in its folder, and the addresses of Optuna's and MLflow's databases."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import SweeperError, plain
from sweeper.store import identity, plain_files
from sweeper.store.locks import TRY_SECONDS, locked, owned, owner_in, writing
from sweeper.store.names import folder_name, stored_name

# The folders of a store, with what they hold.
FOLDERS = {
    "artifacts": "the files of MLflow's runs, such as plots and networks",
    "checkpoints": "trials that have not ended, each after its last finished epoch",
    "initial": "weights of other runs from which trainings have started (sweeper train --init)",
    "locks": "which process runs a study, and requests to stop it",
    "logs": "logs of the workers, and what a vanished terminal could not show",
    "parts": "the images that the workers share, while trials train",
    "promotions": "checkpoints and weights of promotions and ablations; in head-start/, those that a search has begun",
    "spool": "writes that wait for MLflow",
    "trainings": "trainings of sweeper train: the checkpoints of unfinished ones, the results of finished ones",
}
# Its files, with what they hold. SQLite keeps others beside its databases while they are open.
FILES = {
    "mlflow.db": "MLflow's runs and registered models, in SQLite, unless --tracking-uri names a server",
    "optuna.db": "Optuna's studies and trials, in SQLite, unless --storage names a server",
    "ledger.jsonl": "every test evaluation, one a line, each with the hash of the line before",
    identity.FILE: "which store this is, and where it lies, so that a copy is noticed",
    ".owners.lock": "held for a moment while a process begins to run a study",
    ".initialising.lock": "held while a database is made",
}


@dataclass(frozen=True)
class Store:
    """A folder and the addresses of two databases, which together hold studies.

    `root` is absolute. Checkpoints, logs and locks are always under it, and by default the databases too.
    """

    root: Path
    storage: str
    tracking_uri: str

    @property
    def embedded_tracking(self) -> bool:
        """Whether runs go to SQLite in the store's folder, not to an address that the user gave."""
        return self.tracking_uri == sqlite_url(self.root / "mlflow.db")

    @property
    def tracking_file(self) -> Path | None:
        """The SQLite file of the runs, in the store or elsewhere; None if a server or another database has them."""
        path = self.tracking_uri.removeprefix("sqlite:///")
        return Path(os.path.abspath(path)) if self.tracking_uri.startswith("sqlite:///") and path else None

    @property
    def embedded_storage(self) -> bool:
        return self.storage == sqlite_url(self.root / "optuna.db")

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def ledger(self) -> Path:
        """The file of all test evaluations, beside the ledger in MLflow."""
        return self.root / "ledger.jsonl"

    @property
    def outboxes(self) -> Path:
        return self.root / "spool"

    def trial_folder(self, study: str, study_id: str, number: int) -> Path:
        """The folder of a trial's checkpoint until the trial ends; a study of the same name has another folder."""
        return self.root / "checkpoints" / folder_name(study, study_id) / str(number)

    def training_folder(self, study: str, study_id: str, key: str) -> Path:
        """The folder of the checkpoint, and then the weights, of a training of a promotion or ablation."""
        return self.promotions_folder(study, study_id) / key

    def promotions_folder(self, study: str, study_id: str) -> Path:
        """The folder of what a study's promotions and ablations have trained."""
        return self.root / "promotions" / folder_name(study, study_id)

    def single_folder(self, name: str) -> Path:
        """The folder of the checkpoints, and then the results, of a training by itself."""
        return self.root / "trainings" / stored_name(name)

    def initial_weights(self, run_id: str) -> Path:
        """The local copy of an MLflow run's weights, from which trainings by themselves have started."""
        return self.root / "initial" / f"{run_id}.safetensors"

    def outbox(self, study: str, study_id: str, kind: str) -> Path:
        """The file of writes that MLflow has not accepted yet; `kind` is one of run_writer.CHILDREN."""
        return self.outboxes / f"{folder_name(study, study_id)}-{kind}.db"

    def outboxes_of(self, study: str, study_id: str) -> list[Path]:
        """The outbox files of the study."""
        return list(self.outboxes.glob(f"{folder_name(study, study_id)}-*.db"))

    def shared_images_folder(self, study: str, study_id: str) -> Path:
        """The folder of the images that the study's workers may see, while they work."""
        return self.root / "parts" / folder_name(study, study_id)

    def log_folder(self, study: str, study_id: str) -> Path:
        """The folder of the logs of the study's workers."""
        return self.root / "logs" / folder_name(study, study_id)

    @property
    def lost_output(self) -> Path:
        """The file of what commands could not print because their terminal was gone."""
        return self.root / "logs" / "lost-output.log"

    def belongings(self, study: str, study_id: str) -> list[Path]:
        """All files and folders of the study in the store, except its lock; some may not exist."""
        own = folder_name(study, study_id)
        folders = [self.root / kind / own for kind in ("checkpoints", "promotions", "parts", "logs")]
        # The names of parts that a killed process was writing begin with a dot.
        return [*folders, *(self.root / "parts").glob(f".{own}.*"), *self.outboxes.glob(f"{own}-*")]

    def own_path(self, study: str, study_id: str, path: str) -> Path:
        """The file or folder that a stored path, relative to the store, names.

        Raises SweeperError unless it belongs to this study, or this training by itself.
        """
        own = folder_name(study, study_id)
        folders = [self.root / "checkpoints" / own, self.root / "promotions" / own, self.single_folder(study)]
        place = (self.root / path).resolve()
        if not any(place.is_relative_to(folder.resolve()) for folder in folders):
            raise SweeperError(f"{plain(path)} is no file of {study} in the store {self.root}")
        return place

    def check_readable(self) -> None:
        """Raises SweeperError for links among the files that every command reads: databases, outboxes and locks."""
        plain_files.check_some(self.root, [self.outboxes, self.root / "locks"])

    def check_links(self) -> None:
        """Raises SweeperError for links anywhere in the store."""
        plain_files.check_all(self.root)

    def prepare(self) -> None:
        """Creates the folder; SweeperError if it cannot be created or written to, or has links in it."""
        self.check_writable()
        self.create()

    def create(self) -> None:
        """Creates the folder, for a caller of `check_writable`; SweeperError if it cannot be created or written to."""
        if self.root.exists():
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweeperError(f"the store {self.root} cannot be created: {error.strerror}") from error
        self.check_writable()

    def check_writable(self) -> None:
        """Raises SweeperError if the store, or the folder that it would lie in, cannot be written to or has links."""
        self.check_links()
        above = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        if above != self.root and not os.access(above, os.W_OK | os.X_OK):
            raise SweeperError(f"the store {self.root} cannot be created: {os.strerror(errno.EACCES)}")
        if obstacles := self.obstacles():
            raise SweeperError(f"the store {self.root} cannot be written to: {obstacles[0]}")

    def obstacles(self) -> list[str]:
        """What in the store cannot be written to: each file and folder of the store itself, with the reason."""
        files = [self.root / "optuna.db", self.root / "mlflow.db", self.ledger]
        folders = [self.root, *(self.root / name for name in FOLDERS)]
        found = []
        for path in (path for path in [*folders, *files] if path.exists()):
            if path.is_dir() != (path in folders):
                found.append(f"{path} is not a {'folder' if path in folders else 'file'}")
            elif not os.access(path, os.W_OK | os.X_OK if path in folders else os.W_OK):
                found.append(f"{path} is read-only")
        return found

    @contextmanager
    def owning(self, study: str, *, checked: bool = False, activity: str = "") -> Iterator[None]:
        """The lock of the one process that runs or changes a study; SweeperError, naming the owner, if another has it.

        `activity` is what the process does with the study, for `activity_on`; empty for a search.
        A request to an earlier owner to stop is discarded. Raises SweeperError for links in the store, unless its
        caller has just looked for them (`checked`): in a large store that takes a while.
        """
        if not checked:
            self.check_links()
        path = self._lock(study)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with self._changing_owners():
                if self.embedded_storage:  # a study elsewhere belongs to no store
                    with writing(self.root / identity.FILE):
                        identity.check_place(self.root)
                stack.enter_context(locked(path, wait=False))
                # Overwrite the name of the earlier owner: a full disk has no other room.
                with writing(path), open(path, "r+") as file:
                    file.write(f"process {os.getpid()} on {socket.gethostname()}\n" + f"{activity}\n" * bool(activity))
                    file.truncate()
                self._stop(study).unlink(missing_ok=True)
            yield

    def owner(self, study: str) -> str | None:
        """The process that runs the study now, and its machine; None if no process does."""
        with suppress(FileNotFoundError), open(self._lock(study)) as file:
            try:
                # A shared lock: two processes that ask at once must not take each other for an owner.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return owner_in(file)
        return None

    def activity_on(self, study: str) -> str:
        """What the process of this store that runs the study now does with it; empty for a search, or if none does."""
        if self.owner(study) is None:
            return ""
        with suppress(OSError):
            return "".join(self._lock(study).read_text().splitlines()[1:2])
        return ""

    def refuse_owned(self, study: str) -> None:
        """Raises SweeperError, naming the owner, if a process runs the study now."""
        owner = self.owner(study)
        if owner is not None:
            raise SweeperError(owned(study, owner, self.root))

    @contextmanager
    def unowned(self) -> Iterator[None]:
        """Keeps all studies without an owner during the block; SweeperError, naming the owner, if one has an owner."""
        with self._changing_owners():
            for path in sorted((self.root / "locks").glob("*.lock")):
                self.refuse_owned(path.stem)
            yield

    def wait_for_owner(self, study: str) -> None:
        """Returns when no process runs the study any more."""
        # Sleep in short steps: a Ctrl-C just before one long wait would take effect only after the wait.
        while self.owner(study) is not None:
            time.sleep(TRY_SECONDS)

    def request_stop(self, study: str) -> str | None:
        """Asks the study's owner, on any machine, to stop after the running epochs.

        Returns the owner; None, without a request, if no process runs the study.
        """
        path = self._stop(study)
        with self._changing_owners():
            owner = self.owner(study)
            if owner is not None:
                with writing(path):
                    path.touch()
            return owner

    def stop_requested(self, study: str) -> bool:
        """Whether the study's owner is asked to stop."""
        return self._stop(study).exists()

    def forget(self, study: str) -> None:
        """Deletes the lock of a deleted study; only its owner may call this."""
        self._stop(study).unlink(missing_ok=True)
        self._lock(study).unlink(missing_ok=True)

    def _changing_owners(self) -> AbstractContextManager[None]:
        """A lock held while a process becomes an owner or asks one to stop: a new owner would discard the request."""
        return locked(self.root / ".owners.lock", wait=True)

    def _lock(self, study: str) -> Path:
        return self.root / "locks" / f"{stored_name(study)}.lock"

    def _stop(self, study: str) -> Path:
        return self.root / "locks" / f"{stored_name(study)}.stop"


def sqlite_url(path: Path) -> str:
    """The address of a SQLite database in this file."""
    return f"sqlite:///{path}"
