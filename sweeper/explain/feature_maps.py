"""The feature maps of every conv and pool layer of a network, for a few images."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweeper.models.convnet import ConvNet
from sweeper.models.predictor import LAYOUT, RawPixels
from sweeper.models.resnet import Block, ResNet

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What a layer gives for some images: `maps` have shape (n, channels, height, width).

    `layer` is its name in the layers.csv of the network's run; a pool of a timm network, which has no line there, is
    called as its module. `kind` is conv or pool.
    """

    layer: str
    kind: str
    maps: NDArray[np.float32]


@dataclass(frozen=True)
class _Tap:
    """A layer, the module whose output is taken for it, and what is still done to that output, if anything."""

    layer: str
    kind: str
    module: nn.Module
    then: nn.Module | None = None


def feature_maps(network: RawPixels, images: NDArray[np.uint8]) -> list[FeatureMaps]:
    """The maps of every conv and pool for raw images (n, channels, height, width), in the order of the forward pass.

    The map of a conv or pool of a convnet is as the next layer gets it: after batch norm and activation. So the maps of
    two networks compare, whether the activation is computed before or after the pool. In a resnet, that of a block's
    second conv is the block's output, with the shortcut added. The maps of a timm network are the outputs of its conv
    and pool modules. Empty for a network without such layers. Leaves the network on the CPU.
    """
    network.cpu().eval()
    taps = list(_taps(network.network))
    found: dict[str, FeatureMaps] = {}

    def keep(tap: _Tap) -> Callable[[nn.Module, tuple[Tensor, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            output = output[0] if isinstance(output, tuple) else output  # a pool may also return places
            maps = output if tap.then is None else tap.then(output.clone())
            # A pool over the whole map may flatten it, and a layer that is used twice counts as it is used last.
            if maps.ndim == 4:
                found.pop(tap.layer, None)
                # A copy, because some networks change maps in place.
                found[tap.layer] = FeatureMaps(tap.layer, tap.kind, maps.detach().to(torch.float32).numpy().copy())

        return hook

    # A network of the user's may print, and commands print JSON to stdout.
    with _hooked([(tap.module, keep(tap)) for tap in taps]), torch.inference_mode(), redirect_stdout(sys.stderr):
        # Not network(...), which with a test flip would end with the mirror images.
        network.network(network.scaled(torch.tensor(images).contiguous(memory_format=LAYOUT)))
    return list(found.values())


@contextmanager
def _hooked(hooks: list[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """Has the modules' outputs given to the hooks for a while."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _taps(network: nn.Module) -> Iterator[_Tap]:
    if isinstance(network, ConvNet):
        yield from _taps_of_convnet(network)
        return
    if isinstance(network, ResNet):
        yield from _taps_of_resnet(network)
        return
    # With `softmax_output`, the network is the first of two modules in a row.
    if isinstance(network, nn.Sequential) and len(network) == 2 and isinstance(network[1], nn.Softmax):
        network = network[0]
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield _Tap(name, "conv", module)
        elif isinstance(module, POOLS):
            yield _Tap(name, "pool", module)


def _taps_of_convnet(network: ConvNet) -> Iterator[_Tap]:
    modules = dict(network.features.named_children())
    order = list(modules)
    for name in order:
        number, activation = name.removeprefix("conv"), name.replace("conv", "activation").replace("pool", "activation")
        if isinstance(modules[name], nn.Conv2d):
            yield _Tap(name, "conv", modules.get(f"norm{number}", modules[name]), modules[activation])
        elif isinstance(modules[name], POOLS):
            # For speed, some activations come after the pool, with the same result.
            is_later = order.index(activation) > order.index(name)
            yield _Tap(name, "pool", modules[name], modules[activation] if is_later else None)


def _taps_of_resnet(network: ResNet) -> Iterator[_Tap]:
    modules = dict(network.features.named_children())
    order = list(modules)
    for name, module in modules.items():
        if isinstance(module, Block):
            yield from _taps_of_block(module)
        elif isinstance(module, nn.Conv2d):
            yield _Tap(name, "conv", modules["norm1"], modules["activation1"])
        elif isinstance(module, POOLS):
            is_before = order.index(name) < order.index("activation1")
            yield _Tap(name, "pool", module, modules["activation1"] if is_before else None)


def _taps_of_block(block: Block) -> Iterator[_Tap]:
    first, norm, activation, second, _ = block.residual
    names = {module: name for name, module in [*block.residual.named_children(), *block.shortcut.named_children()]}
    yield _Tap(names[first], "conv", norm, activation)
    for module in block.shortcut:
        if isinstance(module, POOLS):
            yield _Tap(names[module], "pool", module)
        elif isinstance(module, nn.Conv2d):
            yield _Tap(names[module], "conv", block.shortcut)
    yield _Tap(names[second], "conv", block)
