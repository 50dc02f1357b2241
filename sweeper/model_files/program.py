"""A network as torch's exported program, which loads without the network's code, and its file (pt2)."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from sweeper.errors import SweeperError, first_line, shortened, system_fault
from sweeper.model_files.checks import Predict

# The entry of the archive with what is to be known of the network.
ABOUT = "sweeper.json"


def program_of(network: nn.Module, input_shape: tuple[int, int, int]) -> ExportedProgram:
    """The network on the CPU, for raw images of `input_shape` (channels, height, width) in batches of any size.

    Raises SweeperError for a network that torch cannot export.
    """
    # Of two images: torch would take one image for a fixed size.
    example = torch.zeros((2, *input_shape), dtype=torch.uint8)
    try:
        with quiet():
            # Contiguous, because torch's archive treats tensors of other layouts as parts of weights.
            network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()
            program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch")},))
    except Exception as error:  # torch raises errors of many classes, and a person's own network any
        raise refusal("torch cannot export this network", error, "--format safetensors writes its weights") from error
    forget_source_lines(program)
    program.example_inputs = None
    return program


def refusal(what: str, error: Exception, remedy: str = "") -> SweeperError:
    """The error of a library that cannot do its part, in one line; a full disk and a lack of memory are called so."""
    if fault := system_fault(error):
        return SweeperError(fault)
    reason = f"{what} ({type(error).__name__}: {shortened(first_line(error))})"
    return SweeperError(f"{reason}: {remedy}" if remedy else reason)


def forget_source_lines(program: ExportedProgram) -> None:
    """Removes the source lines of each operation, which name this machine's folders."""
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


def save(program: ExportedProgram, path: Path, about: Mapping[str, Any]) -> None:
    """Writes the program's file, with `about` as JSON in it."""
    # Through memory: torch names the folder in the archive after the file, whose name is another until it is whole.
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={ABOUT: json.dumps(about)})
    path.write_bytes(content.getvalue())


def predictor(path: Path) -> Predict:
    """What a file that `save` has just written predicts; torch.load may run code of a file from elsewhere."""
    with open(path, "rb") as file:
        network = torch.export.load(file).module()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(torch.tensor(images)).numpy()
        return found

    return predict


@contextmanager
def quiet() -> Iterator[None]:
    """Hides what exporting libraries print, log and warn of on the way; errors are raised."""
    said, before = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(said), redirect_stderr(said):
            yield
    finally:
        logging.disable(before)
