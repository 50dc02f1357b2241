"""Runs `sweeper` in forks of one process that has done the slow imports, and kills a fork at an exact point.

    python driver.py DATASET.json TEMPLATES

reads requests from stdin, one JSON object a line, and answers each with the fork's process id. A fork is a command like
any other, with its own session, signals and workers. Only its imports are already done, and it copies new databases
from the folder TEMPLATES. When it ends, the driver writes its exit code (negative for a signal) to the request's `exit`
file.
"""

import fcntl
import gc
import json
import os
import resource
import select
import signal
import sys
import termios
import time
from importlib import import_module
from pathlib import Path

SLOW = (
    "mlflow.store.db.utils",
    "optuna",
    "sweeper.cli",
    "sweeper.promotion.run",
    "sweeper.sweep.run",
    "sweeper.cli.tables",
    "tests.tracking.stand_ins",
)


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


def run(request):
    """Runs the command of a request in this process; never returns."""
    os.setsid()
    # A test run that a shell started in the background ignores SIGINT, and this process would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    for name, number in (("stdout", 1), ("stderr", 2)):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, number)
        os.close(file)
    if os.isatty(1):
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)  # this terminal hangs up the session when it goes
    os.dup2(os.open(request["stdin"], os.O_RDONLY | os.O_NOCTTY), 0)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
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
    # sys.exit waits for threads and runs exit handlers, as at the end of any command.
    sys.exit(code)


def serve():
    """Forks a command for every request, and records its exit code."""
    ends = {}
    pending = b""
    while True:
        if select.select([0], [], [], 0.05)[0]:
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
            ends[process] = Path(request["exit"])
            print(process, flush=True)
        while ends:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            path = ends.pop(process)
            path.with_suffix(".part").write_text(str(os.waitstatus_to_exitcode(status)))
            path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests import databases

    register(Path(sys.argv[1]))
    gc.disable()
    for name in SLOW:
        import_module(name)
    gc.freeze()  # a collection in a fork would copy the memory of all that is imported
    gc.enable()
    databases.copy_from(Path(sys.argv[2]))
    serve()
