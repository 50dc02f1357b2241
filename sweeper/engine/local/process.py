"""Starts a worker's process: a new Python that imports nothing of the program which starts it."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

# A process of multiprocessing's would import the user's script once more, and so need scripts that ask for `__name__`.
# This one gets the folders of modules as its first message, before it imports anything but that connection. Its
# arguments are its name, device and log, which `ps` shows, and the descriptors of its lifeline and its connections.
# With -P it does not import a socket.py, say, from the current folder by itself.
START = (
    "import sys; from multiprocessing.connection import Connection; "
    "lifeline, *connections = map(Connection, map(int, sys.argv[4:])); sys.path[:] = connections[0].recv(); "
    "from sweeper.engine.local.worker import serve; serve(sys.argv[2], lifeline, connections)"
)


def start(
    name: str, device: str, log: Path, lifeline: Connection, connections: Sequence[Connection]
) -> "subprocess.Popen[bytes]":
    """Starts a process that calls `worker.serve` with these ends of pipes; the first must be sent `module_folders`.

    What it prints goes to the log. Raises OSError if the system starts no process.
    """
    descriptors = [connection.fileno() for connection in (lifeline, *connections)]
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    with _appending(log) as output:
        return subprocess.Popen(
            [sys.executable, *flags, "-P", "-c", START, name, device, str(log), *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=descriptors,
        )


def module_folders() -> list[str]:
    """The folders in which the process finds the modules that this one has: those of sys.path, and sweeper's own.

    A program may have changed its current folder since it imported sweeper from there.
    """
    own = str(Path(__file__).resolve().parents[3])
    return [*sys.path, *([] if own in sys.path else [own])]


@contextmanager
def _appending(log: Path) -> Iterator[int | IO[bytes]]:
    try:
        file = open(log, "ab", buffering=0)  # noqa: SIM115 (it is closed below, and not while it is only opened)
    except OSError:  # no room for another file: a trial needs no log
        yield subprocess.DEVNULL
        return
    with file:
        yield file
