"""The residual family: ResNets for small images, from a `ResNetConfig`."""

from collections import OrderedDict
from collections.abc import Iterator

from torch import Tensor, nn

from sweeper.config import ResNetConfig
from sweeper.models.blocks import MONOTONE, POOLINGS, activation_of, initialise
from sweeper.models.layers import spread, trace

Named = tuple[str, nn.Module]


class Block(nn.Module):
    """Two convs beside a shortcut, added before the last activation (He et al., 2016).

    `number` counts the network's blocks, and its convs are the network's convs 2 * number and 2 * number + 1. A stride
    of 2 halves the map. The shortcut has a conv only where the shape of the map changes.
    """

    def __init__(self, config: ResNetConfig, number: int, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        first, second = 2 * number, 2 * number + 1
        self.residual = nn.Sequential(
            OrderedDict(
                [
                    *_normed(first, n_in, n_out, stride),
                    (f"activation{first}", activation_of(config)),
                    *_normed(second, n_out, n_out),
                ]
            )
        )
        shortcut: OrderedDict[str, nn.Module] = OrderedDict()
        if stride > 1:
            # As in ResNet-D, so that no pixel is skipped. A border of one pixel is its own mean.
            shortcut[f"shortcut_pool{number}"] = nn.AvgPool2d(2, ceil_mode=True)
        if stride > 1 or n_in != n_out:
            shortcut[f"shortcut{number}"] = nn.Conv2d(n_in, n_out, 1, bias=False)
            shortcut[f"shortcut_norm{number}"] = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential(shortcut)
        self.activation = activation_of(config)

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.residual(maps) + self.shortcut(maps))


class ResNet(nn.Module):
    """A conv, stages of blocks, the mean of each map, then one linear layer.

    `forward` takes normalised images (batch, channels, height, width) and gives logits (batch, classes), or
    probabilities with `softmax_output`.
    """

    def __init__(self, config: ResNetConfig, input_shape: tuple[int, int, int], n_classes: int) -> None:
        super().__init__()
        trace(config, input_shape, n_classes)  # refuses fields that do not fit each other or the images
        self.features = nn.Sequential(OrderedDict(_features(config, input_shape[0])))
        classifier: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if config.dropout:
            classifier["dropout"] = nn.Dropout(config.dropout)
        classifier["output"] = nn.Linear(config.filters[-1], n_classes)
        if config.softmax_output:
            classifier["softmax"] = nn.Softmax(dim=1)
        self.classifier = nn.Sequential(classifier)
        initialise(self, config.init)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def _features(config: ResNetConfig, n_channels: int) -> Iterator[Named]:
    n_in, *widths = config.filters
    yield from _normed(1, n_channels, n_in)
    activation = ("activation1", activation_of(config))
    pools_first = _pools(config, 1) and config.downsampling == "max" and config.activation in MONOTONE
    if not pools_first:
        yield activation
    number = 0
    for stage, (n_out, n_blocks) in enumerate(
        zip(widths, spread(config.blocks, len(widths), "blocks", "stages"), strict=True), start=1
    ):
        if _pools(config, stage):
            yield f"pool{stage}", POOLINGS[config.downsampling](2)
        if stage == 1 and pools_first:  # with the same result, of a quarter of the pixels
            yield activation
        for place in range(n_blocks):
            number += 1
            halves = place == 0 and stage in config.downsample_at and config.downsampling == "stride"
            yield f"block{number}", Block(config, number, n_in, n_out, 2 if halves else 1)
            n_in = n_out
    yield "global_pool", nn.AdaptiveAvgPool2d(1)


def _pools(config: ResNetConfig, stage: int) -> bool:
    """Whether a stage begins with a pool."""
    return stage in config.downsample_at and config.downsampling != "stride"


def _normed(number: int, n_in: int, n_out: int, stride: int = 1) -> list[Named]:
    """A conv and its batch norm."""
    conv = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
    return [(f"conv{number}", conv), (f"norm{number}", nn.BatchNorm2d(n_out))]
