"""A Ray cluster of nodes with one CPU each, on addresses of this machine."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

# Ray takes 127.0.0.1 for the machine's outside address.
ADDRESS = "127.0.0.{}"
FIRST = 21
STARTED = "Ray runtime started"
START_SECONDS = 60.0


class RayNodes:
    """Starts nodes as asked, the head first, and ends all of them at the end of the block."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._nodes: list[subprocess.Popen[bytes]] = []
        (self._folder / "token").write_text(os.urandom(16).hex())
        with socket.socket() as free:
            free.bind((ADDRESS.format(FIRST), 0))
            self.address = f"{ADDRESS.format(FIRST)}:{free.getsockname()[1]}"
        # Also for this process, which connects to them.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._folder / "token")}

    def __enter__(self) -> Self:
        return self

    def start(self) -> float:
        """Starts one more node, the first time the head, which has no CPU; returns after how many seconds it ran."""
        number, began = len(self._nodes), time.perf_counter()
        role = [f"--address={self.address}", "--num-cpus=1"]
        if number == 0:
            role = ["--head", f"--port={self.address.partition(':')[2]}", "--num-cpus=0", "--include-dashboard=false"]
        place, log = self._folder / str(number), self._folder / f"{number}.log"
        place.mkdir()
        with open(log, "wb") as output:
            node = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
                 f"--node-ip-address={ADDRESS.format(FIRST + number)}", f"--node-name=node-{number}",
                 f"--temp-dir={place}", "--object-store-memory=400000000", *role],
                stdout=output, stderr=output, env={**os.environ, "RAY_worker_niceness": "0"}, start_new_session=True,
            )  # fmt: skip
        self._nodes.append(node)
        while STARTED not in log.read_text():
            if node.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise SystemExit(f"node {number} does not start:\n{log.read_text()}")
            time.sleep(0.02)
        return time.perf_counter() - began

    def __exit__(self, *error: object) -> None:
        for node in reversed(self._nodes):
            node.terminate()
            node.wait()
        self._temporary.cleanup()
