"""Reads the tensors of a file of weights that a person gives: safetensors, or torch's format without running code."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# Where training programs keep a network's tensors in a larger file; averaged ones first, which are the better ones.
NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
# What torch puts before the names of a network's tensors when it is wrapped for several GPUs, or compiled.
WRAPPERS = ("module.", "_orig_mod.")


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file. Raises ValueError, naming it, if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def tensors_in(path: Path) -> dict[str, Tensor]:
    """The tensors of a network by name, on the CPU. A file that is not named *.safetensors must be torch's.

    Raises ValueError, naming the file, for one that is damaged, of another format, or that would have to run code.
    """
    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged file makes torch fail in many ways
        raise ValueError(
            f"{path} is neither a safetensors file nor one of torch's with tensors alone: nothing else is loaded, "
            "because it could run code"
        ) from error
    if isinstance(found, dict):
        found = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), found)
    if not (isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values())):
        raise ValueError(f"{path} does not hold a network's tensors by name, as state_dict() gives them")
    return {_unwrapped(str(name)): tensor for name, tensor in found.items()}


def _unwrapped(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name
