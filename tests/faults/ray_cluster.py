"""A real Ray cluster on loopback addresses: a head without CPUs, and nodes with one each, that a test kills."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.commands.processes import command_line, kill, wait_for
from tests.networks import Network, joined

# Ray takes 127.0.0.1 for the machine's outside address.
ADDRESSES = "127.0.0.11", "127.0.0.12", "127.0.0.13"
TOKEN = "0123456789abcdef" * 2
# A killed node is noticed after some two seconds, not fifteen.
HEALTH = {"initial_delay_ms": 1000, "period_ms": 500, "timeout_ms": 2000, "failure_threshold": 3}


class RayCluster:
    """The head is node 0. Each node is a session of processes with its own folders.

    Ray listens on all addresses of a machine. So the cluster has a network of its own where that can be made; `network`
    is its file, for commands that join it, or None.
    """

    def __init__(self, folder: Path) -> None:
        # Ray's sockets lie in it, and the names of sockets must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        (self._folder / "token").write_text(TOKEN)
        self._logs = folder
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._network = Network.made()
        self.network = None if self._network is None else self._network.file
        with joined(self.network), socket.socket() as free:
            free.bind((ADDRESSES[0], 0))
            self.address = f"{ADDRESSES[0]}:{free.getsockname()[1]}"
        self.environment = {"RAY_AUTH_TOKEN_PATH": str(self._folder / "token")}
        self.options = ("--engine", "ray", "--ray-address", self.address)

    def start(self, number: int) -> None:
        """Starts a node, if it does not run, and waits until it has joined. One at a time: Ray's ports may collide."""
        if number in self._nodes:
            return
        place = self._folder / str(number)
        (place / "tmp").mkdir(parents=True, exist_ok=True)
        port = self.address.partition(":")[2]
        role = [f"--address={self.address}", "--num-cpus=1"]
        if number == 0:
            role = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false"]
        environment = {
            **os.environ,
            **self.environment,
            **{f"RAY_health_check_{name}": str(value) for name, value in HEALTH.items()},
            "RAY_AUTH_MODE": "token",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
            "RAY_memory_monitor_refresh_ms": "0",  # other tests may take the memory
            "RAY_worker_niceness": "0",  # and the processor
            "TMPDIR": str(place / "tmp"),
        }
        log = self._logs / f"node-{number}.log"
        there = [] if self.network is None else ["nsenter", f"--net={self.network}"]
        with open(log, "wb") as output:
            self._nodes[number] = subprocess.Popen(
                [*there, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
                 f"--node-ip-address={ADDRESSES[number]}", f"--node-name=node-{number}", f"--temp-dir={place}",
                 "--object-store-memory=80000000", "--include-log-monitor=false", *role],
                stdout=output, stderr=output, env=environment, start_new_session=True,
            )  # fmt: skip
        process = self._nodes[number]
        wait_for(f"node {number}", lambda: "Ray runtime started" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()

    def actors(self, number: int) -> list[int]:
        """The processes of sweeper's actors on a node."""
        return [process for process in self._session(number) if "ray::Worker" in command_line(process)]

    def kill(self, number: int) -> None:
        """Kills everything of a node at once, as if its power had failed."""
        for process in self._session(number):
            kill(process)
        self._nodes.pop(number).wait()

    def shut_down(self, number: int) -> None:
        """Sends SIGTERM to a node, as a batch system does, and waits for its end."""
        process = self._nodes.pop(number)
        process.send_signal(signal.SIGTERM)
        process.wait()

    def left_behind(self, number: int) -> list[Path]:
        """The folders of actors on a node."""
        return list((self._folder / str(number) / "tmp").glob("sweeper-ray-*/actor-*"))

    def close(self) -> None:
        """Kills all nodes and deletes their files."""
        for number in [*self._nodes]:
            self.kill(number)
        if self._network is not None:
            self._network.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _session(self, number: int) -> list[int]:
        return list(_of_session(self._nodes[number].pid))


def _of_session(leader: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            session = int(path.read_text().rpartition(")")[2].split()[3])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if session == leader:
            yield int(path.parent.name)
