"""A real `mlflow server` that can be killed and started again, at an address with a password."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.commands.processes import wait_for

SECRET = "s3cr3t-0f-a-server"


class Server:
    """`mlflow server` on a port of this machine, with its database and artifacts in `folder`."""

    def __init__(self, folder: Path, tables: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copyfile(tables, folder / "server.db")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # The server asks for no password, but every client sends this one and could leak it.
        self.uri = f"http://sweeper:{SECRET}@127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server, if it does not run, and waits until it answers."""
        if self._process is not None:
            return
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        stored = f"sqlite:///{self.folder}/server.db", "--artifacts-destination", str(self.folder / "artifacts")
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *place, "--backend-store-uri", *stored],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "DO_NOT_TRACK": "true"},
                start_new_session=True,
            )
        wait_for("the MLflow server", self._answers)

    @property
    def plain_uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.plain_uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """Sends kill -9 to the server and all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
