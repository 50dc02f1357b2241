"""Each case is a process of its own, because it replaces the standard streams."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = "import os, sys\nfrom pathlib import Path\nfrom sweeper.process import streams\nstreams.secure()\n"


def run(body, *arguments, redirected="", **how):
    """The body's process, with its streams redirected by the shell; its terminal, if it has one, is gone."""
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-c", START + body, *map(str, arguments)]
    return subprocess.run(command, text=True, timeout=240, env=os.environ | {"PYTHONPATH": str(ROOT)}, **how)


@pytest.fixture
def lost_terminal():
    """A terminal that nobody has at the other end: writing to it fails with EIO."""
    ours, theirs = os.openpty()
    os.close(ours)
    yield theirs
    os.close(theirs)


def test_file_never_takes_the_place_of_a_closed_stream(tmp_path):
    body = """
with open(sys.argv[1], "w") as file:
    print("progress", file=sys.stderr, flush=True)
    os.write(2, b"library")
    print(file.fileno() > 2, file=file)
"""
    assert run(body, tmp_path / "database", redirected="<&- >&- 2>&-").returncode == 0
    assert (tmp_path / "database").read_text() == "True\n"


def test_with_stderr_closed_stdout_gets_only_what_is_meant_for_it():
    ended = run("print('note', file=sys.stderr); print('{}')", redirected="2>&-", stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (0, "{}\n")


def test_what_a_lost_terminal_does_not_take_goes_to_the_file(tmp_path, lost_terminal):
    body = """
streams.keep_rest_in(Path(sys.argv[1]))
print("a result")
print("progress", file=sys.stderr)
streams.write_line("a signal")
print(sys.stderr.isatty(), file=sys.stderr)
"""
    log = tmp_path / "logs" / "log"
    assert run(body, log, stdout=lost_terminal, stderr=lost_terminal).returncode == 0
    assert sorted(log.read_text().splitlines()) == ["False", "a result", "a signal", "progress"]


def test_file_gets_no_colours_and_cursor_movements_that_were_meant_for_the_terminal(tmp_path, lost_terminal):
    body = """
streams.keep_rest_in(Path(sys.argv[1]))
for _ in range(2):
    print("\\x1b[2K\\x1b[1A\\x1b[1;31mtrial 0\\x1b[0m \\x1b]8;;http://x\\x1b\\\\[link]\\x1b]8;;\\x07", file=sys.stderr)
"""
    log = tmp_path / "log"
    assert run(body, log, stderr=lost_terminal).returncode == 0
    assert log.read_text() == "trial 0 [link]\n" * 2


@pytest.mark.parametrize("place", ["/dev/null/log", None])
def test_without_a_file_for_it_the_rest_is_dropped(place, lost_terminal):
    body = "streams.keep_rest_in(Path(sys.argv[1]))\n" if place else ""
    ended = run(body + "print('progress', file=sys.stderr)", place, stderr=lost_terminal)
    assert ended.returncode == 0


def test_reader_of_stderr_that_is_gone_ends_no_command():
    reader, writer = os.pipe()
    os.close(reader)
    ended = run("print('progress', file=sys.stderr); print('done')", stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert (ended.returncode, ended.stdout) == (0, "done\n")


def test_result_that_finds_no_room_or_no_reader_is_an_error():
    body = """
try:
    print("result", flush=True)
except OSError as error:
    print(type(error).__name__, error.errno, file=sys.stderr)
    sys.exit(1)  # flushes once more
"""
    ended = run(body, redirected="> /dev/full", stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (1, "NoRoomForResults 28\n")
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(body, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "BrokenPipeError 32\n")


def test_pipe_that_another_program_made_non_blocking_loses_nothing():
    text = "x" * 3_000_000
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = subprocess.Popen(
        [sys.executable, "-c", START + f"print('x' * {len(text)}, file=sys.stderr)"],
        stderr=writer,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    with open(reader) as stream:
        assert stream.read() == text + "\n"
    assert process.wait(240) == 0


SHOWN = """
import logging, warnings
from sweeper.store.shown import shown
streams.secure(shown)
"""


def test_whatever_prints_a_text_shows_no_secret_and_no_command_to_a_terminal():
    body = """
text = "\\x1b]0;x\\x07 at http://me:hunter2@host \\x9b \\u202e \\udc80"
print(text)
sys.stdout.writelines([text])
import click
click.echo(text)
click.echo(text, err=True)
warnings.warn(text)
logging.error(text)
from threading import Thread
def fail(): raise ValueError(text)
thread = Thread(target=fail)
thread.start(); thread.join()
try:
    fail()
except ValueError as error:
    raise OSError(text) from error
"""
    for encoding in ("utf-8", "ascii", "latin-1:backslashreplace"):
        env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", START + SHOWN + body], capture_output=True, env=env, timeout=240)
        assert done.returncode == 1
        seen = rb"\x1b]0;x\x07 at http://me:***@host \x9b \u202e \udc80"
        assert done.stdout.count(seen) == 3, done
        assert done.stderr.count(seen) >= 6, done
        for output in (done.stdout, done.stderr):
            assert b"hunter2" not in output
            assert b"\x1b" not in output


@pytest.mark.parametrize(("given", "colours"), [({}, "0"), ({"PYTHON_COLORS": "1"}, "1")])
def test_python_is_asked_for_tracebacks_without_colours_which_would_be_escaped(given, colours):
    env = {name: value for name, value in os.environ.items() if name != "PYTHON_COLORS"} | given
    body = (
        "import subprocess\nsubprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"PYTHON_COLORS\"])'])"
    )
    command = [sys.executable, "-c", START + body]
    done = subprocess.run(command, capture_output=True, text=True, env=env | {"PYTHONPATH": str(ROOT)}, timeout=240)
    assert (done.stdout, done.returncode) == (f"{colours}\n", 0)


def test_console_of_ours_may_still_colour():
    body = """
from sweeper.display.console import PlainConsole
from rich.text import Text
console = PlainConsole(sys.stdout, force_terminal=True, color_system="standard", no_color=False)
console.print(Text("ok \\x1b[2J", style="green"))
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", START + SHOWN + body], capture_output=True, env=env, timeout=240)
    assert done.stdout == b"\x1b[32mok \\x1b[2J\x1b[0m\n", done
