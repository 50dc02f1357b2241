"""Networks of the timm library, adapted to the data set's images and classes."""

from dataclasses import replace
from functools import cache
from typing import Any

import timm
import torch
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils import logging as hub_logging
from timm.layers import PatchEmbed
from torch import nn

from sweeper.config import TimmConfig
from sweeper.errors import nearest
from sweeper.models import traced
from sweeper.models.layers import Layer
from sweeper.models.traced import in_one_line, sizes


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
        network = _create(config, input_shape, n_classes)
    try:
        return tuple(traced.trace(network, input_shape))
    except ValueError as error:
        raise ValueError(f"{config.model_name} {error}") from error


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
        raise ValueError(f"{name} cannot be built with {', '.join(options)}: {in_one_line(error)}") from error
    except Exception as error:
        if config.pretrained:
            raise ValueError(f"the pretrained weights of {name} cannot be had: {in_one_line(error)}") from error
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
        raise ValueError(_misfit(config, input_shape, f"patches of {sizes(patches)} do not tile them", "patch_embed"))


def _misfit(config: TimmConfig, input_shape: tuple[int, int, int], reason: object, layer: str = "") -> str:
    return f"{config.model_name} {traced.misfit(input_shape, reason, layer)}"
