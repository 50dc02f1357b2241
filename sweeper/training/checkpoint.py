"""A training's whole state in one safetensors file, written atomically: a reader never sees a partial file."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sweeper.store.atomic import SUFFIX, whole_file
from sweeper.training.memory import is_out_of_memory


class CheckpointError(Exception):
    """A checkpoint is unusable: damaged, or from another training. The message names the file."""


@dataclass
class Progress:
    """The part of a checkpoint beside its tensors: how many epochs are done, and their metrics."""

    identity: str  # stands for the configuration, seed and epochs; `load` refuses a checkpoint with another identity
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    has_ended: bool = False  # without the optimizer's state, nothing can go on from it


def save(
    path: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    generators: Mapping[str, Tensor],
    average: nn.Module | None = None,
) -> None:
    """Writes weights, optimizer, generator states (uint8 tensors by name) and progress to `path`, atomically.

    The `average` is that of the weights, if the training keeps one. At its end there is no `optimizer` to go on with.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    tensors |= {f"generator.{name}": state for name, state in generators.items()}
    plain = {}
    for index, state in (optimizer.state_dict()["state"] if optimizer else {}).items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                plain[f"{index}.{name}"] = value
    # An older sweeper does not know the key, and calls a checkpoint that has it damaged: only the last one has it.
    done = {"epoch": progress.epoch, "history": progress.history} | ({} if optimizer else {"has_ended": True})
    metadata = {
        "identity": progress.identity,
        "progress": json.dumps(done),
        "optimizer": json.dumps(plain),
        "tensors": json.dumps(sorted(tensors)),
    }
    write_tensors(path, tensors, metadata)


def load(
    path: Path,
    identity: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None = None,
) -> tuple[Progress, dict[str, Tensor]]:
    """Restores `model`, `optimizer` and `average` in place; returns the progress and the generator states.

    Raises CheckpointError if the file is damaged or belongs to a training with another identity.
    """
    device = next(model.parameters()).device
    with reading(path):
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iteration)
        if metadata["identity"] != identity:
            raise CheckpointError(f"{path} belongs to another training")
        # Torch would silently resume with an optimizer that has lost its state.
        if missing := set(json.loads(metadata["tensors"])) - set(tensors):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        progress = Progress(identity, **json.loads(metadata["progress"]))
        if [past["epoch"] for past in progress.history] != list(range(1, progress.epoch + 1)):
            raise ValueError(f"its history does not list the epochs 1 to {progress.epoch}")
        plain: dict[str, Any] = json.loads(metadata["optimizer"])
        model.load_state_dict(_under("model.", tensors))
        if average is not None:
            average.load_state_dict(_under("average.", tensors))
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for key, value in (_under("optimizer.", tensors) | plain).items():
            index, name = key.split(".", 1)
            parameter = parameters[int(index)]
            shape = () if name == "step" else tuple(parameter.shape)
            if isinstance(value, Tensor) and tuple(value.shape) != shape:
                raise ValueError(f"optimizer.{key} has shape {tuple(value.shape)}, not {shape}")
            state.setdefault(int(index), {})[name] = _laid_out_like(parameter, value)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return progress, {name: value.cpu() for name, value in _under("generator.", tensors).items()}


def read_history(path: Path) -> list[dict[str, Any]]:
    """The metrics of a checkpoint's epochs, whatever its identity; empty without a file. Raises CheckpointError."""
    if not path.exists():
        return []
    with reading(path), safe_open(path, framework="pt") as file:
        history: list[dict[str, Any]] = json.loads((file.metadata() or {})["progress"])["history"]
    return history


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns every error from reading and using a file's contents into a CheckpointError, except a lack of memory."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # safetensors, json and torch each have their own ways to say "damaged"
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"{path} is damaged: {error}") from error


def holds(path: Path, identity: str) -> bool:
    """Whether the file exists, is whole, and was written under this identity."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool((file.metadata() or {}).get("identity") == identity)
    except Exception:  # safetensors has several ways to say "damaged", and one to say "absent"
        return False


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file under a temporary name, flushes it to disk, then renames it.

    Raises OSError, naming `path`, if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole_file(path) as temporary:
            save_file(_apart(tensors), temporary, dict(metadata))
    except (OSError, SafetensorError) as error:
        raise _as_os_error(error, path) from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors of which no two share memory, as the format needs it: layers may have the same weights."""
    found: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in tensors.items():
        whole = value.contiguous()
        address = whole.untyped_storage().data_ptr()
        found[name] = whole.clone() if address in taken else whole
        taken.add(address)
    return found


def set_aside(path: Path) -> Path:
    """Renames an unusable file, replacing an earlier one, and returns the new path."""
    os.replace(path, aside(path))
    return aside(path)


def aside(path: Path) -> Path:
    """The path to which `set_aside` renames a file."""
    return path.with_name(f"{path.name}.damaged")


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that a process killed in write_tensors has left in the folder."""
    for temporary in folder.glob(f".*{SUFFIX}"):
        temporary.unlink(missing_ok=True)


def _as_os_error(error: OSError | SafetensorError, path: Path) -> Exception:
    """The error as an OSError with number and file name; safetensors gives the number only in its text."""
    if isinstance(error, OSError):
        number = error.errno
    else:
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = int(found[1]) if found else None
    return error if number is None else OSError(number, os.strerror(number), str(path))


def _laid_out_like(parameter: Tensor, value: Any) -> Any:
    """The value in the parameter's memory layout, which fused kernels expect; files keep only the contiguous layout."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
