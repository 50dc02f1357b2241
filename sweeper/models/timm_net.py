"""Networks of the timm library, adapted to the data set's images and classes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import timm
import torch
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils import logging as hub_logging
from timm.layers import PatchEmbed
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sweeper.config import TimmConfig
from sweeper.errors import nearest
from sweeper.models.layers import Layer


def build(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """The network: normalised images (batch, channels, height, width) in, logits (batch, classes) out.

    Raises ValueError for a name that timm does not know, suggesting the nearest one, for pretrained weights that cannot
    be loaded, and for images that the network cannot take.
    """
    network = _create(config, input_shape, n_classes)
    return nn.Sequential(network, nn.Softmax(dim=1)) if config.softmax_output else network


def trace(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> list[Layer]:
    """The layers that hold parameters, in the order in which an image passes them; allocates no memory for weights.

    The rest, such as attention's products and position embeddings, comes last as "others". Raises ValueError as `build`
    does, except for weights.
    """
    # Configurations with the same layers share one cached trace: a search draws new dropout rates without end.
    like = replace(
        config,
        pretrained=False,
        softmax_output=False,
        drop_rate=0.5 if config.drop_rate else 0.0,
        drop_path_rate=0.5 if config.drop_path_rate else 0.0,
    )
    return list(_traced(like, input_shape, n_classes))


def check_name(name: str) -> None:
    """Raises ValueError for a name that timm does not know, suggesting the nearest one."""
    # A name may end in a tag, after a dot, that says on what data its weights were trained.
    known = timm.list_models(pretrained=True) if "." in name else timm.list_models()
    if name not in known:
        raise ValueError(f"model_name must be one of timm's, got {name!r}{nearest(name, known)}")


@cache
def _traced(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> tuple[Layer, ...]:
    with torch.device("meta"):
        # With gradients, torch would count operations through the autograd graph, which not every network allows.
        network = _create(config, input_shape, n_classes).eval().requires_grad_(False)
        images = torch.empty(1, *input_shape)
    found: dict[str, Layer] = {}
    inside: list[str] = []  # the modules that the image has entered and not yet left

    def enter(name: str) -> Any:
        return lambda module, inputs: inside.append(name)

    def leave(module: nn.Module, inputs: Sequence[Tensor], output: Any) -> None:
        inside.pop()

    def recording(name: str) -> Any:
        def record(module: nn.Module, inputs: Sequence[Tensor], output: Any) -> None:
            # Recurrent layers return their state as well.
            shape = tuple((output if isinstance(output, Tensor) else output[0]).shape[1:])
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
            output = network(images)
        except Exception as error:  # timm's thousand networks have many ways to fail
            raise ValueError(_misfit(config, input_shape, error, inside[-1])) from error
    layers = list(found.values())
    n_parameters = sum(p.numel() for p in network.parameters()) - sum(layer.n_parameters for layer in layers)
    # Torch counts a multiply-add as two floating-point operations.
    n_products = counter.get_total_flops() // 2 - sum(layer.n_multiply_adds for layer in layers)
    if n_parameters or n_products:
        layers.append(Layer("others", "others", tuple(output.shape[1:]), n_parameters, n_products))
    return tuple(layers)


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


def _create(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    name, (channels, height, width) = config.model_name, input_shape
    check_name(name)
    options: dict[str, Any] = {"in_chans": channels, "num_classes": n_classes}
    options |= {rate: value for rate in ("drop_rate", "drop_path_rate") if (value := getattr(config, rate))}
    settings = timm.get_pretrained_cfg(name.partition(".")[0])
    if settings is not None and settings.fixed_input_size:
        options["img_size"] = (height, width)
    disable_progress_bars()
    hub_logging.set_verbosity(hub_logging.CRITICAL)  # the hub's client warns at each of its tries
    try:
        network: nn.Module = timm.create_model(name, pretrained=config.pretrained, **options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built with {', '.join(options)}: {_line(error)}") from error
    except Exception as error:
        if config.pretrained:
            raise ValueError(f"the pretrained weights of {name} cannot be had: {_line(error)}") from error
        raise ValueError(_misfit(config, input_shape, error)) from error
    _check_patches(network, config, input_shape)
    return network


def _check_patches(network: nn.Module, config: TimmConfig, input_shape: tuple[int, int, int]) -> None:
    """Raises ValueError where the patches would not cover the whole image; timm silently leaves out the rest."""
    embedding = getattr(network, "patch_embed", None)
    if not isinstance(embedding, PatchEmbed) or embedding.dynamic_img_pad:
        return
    patches = embedding.patch_size
    if any(side % patch for side, patch in zip(input_shape[1:], patches, strict=True)):
        raise ValueError(_misfit(config, input_shape, f"patches of {_sizes(patches)} do not tile them", "patch_embed"))


def _misfit(config: TimmConfig, input_shape: Sequence[int], reason: object, layer: str = "") -> str:
    place = f" ({layer})" if layer else ""
    return f"{config.model_name} cannot take images of {_sizes(input_shape)}: {_line(reason)}{place}"


def _line(reason: object) -> str:
    """The reason in one line; timm and torch use several."""
    return " ".join(str(reason).split()) or type(reason).__name__


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
