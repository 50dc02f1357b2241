"""A real `mlflow server` and a real PostgreSQL that can be ended and started again, at addresses with a password."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.commands.processes import wait_for

SECRET = "s3cr3t-0f-a-server"


class Server:
    """`mlflow server` on a port of this machine, with its database and artifacts in `folder`."""

    def __init__(self, folder: Path, tables: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copyfile(tables, folder / "server.db")
        self.port = _free_port()
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
                # MLflow's jobs are eight more processes, for language models.
                env={**os.environ, "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
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


class Postgres:
    """A PostgreSQL server on a port of this machine. It runs as another user, because it refuses root."""

    # Debian keeps the server's programs outside PATH.
    PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path(shutil.which("initdb") or "/none/x").parent)

    def __init__(self) -> None:
        self.port, self.folder = _free_port(), Path(tempfile.mkdtemp(prefix="sweeper-postgres-"))
        self._user: dict[str, object] = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        (self.folder / "password").write_text(SECRET)
        (self.folder / "password").chmod(0o644)
        self._run("initdb", "-U", "sweeper", "-A", "scram-sha-256", f"--pwfile={self.folder / 'password'}", "-N")

    def url(self, database: str) -> str:
        """The address of a new database, which has no tables."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "sweeper", database)
        return f"postgresql+psycopg://sweeper:{SECRET}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server, and waits until it takes connections."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str) -> None:
        """Ends the server: "fast" ends its connections first, "immediate" does not, and its start is a recovery."""
        self._run("pg_ctl", "-w", "-m", how, "stop")

    def remove(self) -> None:
        """Ends the server, and deletes its files."""
        with suppress(subprocess.CalledProcessError):  # it does not run
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "PGDATA": str(self.folder / "data"), "PGPASSWORD": SECRET}
        command = [str(self.PROGRAMS / program), *arguments]
        with open(self.folder / "programs.log", "ab") as log:
            subprocess.run(command, check=True, cwd=self.folder, env=environment, stdout=log, stderr=log, **self._user)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
