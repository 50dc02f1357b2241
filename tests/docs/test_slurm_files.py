"""The files for Slurm in docs/how-to/cluster.md, with stand-ins for the programs that they call."""

import os
import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/cluster.md"


def file_of(name):
    """The text of a file that the page shows."""
    return re.search(rf"^`{re.escape(name)}`:\n\n```bash\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]


def test_head_sh_passes_its_address_in_a_variable_not_as_an_option(tmp_path):
    """The command with which a stopped search goes on is for the next job, whose head has another address."""
    programs, called = tmp_path / "programs", tmp_path / "called"
    programs.mkdir()
    for name in ("ray", "sbatch", "scancel", "pkill", "sleep", "sweeper"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $* address=$RAY_ADDRESS" >> {called}\n')
        (programs / name).chmod(0o755)
    (tmp_path / "sweeper-venv/bin").mkdir(parents=True)
    (tmp_path / "sweeper-venv/bin/activate").touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    subprocess.run(
        ["bash", "-c", file_of("head.sh"), "head.sh", "search", "tiny data", "--trials", "5"], check=True, cwd=tmp_path,
        env={**environ, "HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "990004711"},
    )  # fmt: skip
    lines = called.read_text().splitlines()
    [line] = [line for line in lines if line.startswith("sweeper ")]
    command, _, address = line.partition(" address=")
    assert command == "sweeper search tiny data --trials 5 --engine ray --jobs 16"
    assert re.fullmatch(r"[^:]+:24711", address)
    # The nodes find the head by the argument of their file.
    assert [line for line in lines if line.startswith("sbatch ") and line.endswith(f"node.sh {address} address=")]
    assert [line for line in lines if line.startswith("ray start --head --port=24711 ")]
