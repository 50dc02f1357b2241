"""Commands as processes that a test can watch and kill. The driver starts them; none outlives its test."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

DRIVER, FORKED = (Path(__file__).with_name(name) for name in ("driver.py", "forked.py"))
# In seconds; long enough for a slow machine, so that only a hang exceeds it.
DEADLINE = 240.0
STUDY = "tiny"


def wait_for(what: str, found: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """The first true value of `found()`; AssertionError that names `what` if there is none in time."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
    return value


def is_alive(process: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(process: int) -> list[int]:
    """The ids of the living child processes."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(child) for child in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [child for child in found if is_alive(child)]


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill(process: int) -> None:
    """Sends kill -9; does nothing if the process has already ended."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


class Command:
    """A started command. Its output goes to files, so that no test must read it while the command runs."""

    def __init__(self, process: int, folder: Path) -> None:
        self.process, self.folder = process, folder

    @property
    def stdout(self) -> str:
        path = self.folder / "stdout"
        return path.read_text() if path.exists() else ""

    def handles(self, number: int) -> bool:
        """Whether the process has a handler of its own for the signal."""
        try:
            status = Path(f"/proc/{self.process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        return bool(int(caught, 16) >> (number - 1) & 1)

    @property
    def stderr(self) -> str:
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else ""

    @property
    def exit_code(self) -> int | None:
        """The exit code; negative if a signal ended the command, None while it runs."""
        path = self.folder / "exit"
        return int(path.read_text()) if path.exists() else None

    def workers(self) -> list[int]:
        """The living worker processes."""
        return [child for child in children(self.process) if "sweeper-worker" in command_line(child)]

    def says(self, text: str, seconds: float = DEADLINE, times: int = 1) -> None:
        """Waits until the command has written `text` to stderr, `times` times."""

        def found() -> bool:
            said = self.stderr.count(text) >= times
            assert said or self.exit_code is None, f"ended with {self.exit_code} before saying {text!r}:\n{self.stderr}"
            return said

        wait_for(f"{text!r} on stderr", found, seconds)

    def signal_group(self, number: int) -> None:
        """Sends a signal to the whole process group, as Ctrl-C in a terminal does."""
        os.killpg(self.process, number)

    def kill(self) -> None:
        """Sends kill -9 to this process alone: its workers become orphans."""
        kill(self.process)
        assert self.wait() == -signal.SIGKILL

    def wait(self, seconds: float = DEADLINE) -> int:
        """Waits for the end and returns the exit code. Fails on a traceback, unless a signal ended the process."""
        wait_for(f"the end of the command in {self.folder}", lambda: self.exit_code is not None, seconds)
        code = self.exit_code
        assert code is not None
        assert code < 0 or "Traceback" not in self.stderr, self.stderr
        return code

    def ended(self, code: int = 0, seconds: float = DEADLINE) -> "Command":
        """Waits for the end; fails if the exit code is another."""
        assert self.wait(seconds) == code, f"exit code {self.exit_code}, not {code}:\n{self.stdout}\n{self.stderr}"
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Driver:
    """The process that forks the commands, and all that it has started."""

    def __init__(self, folder: Path, dataset: Any, templates: Path) -> None:
        self.folder, self.mark, self.started = folder, f"test-{uuid4().hex}", 0
        self.whole_end = False  # whether Python takes its modules apart at the end of a command
        self._description = folder / "dataset.json"
        self._description.write_text(json.dumps(asdict(dataset)))
        without = ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "SWEEPER_STORE")
        environment = {name: value for name, value in os.environ.items() if name not in without}
        # Child processes inherit the mark, which makes orphans easy to find.
        environment |= {"SWEEPER_TEST_MARK": self.mark, "DO_NOT_TRACK": "true", "COLUMNS": "200"}
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as calls:
            calls.bind(f"\0{self.mark}")
            calls.listen()
            self._process = subprocess.Popen(
                [sys.executable, str(DRIVER), str(templates), str(calls.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                pass_fds=[calls.fileno()],
                start_new_session=True,
            )

    def start(
        self,
        *arguments: object,
        die: tuple[str, str, int] | None = None,
        largest_file: int | None = None,
        gate: Path | None = None,
        dataset: Path | None = None,
        terminal: str | None = None,
        output: str | None = None,
        closed: Sequence[int] = (),
        ignored: Sequence[int] = (),
        stand_ins: bool = False,
        templates: bool = True,
        constants: Mapping[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
        network: str | None = None,
    ) -> Command:
        """Starts `sweeper ARGUMENTS`.

        `die`: the point at which the command kills itself, as in driver.die_at. `largest_file`: its RLIMIT_FSIZE in
        bytes. `gate`: a file; the command starts once it exists. `dataset`: a JSON file that describes another tiny
        data set. `terminal`: the device that the command reads from. `output`: the terminal that it writes to, and that
        hangs it up when it closes. `closed`: the numbers of its closed streams. `ignored`: the signals that it ignores
        from the start. With `stand_ins`, it draws and exports nothing. Without `templates`, it creates the tables of
        new databases itself. `constants`: other values of constants ("module:NAME") in the command's own process, such
        as the seconds that it waits. `environment`: more environment variables. `network`: the file of a network
        (tests/networks.py), in which it runs.
        """
        self.started += 1
        folder = self.folder / f"command-{self.started}-{arguments[0]}"
        (folder / "cwd").mkdir(parents=True)
        request = {
            **{name: output or str(folder / name) for name in ("stdout", "stderr")},
            "exit": str(folder / "exit"),
            "folder": str(folder / "cwd"),
            "arguments": [str(argument) for argument in arguments],
            "die": [die] if die else [],
            "largest_file": largest_file,
            "gate": str(gate) if gate else None,
            "dataset": str(dataset or self._description),
            "stdin": terminal or os.devnull,
            "closed": list(closed),
            "ignored": list(ignored),
            "stand_ins": stand_ins,
            "templates": templates,
            "constants": dict(constants or {}),
            "environment": dict(environment or {}),
            "network": network,
            "whole_end": self.whole_end,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return Command(int(self._process.stdout.readline()), folder)

    def programs(self) -> Path:
        """A folder with a program `sweeper` that is a fork of the driver; it knows no data set "tiny"."""
        program = self.folder / "bin" / "sweeper"
        if not program.exists():
            program.parent.mkdir()
            command = shlex.join([sys.executable, "-IS", str(FORKED), self.mark])
            program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            program.chmod(0o755)
        return program.parent

    def survivors(self) -> list[int]:
        """All living processes with the mark, except the driver itself."""
        return [process for process in self._marked() if process != self._process.pid]

    def clear(self) -> None:
        """Kills all processes that a test has left running."""
        for process in self.survivors():
            kill(process)

    def close(self) -> None:
        """Kills the driver and all that it has started."""
        self.clear()
        self._process.kill()
        self._process.wait()

    def _marked(self) -> Iterator[int]:
        mark = f"SWEEPER_TEST_MARK={self.mark}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                marked = mark in path.read_bytes()
            except OSError:
                continue
            if marked and is_alive(int(path.parent.name)):
                yield int(path.parent.name)
