"""Each case is a process of its own, because it installs handlers and ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.process.signals import SIGNALS

ROOT = Path(__file__).parents[2]
START = """
import os, signal, sys, time
from pathlib import Path
from sweeper.process import ending, signals, streams
def default():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
default()
streams.secure()
signals.install()
"""


def run(body, *arguments):
    command = [sys.executable, "-c", START + body, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_ends_the_process_with_its_code_and_one_line(number):
    ended = run("os.kill(os.getpid(), int(sys.argv[1])); time.sleep(240)", int(number))
    assert (ended.returncode, ended.stdout) == (128 + number, "")
    assert ended.stderr == f"Interrupted by {number.name}\n"


def test_what_is_written_under_a_temporary_name_is_deleted(tmp_path):
    body = """
    folder = Path(sys.argv[1])
    (folder / "folder").mkdir()
    (folder / "folder" / "file").touch()
    (folder / "file").touch()
    (folder / "kept").touch()
    ending.unfinished.update([folder / "folder", folder / "file", folder / "absent"])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(240)
    """
    assert run("if True:" + body, tmp_path).returncode == 143
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


BLOCKED = """
import ctypes
signals.PATIENCE_SECONDS = 0.1
# A call into C that returns to Python only after its time, as a wait for a locked database does.
"""


def test_process_that_cannot_handle_a_signal_is_ended_all_the_same():
    body = (
        BLOCKED
        + """
from threading import Timer
libc = ctypes.CDLL(None)
Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
lock = ctypes.create_string_buffer(256)
libc.pthread_mutex_lock(lock)
libc.pthread_mutex_lock(lock)  # for ever: a signal does not end the wait for a mutex
"""
    )
    ended = run(body)
    assert ended.returncode == 143
    assert ended.stderr == "Interrupted by SIGTERM\n"


def test_request_that_is_not_obeyed_in_time_ends_the_process_with_the_advice():
    body = """
signals.PATIENCE_SECONDS = 0.1
with signals.handled(lambda number, frame: None, lambda: False, "; and now?"):
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(240)
"""
    ended = run(body)
    assert ended.returncode == 129
    assert ended.stderr == "Interrupted by SIGHUP; and now?\n"


def test_command_that_ends_by_itself_gets_all_the_time_it_needs():
    body = """
signals.PATIENCE_SECONDS = 0.1
with signals.handled(lambda number, frame: None, lambda: True, ""):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)
signals.ignore()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.5)
print("done")
"""
    ended = run(body)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
