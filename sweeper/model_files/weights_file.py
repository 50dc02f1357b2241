"""A network's weights as a safetensors file, with all that is needed to build the network again in its metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialised

from sweeper.config import Configuration
from sweeper.models.families import build
from sweeper.models.latency import deployed
from sweeper.models.predictor import LAYOUT, RawPixels, load_tensors

# The only key of the metadata: with several, their order would change from file to file.
ABOUT = "sweeper"


def save(network: RawPixels, path: Path, about: Mapping[str, Any]) -> None:
    """Writes the weights, the scaling of the pixels among them, and `about` as JSON in the metadata."""
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    # Not save_file, whose files only their owner may read.
    path.write_bytes(serialised(tensors, {ABOUT: json.dumps(about)}))


def load(path: Path | str) -> RawPixels:
    """The network of a file that `save` has written: raw pixels in, logits out, on the CPU and ready to predict.

    Raises ValueError if its tensors are damaged.
    """
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()[ABOUT])
    config = deployed(Configuration.from_values(about["configuration"]).model)
    channels, height, width = about["input"]["shape"][1:]
    network = build(config, (channels, height, width), len(about["classes"])).to(memory_format=LAYOUT)
    blank = [1.0] * channels
    pixels = RawPixels(network, blank, blank, probabilities=config.softmax_output, test_flip=about["test_flip"])
    load_tensors(pixels, load_file(path))
    return pixels.eval()
