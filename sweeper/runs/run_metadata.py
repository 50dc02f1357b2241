"""Parameters, tags and environment of a run in MLflow."""

import hashlib
import json
import platform
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sweeper.data.splits import Split
from sweeper.data.training_set import TrainingSet
from sweeper.engine.execution import Execution
from sweeper.models import code_files
from sweeper.spaces.space import Space
from sweeper.store.redaction import redact
from sweeper.studies.spec import RunSpec
from sweeper.studies.spec_comparison import decisive
from sweeper.tracking.tracker import DataRecord

PACKAGES = ("cnn-sweeper", "torch", "torchvision", "optuna", "mlflow", "numpy", "scikit-learn", "timm")


def data_record(training_set: TrainingSet) -> DataRecord:
    """The training set as MLflow records it."""
    return DataRecord(training_set.name, training_set.sha256, training_set.source, training_set.images.shape)


def tags(command: Sequence[str], execution: Execution, data_sha256: str) -> dict[str, str]:
    """The tags that say where and how the command ran."""
    found = {
        "sweeper.command": redact(shlex.join(command)),
        "sweeper.data_sha256": data_sha256,
        "sweeper.engine": execution.engine,
        "sweeper.device": ", ".join(sorted(set(execution.devices))),
        "sweeper.workers": str(len(execution.workers)),
        "sweeper.threads": str(execution.threads),
        "sweeper.version": version("cnn-sweeper"),
    }
    if commit := _git_commit():
        found["mlflow.source.git.commit"] = commit
    return found


def params(spec: RunSpec, split: Split | None) -> dict[str, Any]:
    """The parameters of a run: what its results depend on, and the sizes of its (first) split's parts.

    A study's space is an artifact of the run; the parameters hold only the space's hash. The sizes are left
    out without the split.
    """
    stored = decisive(spec)  # a command may resume a run with other options that change nothing
    space = stored.pop("space", None)
    del stored["fold_scalings"]
    if space is not None:
        stored["space_sha256"] = hashlib.sha256(json.dumps(space, sort_keys=True).encode()).hexdigest()
    if split is None:
        return stored
    return stored | {f"n_{name}": len(getattr(split, name)) for name in ("train", "validation", "confirm")}


def space_texts(space: Space) -> dict[str, str]:
    """The text artifacts that say what was searched or trained: the space file, and the code that it names."""
    files = [code_files.by_hash(sha256) for sha256 in space.code_hashes]
    return {"space.toml": space.text, **{f"code/{Path(file.path).name}": file.text for file in files if file}}


def environment(execution: Execution) -> str:
    """Versions and machine, as JSON text."""
    return json.dumps(
        {
            "packages": {name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "platform": platform.platform(),
            "execution": asdict(execution),
            "git_commit": _git_commit(),
        },
        indent=2,
    )


def _git_commit() -> str | None:
    """The commit of the current folder's git repository; None if there is none."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
