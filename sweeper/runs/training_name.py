"""The name of a training by itself, and how far it has come: the same command finds its run and its files again."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from sweeper.events import State
from sweeper.runs import result_file
from sweeper.spaces.space import Variant
from sweeper.studies.spec import LOG_LOSS, RunSpec
from sweeper.studies.spec_comparison import decisive


def name_of(spec: RunSpec, variant: Variant) -> tuple[str, str]:
    """A hash of all that decides the metrics, and the name of the run and the folder, which ends in its beginning."""
    deciding: list[Any] = [decisive(spec), variant.name, variant.configuration.key()]
    if variant.configuration.model.softmax_output:
        deciding.append(LOG_LOSS)  # the run of an older version has other losses
    found = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
    # The names of spaces and variants may have any printable characters.
    plain = re.sub(r"[^A-Za-z0-9._]", "-", f"{spec.space_name}-{variant.name}")[:60]
    return found, f"train-{plain}-{found[:12]}"


def state_of(folder: Path, n_trainings: int) -> State | None:
    """Whether the trainings with this folder are complete or were interrupted; None if none has saved an epoch."""
    n_done = sum(1 for _ in folder.rglob(result_file.NAME))
    if n_done >= n_trainings:
        return State.COMPLETE
    return State.INTERRUPTED if n_done or any(folder.rglob("checkpoint.safetensors")) else None
