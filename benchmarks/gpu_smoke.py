"""Whether sweeper trains rightly on this GPU at all, in five minutes: for the first minutes on a card.

    python benchmarks/gpu_smoke.py

Most telling first, each section in a process of its own with a time limit: the tests of CUDA graphs; 16 threads that
train trials in turn; graphs for 1 to 32 trainings at once, with 32 and with 8 hardware queues; processes without
graphs, in both memory layouts; faults of a trial beside others; a whole search. What a section finds is in the file of
results at once, so it is kept when the time is over, or when this script is cut off; `--table FILE` prints it. Speeds
are of one short measurement: `benchmarks/gpu.py` measures.

Runs in a checkout without an installation. It needs PyTorch 2.11 or newer, pytest for the first section, and Optuna and
MLflow for the last.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import in_checkout  # noqa: F401 (before sweeper)

ROOT = Path(__file__).resolve().parents[1]
SECTIONS_FILE = Path(__file__).with_name("gpu_smoke_sections.py")
TESTS = "tests/training/test_cuda_graphs_on_gpu.py"


@dataclass(frozen=True)
class Section:
    """A part of the run, in a process of its own for at most `seconds`; `command` gets the file of results last."""

    name: str
    seconds: float
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def sections() -> list[Section]:
    """The sections, most telling first."""

    def own(name: str, part: str, seconds: float, **environment: str) -> Section:
        return Section(name, seconds, [sys.executable, str(SECTIONS_FILE), part, name], environment)

    return [
        own("tests of graphs", "graph_tests", 90),
        own("16 threads, trials in turn", "turnover", 50),
        own("graphs, 32 queues", "graphs", 40, CUDA_DEVICE_MAX_CONNECTIONS="32"),
        own("graphs, 8 queues", "graphs", 40, CUDA_DEVICE_MAX_CONNECTIONS="8"),
        own("processes without graphs", "processes", 70),
        own("a step that waits for the GPU, beside three", "waiting_step", 25),
        own("a trial without memory, beside three", "out_of_memory", 25),
        own("a call that CUDA refuses, beside three", "refused_call", 25),
        own("a search", "search", 60),
    ]


def append(results: Path, section: str, what: str, found: str) -> None:
    """Adds a row to the file of results, on the disk before this returns."""
    with open(results, "a", encoding="utf-8") as file:
        file.write(json.dumps({"section": section, "what": what, "found": found}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def table(results: Path) -> str:
    """The rows of the file of results as one table: of the same section and thing the last, and no line cut off."""
    rows: dict[tuple[str, str], str] = {}
    for line in results.read_text(encoding="utf-8").splitlines() if results.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["section"], row["what"]] = row["found"]
    lines = ["| section | what | found |", "|---|---|---|"]
    for (section, what), found in rows.items():
        lines.append(
            "| " + " | ".join(" ".join(cell.split()).replace("|", "/") for cell in (section, what, found)) + " |"
        )
    return "\n".join(lines)


def run(section: Section, results: Path, end: float) -> None:
    """Runs a section until its time or the whole run's is over, and adds how it ended, unless it did so by itself."""
    left = min(section.seconds, end - time.monotonic())
    if left <= 0:
        append(results, section.name, "-", "not run: no time left")
        return
    process = subprocess.Popen(
        [*section.command, str(results)],
        env={**os.environ, **section.environment},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the processes that it starts end with it
    )
    try:
        _, errors = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        _kill(process)
        append(results, section.name, "-", f"cut off after {left:.0f} s")
        return
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        said = errors.strip().splitlines() or ["no message"]
        append(results, section.name, "-", f"failed with exit code {process.returncode}: {said[-1]}")


def _kill(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, 9)
    process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="end by then")
    parser.add_argument("--results", type=Path, default=Path("gpu_smoke.jsonl"), help="file that rows are added to")
    parser.add_argument("--table", type=Path, help="only print the table of this file")
    chosen = parser.parse_args(arguments)
    if chosen.table is not None:
        print(table(chosen.table))
        return 0
    end = time.monotonic() + 60 * chosen.minutes
    import torch

    if not torch.cuda.is_available():
        print("gpu_smoke.py: torch sees no CUDA device", file=sys.stderr)
        return 2
    results = chosen.results.resolve()
    results.unlink(missing_ok=True)
    found = f"torch {torch.__version__}, CUDA {torch.version.cuda}, {os.cpu_count()} cores, {date.today()}"
    append(results, "machine", torch.cuda.get_device_name(), found)
    for section in sections():
        run(section, results, end)
    print(table(results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
