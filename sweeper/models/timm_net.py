"""Networks of the timm library, adapted to the data set's images and classes."""

from collections import OrderedDict
from dataclasses import replace
from functools import cache
from typing import Any

import timm
import torch
import torch.nn.functional as F
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils import logging as hub_logging
from timm.layers import PatchEmbed
from torch import Tensor, nn

from sweeper.config import TimmConfig
from sweeper.errors import nearest
from sweeper.models import traced
from sweeper.models.layers import Layer
from sweeper.models.traced import in_one_line, sizes


class Resized(nn.Sequential):
    """A network that scales its images to another size first, bilinearly: (batch, channels, height, width) in."""

    def __init__(self, network: nn.Module, image_size: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__(OrderedDict(network=network))
        self._size = size
        # Where the image shrinks, each pixel of the result is a mean over all that it covers.
        self._shrinks = size[0] < image_size[0] or size[1] < image_size[1]

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(F.interpolate(images, self._size, mode="bilinear", antialias=self._shrinks))


def build(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """The network: normalised images (batch, channels, height, width) in, logits (batch, classes) out.

    Raises ValueError for a name that timm does not know, suggesting the nearest one, for weights of the hub that cannot
    be loaded, and for images that the network cannot take.
    """
    network = _resized(config, input_shape, n_classes)
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
        pretrained_file="",
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
        network = _resized(config, input_shape, n_classes)
    try:
        return tuple(traced.trace(network, input_shape))
    except ValueError as error:
        raise ValueError(f"{config.model_name} {error}") from error


def _resized(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """The network of timm, behind a change of the images' size where the configuration asks for another than theirs."""
    size, own = size_inside(config, input_shape), (input_shape[1], input_shape[2])
    try:
        # A network whose weights are in a file gets them behind this, and others than those of the hub.
        network = create(config, input_shape, n_classes, pretrained=config.pretrained and not config.pretrained_file)
    except TypeError as error:
        options = ", ".join(_options(config, input_shape, n_classes))
        raise ValueError(f"{config.model_name} cannot be built with {options}: {in_one_line(error)}") from error
    except Exception as error:
        if config.pretrained:
            raise ValueError(
                f"the pretrained weights of {config.model_name} cannot be had: {in_one_line(error)}"
            ) from error
        raise ValueError(_misfit(config, input_shape, error)) from error
    _check_patches(network, config, input_shape)
    return network if size == own else Resized(network, own, size)


def size_inside(config: TimmConfig, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """The height and width of the images that the network's first layer gets."""
    return (config.input_size, config.input_size) if config.input_size else (input_shape[1], input_shape[2])


def create(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int, **options: Any) -> nn.Module:
    """The network as timm makes it, with more of timm's `options`. Raises what timm raises."""
    check_name(config.model_name)
    silence_hub()
    network: nn.Module = timm.create_model(config.model_name, **_options(config, input_shape, n_classes), **options)
    return network


def _options(config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int) -> dict[str, Any]:
    options: dict[str, Any] = {"in_chans": input_shape[0], "num_classes": n_classes}
    options |= {rate: value for rate in ("drop_rate", "drop_path_rate") if (value := getattr(config, rate))}
    settings = timm.get_pretrained_cfg(config.model_name.partition(".")[0])
    if settings is not None and settings.fixed_input_size:
        options["img_size"] = size_inside(config, input_shape)
    return options


def inside(network: nn.Module) -> nn.Module:
    """The network of timm's that `build` has put behind or before other modules."""
    return next(module for module in network.modules() if hasattr(module, "get_classifier"))


def silence_hub() -> None:
    """Keeps the hub's client from printing."""
    disable_progress_bars()
    hub_logging.set_verbosity(hub_logging.CRITICAL)  # it warns at each of its tries


def _check_patches(network: nn.Module, config: TimmConfig, input_shape: tuple[int, int, int]) -> None:
    """Raises ValueError where the patches would not cover the whole image; timm silently leaves out the rest."""
    embedding = getattr(network, "patch_embed", None)
    if not isinstance(embedding, PatchEmbed) or embedding.dynamic_img_pad:
        return
    patches = embedding.patch_size
    if any(side % patch for side, patch in zip(size_inside(config, input_shape), patches, strict=True)):
        raise ValueError(_misfit(config, input_shape, f"patches of {sizes(patches)} do not tile them", "patch_embed"))


def _misfit(config: TimmConfig, input_shape: tuple[int, int, int], reason: object, layer: str = "") -> str:
    return f"{config.model_name} {traced.misfit(input_shape, reason, layer)}"
