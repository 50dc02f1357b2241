"""The files of a job, which travel between the store and an actor's folder: nodes and coordinator share no files.

They travel even if the nodes see the store's folder. An actor that cannot be reached, but still trains, must not write
there beside its successor. And with NFS, a machine may take seconds to see the file that another has made: the
coordinator would hear of an epoch or a result before it can read its files.
"""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

from sweeper.store.atomic import whole_file

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"
# A larger checkpoint does not travel after every epoch: over a network of 1 Gbit/s this takes a quarter of a second,
# and 134 MB took 0.6 s between processes of one machine.
LARGE = 32 << 20


class JobFiles:
    """The folder of one job on a node; remembers which of its files the store has."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """Makes the folder anew with these files, which came from the store. Raises OSError."""
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self._known = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    def new(self, *, epoch: int, last: bool) -> dict[str, bytes]:
        """The files that are new since the last call, or have changed; at last also a large checkpoint."""
        found = {}
        for path in sorted(self.folder.iterdir()):
            status = path.stat()
            if path.name.startswith(".") or self._known.get(path) == status.st_mtime_ns:
                continue
            if path.name == CHECKPOINT and not last and epoch % period(status.st_size):
                continue
            found[path.name] = path.read_bytes()
            self._known[path] = status.st_mtime_ns
        return found

    def checkpoint_size(self) -> int:
        """In bytes; 0 without a checkpoint."""
        path = self.folder / CHECKPOINT
        return path.stat().st_size if path.exists() else 0


def period(size: int) -> int:
    """After how many epochs a checkpoint of this size, in bytes, travels to the store."""
    return max(1, math.ceil(size / LARGE))


def read(folder: Path) -> dict[str, bytes]:
    """The files in the store from which a job resumes. Raises OSError."""
    path = folder / CHECKPOINT
    return {CHECKPOINT: path.read_bytes()} if path.exists() else {}


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files into the job's folder in the store, each whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with whole_file(folder / name) as temporary:
            temporary.write_bytes(content)
