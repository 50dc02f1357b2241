"""A trained network together with its preprocessing, so that one can use it without knowing how it was trained."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sweeper.config import ModelConfig
from sweeper.errors import SweeperError
from sweeper.models import tensor_checks
from sweeper.models.families import build, without_weights

# As in training, small enough that a LeNet's feature maps stay in the cache.
BATCH = 128
# The memory layout in training. Another layout changes the last bits of the logits.
LAYOUT = torch.channels_last


class RawPixels(nn.Module):
    """A network with its own preprocessing: raw pixels uint8 (batch, channels, height, width) in, logits out.

    The logits are float32 (batch, classes). `mean` and `std` are per channel, for pixels in [0, 1]. With
    `probabilities` the network's own output is probabilities, and `forward` gives their logarithms: the softmax of
    these is the same probabilities. With `test_flip` the output is the mean of those for the image and its mirror
    image.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        probabilities: bool = False,
        test_flip: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.probabilities, self.test_flip = probabilities, test_flip
        # As in training, mean and std are multiplied by 255 instead of dividing pixels: the network gets the same bits.
        self.register_buffer("mean", (255 * torch.tensor(mean, dtype=torch.float32)).view(1, -1, 1, 1))
        self.register_buffer("std", (255 * torch.tensor(std, dtype=torch.float32)).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        inputs = self.scaled(images)
        output = self.network(inputs)
        if self.test_flip:
            output = (output + self.network(inputs.flip(3))) / 2
        if not self.probabilities:
            return output
        return output.clamp(min=torch.finfo(output.dtype).tiny).log()

    def scaled(self, images: Tensor) -> Tensor:
        """Raw pixels (batch, channels, height, width), from 0 to 255, as the network's input of that shape."""
        return (images.to(torch.float32) - self.mean) / self.std


def load_network(
    config: ModelConfig,
    input_shape: tuple[int, int, int],
    n_classes: int,
    weights: Path,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    test_flip: bool = False,
) -> RawPixels:
    """Loads the weights of a safetensors file into a configuration's network, on the CPU and ready to predict.

    `input_shape` is (channels, height, width). Raises ValueError, naming the file, when the file cannot be read or its
    tensors differ from the network's or are damaged, and for a mean and std with which no pixels can be scaled.
    """
    tensor_checks.check_scaling(mean, std, input_shape[0])
    network = build(without_weights(config), input_shape, n_classes)
    try:
        load_tensors(network, load_file(weights))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the weights {weights} cannot be read: {error}") from error
    except RuntimeError as error:
        differences = " ".join(line.strip() for line in str(error).splitlines()[1:])
        raise ValueError(f"the weights {weights} are of another network: {differences}") from error
    except ValueError as error:
        raise ValueError(f"the weights {weights} are damaged: {error}") from error
    network = network.to(memory_format=LAYOUT)
    return RawPixels(network, mean, std, probabilities=config.softmax_output, test_flip=test_flip).eval()


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Loads the tensors of a trained network into one that was just built.

    Raises RuntimeError if they are of another network, and ValueError if they cannot be what a training has left.
    """
    masks, was_blank = tensor_checks.not_finite(network), tensor_checks.is_blank(network)
    tensor_checks.check_kinds(tensors, network.state_dict())
    network.load_state_dict(tensors)
    tensor_checks.check_finite(network, masks)
    if tensor_checks.is_blank(network) and not was_blank:
        raise ValueError("the values of all parameters are 0")


def logits_of(network: RawPixels, images: NDArray[np.uint8], device: torch.device) -> NDArray[np.float32]:
    """The logits (n, classes) of raw images (n, channels, height, width); leaves the network on `device`.

    Raises SweeperError if some are NaN or infinite.
    """
    network.to(device).eval()
    logits = []
    # A network of the user's may print, and commands print JSON to stdout.
    with torch.inference_mode(), redirect_stdout(sys.stderr):
        for start in range(0, len(images), BATCH):
            # A copy, because torch warns about arrays that are not writable, such as memory-mapped ones.
            batch = torch.tensor(images[start : start + BATCH]).to(device)
            logits.append(network(batch.contiguous(memory_format=LAYOUT)))
    found: NDArray[np.float32] = torch.cat(logits).cpu().numpy()
    n_bad = int((~np.isfinite(found)).any(axis=1).sum())
    if n_bad:
        raise SweeperError(
            f"the network's logits must be finite, those of {n_bad:,} of {len(found):,} images are not: its weights "
            "are damaged or too large"
        )
    return found
