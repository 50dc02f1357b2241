"""Checks, without writing anything, whether this machine, the store and the data are fit for a search."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from sweeper.data.known import catalog, locate
from sweeper.doctor.check import ERROR, OK, WARNING, Check, safely
from sweeper.engine.local import plan as local_plan
from sweeper.errors import SweeperError
from sweeper.images.decoded_cache import damaged_entries
from sweeper.process import processor, resources
from sweeper.quantities import counted
from sweeper.store import databases
from sweeper.store.damage import find_damage
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies import lost_runs
from sweeper.studies.storage import database_exists
from sweeper.tracking import client, ledger_file, leftovers
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.places import check_moved

LIBRARIES = ("torch", "torchvision", "optuna", "mlflow", "numpy", "scikit-learn", "timm")
# Several machines may write to these at once, and their locks may not work as SQLite assumes.
NETWORK_FILE_SYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "panfs", "smb2", "smb3", "smbfs", "wekafs",
}  # fmt: skip
MOUNTS = Path("/proc/self/mounts")
# A store with a promoted 50-trial search of small networks holds about 100 MB; there must always be room for a
# checkpoint and the databases.
LITTLE_DISK, NO_DISK = 2 << 30, 200 << 20


def examine(store: Store, data_dir: Path | None, environment: Mapping[str, str]) -> Iterator[Check]:
    """Runs every check. A check that fails to run does not raise: its result is an error."""
    check_ledger = _ledger
    checks: dict[str, Callable[[], Check]] = {
        "sweeper": _sweeper,
        "libraries": _libraries,
        "device": _device,
        "precision": _precision,
        "cores": partial(_cores, environment),
        "memory": _memory,
        "store": partial(_store, store),
        "file system": partial(_file_system, store),
        "disk": partial(_disk, store),
        "optuna": partial(_optuna, store),
        "mlflow": partial(_mlflow, store),
        "ledger": lambda: check_ledger(store),
        "data": partial(_data, data_dir),
        "cached images": _cached_images,
    }
    for name, check in checks.items():
        result = safely(name, check)
        yield result
        if name == "mlflow" and result.status == ERROR and client.is_server(store):
            check_ledger = _ledger_file  # to ask the server again would take as long again


def _sweeper() -> Check:
    return Check("sweeper", OK, f"{version('cnn-sweeper')}, Python {platform.python_version()}, {sys.platform}")


def _libraries() -> Check:
    return Check("libraries", OK, ", ".join(f"{name} {version(name)}" for name in LIBRARIES))


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Check("device", OK, f"{counted(len(names), 'CUDA device')}: {', '.join(names)}")
    if torch.backends.mps.is_available():
        return Check("device", OK, "Apple GPU (mps)")
    return Check("device", OK, "CPU; torch sees no GPU")


def _precision() -> Check:
    """What precision = "auto" stands for in studies that begin on this machine."""
    import torch

    from sweeper.models.precision import FLOAT32, RULES, rule_of

    rule = rule_of(processor.of_this_machine())
    if rule == FLOAT32:
        here = f"float32: this processor has neither {' nor '.join(known.instructions for known in RULES)}"
    else:
        here = f"{rule}, float32 for smaller networks"
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return Check("precision", OK, f'"auto" is float32 on a GPU; with --device cpu it is {here}')
    return Check("precision", OK, f'"auto" is {here}')


def _cores(environment: Mapping[str, str]) -> Check:
    return Check("cores", OK, f"{resources.usable_cores(environment)} usable of {os.cpu_count()}")


def _memory() -> Check:
    memory = resources.available_memory()
    if memory is None:
        return Check("memory", OK, "unknown on this system")
    found = f"{memory / 2**30:.1f} GiB available"
    if memory < local_plan.WORKER_BYTES:
        advice = f"a worker may take {local_plan.WORKER_BYTES / 2**30:.1f} GiB: end other programs, or give --jobs 1"
        return Check("memory", WARNING, found, advice)
    return Check("memory", OK, found)


def _store(store: Store) -> Check:
    place = _existing(store.root)
    found = f"{store.root}" + ("" if store.root.exists() else ", not there yet")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("store", ERROR, f"{found}; {place} cannot be written to", "give another --store")
    if obstacles := store.obstacles():
        return Check(
            "store",
            ERROR,
            f"{found}; {'; '.join(obstacles)}",
            "mend these, or give another --store",
        )
    with suppress(SweeperError, SQLAlchemyError):  # what is wrong with a database is told below
        if left := leftovers.find(store):
            n = f"{len(left)} unfinished files and folders" if len(left) > 1 else "an unfinished file or folder"
            return Check(
                "store",
                WARNING,
                f"{found}; {n}, of a command that was killed or still runs: {left[0]}{', ...' * (len(left) > 1)}",
                "nothing: the next search or promotion deletes what no running command uses",
            )
    return Check("store", OK, found)


def _file_system(store: Store) -> Check:
    kind = file_system(store.root, MOUNTS)
    if kind is None:
        return Check("file system", OK, "unknown on this system")
    if kind in NETWORK_FILE_SYSTEMS and (store.embedded_storage or store.embedded_tracking):
        return Check(
            "file system",
            WARNING,
            f"{kind}, over the network: SQLite may lose writes or lock for ever there",
            "give --store a local folder, or --storage and --tracking-uri servers (docs/how-to/servers.md)",
        )
    return Check("file system", OK, kind)


def file_system(path: Path, mounts: Path) -> str | None:
    """The type of the file system that holds the path, or will hold it; None if `mounts` cannot be read."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = _existing(path).resolve()
    found, longest = None, -1
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        # The list writes spaces and the like as octal numbers.
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point)
        if real.is_relative_to(point) and len(point) >= longest:  # the last mount at a point hides the others
            found, longest = kind, len(point)
    return found


def _disk(store: Store) -> Check:
    free = shutil.disk_usage(_existing(store.root)).free
    found = f"{free / 1e9:.1f} GB free"
    if free < NO_DISK:
        return Check("disk", ERROR, found, "make room: databases and checkpoints could not be written")
    if free < LITTLE_DISK:
        return Check("disk", WARNING, found, "make room: a long search with a promotion may not fit")
    return Check("disk", OK, found)


def _optuna(store: Store) -> Check:
    place = "" if store.embedded_storage else f"{redact(store.storage)}: "
    if damaged := _damage("optuna", store.storage, "MLflow's runs and the store's other files are not damaged by this"):
        return damaged
    if not database_exists(store):
        return Check("optuna", OK, f"{place}{_unused(store.storage)}")
    n = len(databases.rows(store.storage, "studies", "study_id"))
    return Check("optuna", OK, f"{place}{counted(n, 'study', 'studies')}")


def _damage(name: str, url: str, kept: str) -> Check | None:
    """The check's result if its database is a damaged SQLite file; None for others."""
    path = databases.sqlite_path(url)
    damage = path and find_damage(path)
    if not damage:
        return None
    save = f"put a backup in its place, or save what can be read with SQLite's own shell, `sqlite3 {path} .recover`"
    return Check(name, ERROR, f"{path} is {damage}", f"{save}; {kept}")


def _mlflow(store: Store) -> Check:
    place = "" if store.embedded_tracking else f"{redact(store.tracking_uri)}: "
    kept = "studies, artifacts and ledger.jsonl are not damaged by this: without a backup, move the file away, and"
    if damaged := _damage(
        "mlflow", store.tracking_uri, f"{kept} `sweeper sync STUDY --rebuild` makes a study's runs again"
    ):
        return damaged
    if client.is_server(store):
        client.check_server(store)
        return Check("mlflow", OK, f"{place}the server answers")
    for name, n_runs in lost_runs.lost_runs(store).items():
        return Check("mlflow", ERROR, lost_runs.told(store, name, n_runs))
    if not client.database_exists(store):
        return Check("mlflow", OK, f"{place}{_unused(store.tracking_uri)}")
    check_moved(store)
    n = databases.rows(store.tracking_uri, "runs", "lifecycle_stage").count(("active",))
    return Check("mlflow", OK, f"{place}{counted(n, 'run')}")


def _ledger(store: Store) -> Check:
    ledger = Ledger(store)
    n = len(ledger.evaluations())
    found = counted(n, "test evaluation")
    if differences := ledger.differences():
        advice = "restore the changed file from a backup; otherwise report the difference with your test results"
        return Check("ledger", WARNING, "; ".join([found, *differences]), advice)
    return Check("ledger", OK, found)


def _ledger_file(store: Store) -> Check:
    """As `_ledger`, while the server of the other half does not answer."""
    written = ledger_file.read(store.ledger)
    n = len(written.entries)
    found = f"{counted(n, 'test evaluation')} in {store.ledger}, and unknown how many in MLflow"
    return Check("ledger", WARNING, "; ".join([found, *written.faults]), "first mend the error of mlflow, above")


def _unused(url: str) -> str:
    """What is to be said of an address without a complete database."""
    path = databases.sqlite_path(url)
    if path is not None and path.exists() and path.stat().st_size:
        return "a half-made database, never used; the next search sets it aside and makes it anew"
    return "no database yet; the first search makes it"


def _data(data_dir: Path | None) -> Check:
    """Looks for the known data sets by their files' names and sizes, because hashing all files takes many seconds.

    Each command that uses a data set checks its hashes.
    """
    here: dict[Path, list[str]] = {}
    absent = []
    for name, dataset in catalog.DATASETS.items():
        folder = locate.locate(dataset, data_dir=data_dir)
        if folder is None:
            absent.append(name)
        else:
            here.setdefault(folder, []).append(name)
    found = [f"{', '.join(names)} in {folder}" for folder, names in here.items()]
    if absent:
        found.append(f"not here: {', '.join(absent)}")
    if not here:
        option = "" if data_dir is None else f" --data-dir {data_dir}"
        return Check("data", WARNING, "; ".join(found), f"sweeper data fetch {absent[0]}{option}")
    return Check("data", OK, "; ".join(found))


def _cached_images() -> Check:
    """Reads all decoded images in the cache: when a command opens them, it reads samples only."""
    damaged = list(damaged_entries())
    if damaged:
        advice = f"delete {', '.join(str(folder) for folder, _ in damaged)}: the images are decoded again when needed"
        return Check("cached images", WARNING, "; ".join(dict.fromkeys(reason for _, reason in damaged)), advice)
    return Check("cached images", OK, "all as they were written")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path
