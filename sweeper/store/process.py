"""The identity of a process, by which others find out whether it still runs."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    `machine` names the boot and the namespace in which `pid` means this process; it is empty where the system tells
    neither. `started` is when the process began, in clock ticks after the boot: another one with its pid has another.
    """

    host: str
    machine: str
    pid: int
    started: int

    def lives(self) -> bool | None:
        """Whether the process still runs; None if that cannot be told from here, because it is on another machine."""
        if not self.machine or self.machine != _machine():
            return None
        return _started(self.pid) == self.started


def this_process() -> Process:
    """The identity of this process."""
    return Process(socket.gethostname(), _machine(), os.getpid(), _started(os.getpid()) or 0)


def _machine() -> str:
    try:
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """When the process began; None if there is no such process, or it has ended and is only not yet waited for."""
    try:
        # The second field, the program's name, may contain spaces and parentheses.
        state, *fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in ("Z", "X") else int(fields[18])
