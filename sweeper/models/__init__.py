"""Networks built from their configuration."""

from torch import nn

from sweeper.config import ModelConfig
from sweeper.models.convnet import ConvNet


def build(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """The network for images of `input_shape` (channels, height, width).

    Its initial weights come from torch's global generator. Raises ValueError when a layer cannot take its map.
    """
    return ConvNet(config, input_shape, n_classes)
