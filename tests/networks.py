"""Networks of their own for servers that listen on all addresses of a machine; root can make them."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

CLONE_NEWNET = 0x40000000  # of <sched.h>
# Names are resolved only where an address is no loopback one. Nobody answers at this one, which is for documentation.
SETUP = "ip link set lo up && ip address add 192.0.2.1/32 dev lo && echo made && exec cat"


class Network:
    """A network that reaches nothing outside, with the addresses 127.0.0.0/8; it ends with `close` or this process."""

    def __init__(self, holder: subprocess.Popen[bytes]) -> None:
        self._holder = holder

    @classmethod
    def made(cls) -> Self | None:
        """A new network; None where it cannot be made."""
        if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
            return None
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", SETUP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert holder.stdout is not None
        if holder.stdout.readline():
            return cls(holder)
        holder.wait()
        return None

    @property
    def file(self) -> str:
        """The file by which a process joins the network."""
        return f"/proc/{self._holder.pid}/ns/net"

    def close(self) -> None:
        """Ends the network, once no process is in it any more."""
        self._holder.kill()
        self._holder.communicate()


def join(file: str) -> None:
    """Moves this thread, and those that it starts from now on, into the network of this file."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network {file} cannot be joined")
    finally:
        os.close(descriptor)


@contextmanager
def joined(file: str | None) -> Iterator[None]:
    """Runs the block in the network of this file; None is the network that the thread is in."""
    if file is None:
        yield
        return
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    join(file)
    try:
        yield
    finally:
        join(f"/proc/self/fd/{before}")
        os.close(before)
