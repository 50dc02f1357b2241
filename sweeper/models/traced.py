"""The layers of any module: an image without pixels passes it, and hooks note what each layer does."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sweeper.models.layers import Layer


def trace(network: nn.Module, input_shape: tuple[int, int, int], device: str = "meta") -> list[Layer]:
    """The layers that hold parameters, in the order in which an image passes them.

    `network` must be on the `device`, usually "meta", where tensors have shapes but no memory; it stays in evaluation
    mode, and without gradients. The rest, such as attention's products and position embeddings, comes last as "others".
    Raises ValueError, saying at which layer, when the network cannot take images of `input_shape` (channels, height,
    width).
    """
    # With gradients, torch would count operations through the autograd graph, which not every network allows.
    network.eval().requires_grad_(False)
    found: dict[str, Layer] = {}
    inside: list[str] = []  # the modules that the image has entered and not yet left

    def enter(name: str) -> Any:
        return lambda module, inputs: inside.append(name)

    def leave(module: nn.Module, inputs: Sequence[Tensor], output: Any) -> None:
        inside.pop()

    def recording(name: str) -> Any:
        def record(module: nn.Module, inputs: Sequence[Tensor], output: Any) -> None:
            # Recurrent layers return their state as well.
            main = next(iter(output), None) if isinstance(output, tuple | list) else output
            shape = tuple(main.shape[1:]) if isinstance(main, Tensor) else ()
            n_products = found[name].n_multiply_adds if name in found else 0
            if isinstance(module, nn.Conv2d):
                n_products += prod(shape) * prod(module.weight.shape[1:])
            elif isinstance(module, nn.Linear):
                n_products += prod(shape) * module.in_features
            n_parameters = sum(parameter.numel() for parameter in module.parameters())
            found[name] = Layer(name, _kind(module), shape, n_parameters, n_products)

        return record

    for name, module in network.named_modules():
        module.register_forward_pre_hook(enter(name))
        module.register_forward_hook(leave)
        own = list(module.parameters(recurse=False))
        # A layer may have submodules without parameters: some norms contain their activation function.
        if own and len(own) == len(list(module.parameters())):
            module.register_forward_hook(recording(name))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        try:
            output = network(torch.zeros(1, *input_shape, device=device))
        except Exception as error:  # thousands of networks have many ways to fail
            raise ValueError(misfit(input_shape, error, inside[-1])) from error
    layers = list(found.values())
    n_parameters = sum(p.numel() for p in network.parameters()) - sum(layer.n_parameters for layer in layers)
    # Torch counts a multiply-add as two floating-point operations.
    n_products = counter.get_total_flops() // 2 - sum(layer.n_multiply_adds for layer in layers)
    if n_parameters or n_products:
        layers.append(Layer("others", "others", tuple(output.shape[1:]), n_parameters, n_products))
    return layers


def misfit(input_shape: tuple[int, int, int], reason: object, layer: str = "") -> str:
    """The end of the sentence that says why a network cannot take images of this shape."""
    place = f" ({layer})" if layer else ""
    return f"cannot take images of {sizes(input_shape)}: {in_one_line(reason)}{place}"


def in_one_line(reason: object) -> str:
    """The reason in one line; timm and torch use several."""
    return " ".join(str(reason).split()) or type(reason).__name__


def sizes(shape: Sequence[int]) -> str:
    """A shape for people: 3x32x32."""
    return "x".join(map(str, shape))


def _kind(module: nn.Module) -> str:
    match module:
        case nn.Conv2d():
            return "conv"
        case nn.Linear():
            return "linear"
        case nn.BatchNorm2d():
            return "batch_norm"
        case nn.LayerNorm():
            return "layer_norm"
    return type(module).__name__.lower()
