"""A trained network together with its preprocessing, so that it can be used without knowing how it was trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sweeper.config import ModelConfig, TimmConfig
from sweeper.models.families import build

# As in training: small enough that the maps of a LeNet stay in the cache.
BATCH = 128
# The layout that networks are trained in. Another one gives other last bits.
LAYOUT = torch.channels_last


class RawPixels(nn.Module):
    """A network with its own preprocessing: raw pixels uint8 (batch, channels, height, width) in, logits out.

    The logits are float32 (batch, classes). `mean` and `std` are per channel, for pixels in [0, 1]. With
    `probabilities` the network's own output is probabilities, and their logarithms are given instead: softmax
    makes the same probabilities of them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], *, probabilities: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.probabilities = probabilities
        # Scaled rather than the pixels divided, as training does it: the same bits reach the network.
        self.register_buffer("mean", (255 * torch.tensor(mean, dtype=torch.float32)).view(1, -1, 1, 1))
        self.register_buffer("std", (255 * torch.tensor(std, dtype=torch.float32)).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        output = self.network((images.to(torch.float32) - self.mean) / self.std)
        if not self.probabilities:
            return output
        return output.clamp(min=torch.finfo(output.dtype).tiny).log()


def load_network(
    config: ModelConfig,
    input_shape: tuple[int, int, int],
    n_classes: int,
    weights: Path,
    mean: Sequence[float],
    std: Sequence[float],
) -> RawPixels:
    """The network of this configuration with the weights of a safetensors file, on the CPU and ready to predict.

    `input_shape` is (channels, height, width). Raises ValueError, naming the file, when it cannot be read or holds
    other tensors than the network has.
    """
    if isinstance(config, TimmConfig):
        config = replace(config, pretrained=False)  # what these weights began from need not be downloaded
    network = build(config, input_shape, n_classes)
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the weights {weights} cannot be read: {error}") from error
    except RuntimeError as error:
        differences = " ".join(line.strip() for line in str(error).splitlines()[1:])
        raise ValueError(f"the weights {weights} are of another network: {differences}") from error
    network = network.to(memory_format=LAYOUT)
    return RawPixels(network, mean, std, probabilities=config.softmax_output).eval()


def logits_of(network: RawPixels, images: NDArray[np.uint8], device: torch.device) -> NDArray[np.float32]:
    """The logits (n, classes) of raw images (n, channels, height, width); leaves the network on `device`."""
    network.to(device).eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            # A copy: torch warns of arrays that cannot be written to, such as memory-mapped ones.
            batch = torch.tensor(images[start : start + BATCH]).to(device)
            logits.append(network(batch.contiguous(memory_format=LAYOUT)))
    return torch.cat(logits).cpu().numpy()
