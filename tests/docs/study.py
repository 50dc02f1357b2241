"""One small study that is searched, promoted, tested and ablated, by every command that prints JSON."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from sweeper.cli import main
from tests.docs import data

STUDY = "shapes-lenet5"
MODEL = f"sweeper-{STUDY}@champion"
HERE = "--engine inline --device cpu"
SEARCH = f"search shapes --trials 4 --epochs 2 {HERE} --pruner none --set optimizer=adam,sgd --set activation=relu"
VARIANTS = f"search shapes --variants-only --space lenet5_steps --set optimizer=adam --epochs 1 {HERE} --study variants"
# In order, each with the words that name its schema.
COMMANDS = (
    ("data info", "data info shapes --log --json"),
    ("search", f"{SEARCH} --dry-run --json"),
    ("search", f"{SEARCH} --json"),
    ("search", f"{VARIANTS} --folds 2 --json"),
    ("train", f"train shapes --epochs 1 {HERE} --json"),
    ("train", f"train --from {STUDY}:1 {HERE} --json"),
    ("promote", f"promote {STUDY} --top 1 --seeds 2 --test {HERE} --json"),
    ("promotions", f"promotions {STUDY} --json"),
    ("ablate", f"ablate {STUDY} --seeds 2 {HERE} --json"),
    ("compare", f"compare {STUDY} variants --json"),
    ("report", f"report {STUDY} --json"),
    ("evaluate", f"evaluate {MODEL} more --json"),
    ("predict", f"predict {MODEL} more/circle/0.png --json"),
    ("explain", f"explain {STUDY}:1 confusions --output looks --json"),
    ("export", f"export {MODEL} --format safetensors --output net.safetensors --json"),
    ("ledger", "ledger --json"),
    ("status", f"status {STUDY} --json"),
    ("studies", "studies --json"),
    ("trials", f"trials {STUDY} --json"),
    ("trials", f"trials {STUDY} --trial 1 --json"),
    ("frontier", f"frontier {STUDY} --json"),
    ("retry", f"retry {STUDY} --failed --json"),
    ("sync", "sync --json"),
    ("sync", f"sync {STUDY} --rebuild --json"),
    ("doctor", "doctor --json"),
    ("spaces list", "spaces list --json"),
    ("spaces show", "spaces show lenet5 --json"),
    ("models summary", "models summary --space lenet5 --json"),
    ("store adopt", "store adopt --json"),
    ("delete", "delete variants --yes --json"),
)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Makes the folder the current one within the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_all(folder: Path) -> list[tuple[str, str, Any]]:
    """Runs the commands in this folder; returns for each its words, its line, and what it has printed."""
    data.shapes(folder)
    printed = []
    with inside(folder):
        for words, line in COMMANDS:
            result = CliRunner().invoke(main, shlex.split(line))
            assert result.exit_code == 0, f"{line}: {result.output}"
            printed.append((words, line, json.loads(result.stdout)))
    return printed
