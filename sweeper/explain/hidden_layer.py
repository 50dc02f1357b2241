"""What the last hidden layer of a network makes of images: the input of its final classifier."""

import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweeper.models.predictor import BATCH, LAYOUT, RawPixels


def hidden_outputs(network: RawPixels, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inputs (n, width) of the final classifier for raw images (n, channels, height, width).

    The final classifier is the linear layer (in some timm networks, the conv) that runs last. Without a hidden layer,
    its input is the flattened map of the last conv or pool, or the image. With a test flip it is the mean of those for
    the image and its mirror image, of which a linear layer makes the mean of their logits. Leaves the network on the
    CPU. Raises ValueError for a network without such a layer.
    """
    network.cpu().eval()
    seen: dict[nn.Module, Tensor] = {}  # by layer, in the order in which they ran last

    def keep(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.pop(module, None)
        seen[module] = next(iter((*inputs, *named.values())))

    layers = [module for module in network.network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    found = []
    try:
        # A network of the user's may print, and commands print JSON to stdout.
        with torch.inference_mode(), redirect_stdout(sys.stderr):
            for start in range(0, len(images), BATCH):
                batch = torch.tensor(images[start : start + BATCH]).contiguous(memory_format=LAYOUT)
                inputs = network.scaled(batch)
                passes = []
                for given in (inputs, inputs.flip(3)) if network.test_flip else (inputs,):
                    seen.clear()
                    network.network(given)
                    if not seen:
                        raise ValueError("the network has no linear layer, so it has no last hidden layer")
                    passes.append(list(seen.values())[-1].flatten(1).to(torch.float32))
                found.append(torch.stack(passes).mean(0))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found).numpy()
