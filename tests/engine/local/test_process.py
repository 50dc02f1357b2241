"""Each program starts a worker's process, which ends because no setup comes; none asks for `__name__`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, sys
from pathlib import Path

folder = Path(os.environ["FOLDER"])
with open(folder / "runs", "a") as file:
    print("the program runs", file=file)
from multiprocessing import Pipe
from sweeper.engine.local.process import module_folders, start

os.chdir(folder / "elsewhere")
(ours, theirs), (their_lifeline, lifeline) = Pipe(), Pipe(duplex=False)
process = start("sweeper-worker-0", "cpu", folder / "log", their_lifeline, [theirs])
theirs.close()
ours.send(module_folders())
ours.close()
sys.exit(process.wait())
"""


@pytest.fixture
def run(tmp_path):
    """Runs a program with these arguments, in the project's folder; gives the lines of the file `runs`."""
    (tmp_path / "elsewhere").mkdir()

    def run(*arguments, **options):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment | {"FOLDER": str(tmp_path)}, **options
        )
        log = (tmp_path / "log").read_text()
        assert (done.returncode, done.stdout, done.stderr, log) == (0, "", "", "")
        return (tmp_path / "runs").read_text().splitlines()

    return run


def test_worker_of_a_script_does_not_run_the_script_again(run, tmp_path):
    script = tmp_path / "größe 猫.py"
    script.write_text(f"import sys\nsys.path.append({str(ROOT)!r})\n{PROGRAM}")
    assert run(script) == ["the program runs"]


def test_worker_starts_from_a_command_and_finds_sweeper_after_a_change_of_folder(run):
    assert run("-c", PROGRAM) == ["the program runs"]


def test_worker_starts_from_a_program_on_stdin(run):
    assert run("-", input=PROGRAM) == ["the program runs"]


def test_worker_imports_nothing_from_the_current_folder_on_its_own(run, tmp_path):
    (tmp_path / "elsewhere" / "socket.py").write_text("raise SystemExit('run')")
    assert run("-c", PROGRAM) == ["the program runs"]


def test_what_a_worker_prints_is_in_its_log(tmp_path):
    (tmp_path / "elsewhere" / "sweeper").mkdir(parents=True)
    (tmp_path / "elsewhere" / "sweeper" / "__init__.py").write_text("raise SystemExit('what the worker prints')")
    code = PROGRAM.replace("ours.send(module_folders())", "ours.send([str(folder / 'elsewhere'), *module_folders()])")
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"FOLDER": str(tmp_path)}, capture_output=True
    )
    assert (tmp_path / "log").read_text() == "what the worker prints\n"
