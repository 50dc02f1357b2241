"""Builds and traces networks of every family. A family's dependencies are imported only when it is used."""

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.config import ConvNetConfig, CustomConfig, MlpConfig, ModelConfig, ResNetConfig, TimmConfig
from sweeper.models import layers
from sweeper.models.layers import Layer

if TYPE_CHECKING:
    from torch import nn


def build(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> "nn.Module":
    """The network for images of `input_shape` (channels, height, width).

    Its initial weights come from torch's global generator. Raises ValueError when a layer cannot take its input map.
    """
    match config:
        case ConvNetConfig():
            from sweeper.models.convnet import ConvNet

            return ConvNet(config, input_shape, n_classes)
        case MlpConfig():
            from sweeper.models import mlp

            return mlp.build(config, input_shape, n_classes)
        case ResNetConfig():
            from sweeper.models.resnet import ResNet

            return ResNet(config, input_shape, n_classes)
        case TimmConfig():
            from sweeper.models import timm_net

            return timm_net.build(config, input_shape, n_classes)
        case CustomConfig():
            from sweeper.models import custom

            return custom.build(config, input_shape, n_classes)
    raise AssertionError(config)


def classifier(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> frozenset[str]:
    """The names of the tensors of the network's classifier. Raises ValueError for one that does not tell it."""
    from sweeper.models.classifier import tensors_of_classifier

    return tensors_of_classifier(skeleton(config, input_shape, n_classes))


def skeleton(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> "nn.Module":
    """The network without memory for weights, to see its layers; on the CPU if a user's code needs their values.

    Draws no random number. Raises ValueError when the network cannot take such images.
    """
    import torch

    config = without_weights(config)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build(config, input_shape, n_classes)
        except ValueError:
            if not isinstance(config, CustomConfig):
                raise
            return build(config, input_shape, n_classes)


def without_weights(config: ModelConfig) -> ModelConfig:
    """The configuration of the same network with random weights, where others follow: none need be had."""
    return replace(config, pretrained=False, pretrained_file="") if isinstance(config, TimmConfig) else config


def check_name(model_name: str) -> None:
    """Raises ValueError, suggesting the nearest name, for a network that timm does not have."""
    from sweeper.models import timm_net

    timm_net.check_name(model_name)


def check_export(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> None:
    """Raises ValueError for a network of the user's that cannot be exported, as a registered model must be."""
    if isinstance(config, CustomConfig):
        from sweeper.models import custom

        custom.check_export(config, input_shape, n_classes)


def trace(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> list[Layer]:
    """The layers of the network for images of `input_shape` (channels, height, width), in order.

    Raises ValueError, naming the layer and the sizes where possible, when the network cannot take such images.
    """
    if isinstance(config, TimmConfig):
        from sweeper.models import timm_net

        return timm_net.trace(config, input_shape, n_classes)
    if isinstance(config, CustomConfig):
        from sweeper.models import custom

        return custom.trace(config, input_shape, n_classes)
    return layers.trace(config, input_shape, n_classes)
