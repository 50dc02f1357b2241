"""Runs `sweeper` in forks of one process that has done the slow imports, and kills a fork at an exact point.

    python driver.py TEMPLATES DESCRIPTOR

reads requests from stdin, one JSON object a line, and answers each with the fork's process id. A fork is a command like
any other, with its own session, signals and workers. Only its imports are already done, and it copies new databases
from the folder TEMPLATES. When it ends, the driver writes its exit code (negative for a signal) to the request's `exit`
file.

Shells' calls of `sweeper` (tests/commands/forked.py) are requests to the Unix socket DESCRIPTOR, each a message with
the three streams of the call. The driver answers with the fork's process id, and with its exit code when it ends.
"""

import atexit
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import termios
import threading
import time
from contextlib import suppress
from functools import partial
from importlib import import_module, reload
from pathlib import Path

SLOW = (
    "mlflow.store.db.utils",
    "optuna",
    "sweeper.cli",
    "sweeper.promotion.run",
    "sweeper.sweep.run",
    "sweeper.cli.tables",
    "tests.tracking.stand_ins",
    "torch._dynamo",  # which exporting a network imports
)
# In bytes: no environment is longer.
LONGEST_MESSAGE = 1 << 17
# Of a request from a shell, which only has arguments, a folder and an environment.
FROM_A_SHELL = {
    "ignored": [],
    "network": None,
    "dataset": None,
    "templates": True,
    "stand_ins": False,
    "constants": {},
    "die": [],
    "largest_file": None,
    "closed": [],
    "gate": None,
    "whole_end": False,
}


def register(description):
    """Adds the tiny data set to the known ones."""
    from sweeper.data.known import catalog

    fields = json.loads(description.read_text())
    for part in ("training", "test"):
        fields[part] = tuple(catalog.DataFile(**file) for file in fields[part])
    dataset = catalog.Dataset(**{**fields, "input_shape": tuple(fields["input_shape"])})
    catalog.DATASETS[dataset.name] = dataset


def die_at(point):
    """Makes this process kill itself, as kill -9 does, before or after one call of a function.

    `point` is ("before" or "after", "module:name", n); n counts the function's calls from 1.
    """
    when, place, number = point
    module_name, _, name = place.partition(":")
    *path, last = name.split(".")
    owner = import_module(module_name)
    for part in path:
        owner = getattr(owner, part)
    function, calls = getattr(owner, last), 0

    def counted(*arguments, **options):
        nonlocal calls
        calls += 1
        this = calls
        if (when, this) == ("before", number):
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if (when, this) == ("after", number):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, counted)


def opened(request):
    """The three streams that the request names."""
    names = [request["stdout"], request["stderr"]]
    written = [os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for name in names]
    return [os.open(request["stdin"], os.O_RDONLY | os.O_NOCTTY), *written]


def run(request, streams=()):
    """Runs the command of a request in this process, with these streams or those that it names; never returns."""
    os.setsid()
    # A test run that a shell started in the background ignores SIGINT, and this process would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    for number, stream in enumerate(streams or opened(request)):
        os.dup2(stream, number)
        os.close(stream)
    if os.isatty(1):
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)  # this terminal hangs up the session when it goes
    os.chdir(request["folder"])
    if streams:
        os.environ.clear()  # a shell's call has all of its environment with it
    os.environ.update(request["environment"])
    if streams:
        reload(import_module("sweeper.tracking"))  # which sets MLflow's variables
    if request["network"]:
        import_module("tests.networks").join(request["network"])
    if request["dataset"]:
        register(Path(request["dataset"]))
    sys.argv = ["sweeper", *request["arguments"]]
    if not request["templates"]:
        import_module("tests.databases").make_all()
    if request["stand_ins"]:
        import_module("tests.tracking.stand_ins").use(import_module("pytest").MonkeyPatch())
    for place, value in request["constants"].items():
        module, _, name = place.partition(":")
        setattr(import_module(module), name, value)
    for point in request["die"]:
        die_at(point)
    if (limit := request["largest_file"]) is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for number in request["closed"]:
        os.close(number)
    gate = request["gate"]
    while gate and not os.path.exists(gate):
        time.sleep(0.001)
    from sweeper.__main__ import main

    code = 1
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    if request["whole_end"]:
        sys.exit(code)
    # What sys.exit does, too, before Python takes the modules apart. That copies the memory that a fork shares with the
    # driver: 0.4 s of processor time, where a command that refuses its options takes 0.05 s.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def serve(listener):
    """Forks a command for every request, and tells of its end."""
    ends = {}  # what is to be done with the exit code, by process
    pending = b""
    while True:
        ready, _, _ = select.select([0, listener], [], [], 0.05)
        if 0 in ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:  # the test process is gone
                for process in ends:
                    os.kill(process, signal.SIGKILL)
                return
            pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            request = json.loads(line)
            process = os.fork()
            if not process:
                run(request)
            ends[process] = partial(record, Path(request["exit"]))
            print(process, flush=True)
        if listener in ready:
            process, shell = fork_for_shell(listener)
            ends[process] = partial(answer, shell)
        while ends:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            ends.pop(process)(os.waitstatus_to_exitcode(status))


def fork_for_shell(listener):
    """Forks the command that a shell calls; returns its process id and the connection that waits for its end."""
    shell, _ = listener.accept()
    message, streams, _, _ = socket.recv_fds(shell, LONGEST_MESSAGE, 3)
    process = os.fork()
    if not process:
        shell.close()
        run(FROM_A_SHELL | json.loads(message), streams)
    for stream in streams:
        os.close(stream)
    shell.send(str(process).encode())
    return process, shell


def record(path, code):
    """Writes the exit code to the file, at once or not at all."""
    path.with_suffix(".part").write_text(str(code))
    path.with_suffix(".part").rename(path)


def answer(shell, code):
    """Tells a shell's call the exit code, if it still waits for it."""
    with shell, suppress(OSError):
        shell.send(str(code).encode())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests import databases, unsynced

    gc.disable()
    for name in SLOW:
        import_module(name)
    gc.freeze()  # a collection in a fork would copy the memory of all that is imported
    gc.enable()
    databases.copy_from(Path(sys.argv[1]))
    unsynced.databases()
    unsynced.files()
    with socket.socket(fileno=int(sys.argv[2])) as listener:
        listener.set_inheritable(False)
        serve(listener)
