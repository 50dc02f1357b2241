"""The convolutional family: LeNet-5 and its relatives, from a `ConvNetConfig`."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import ConvNetConfig
from sweeper.models.blocks import MONOTONE, POOLINGS, activation_of, initialise
from sweeper.models.layers import spread, trace


class Conv(nn.Conv2d):
    """A conv that runs as a linear layer when its kernel covers the whole map.

    An example is LeNet-5's third conv: it becomes one matrix product instead of a convolution.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[2:] == self.weight.shape[2:] and self.padding == (0, 0):
            return F.linear(input.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
        return super().forward(input)


class ConvNet(nn.Module):
    """Convs, each with its batch norm, activation, dropout and pool, then linear layers.

    `forward` takes normalised images (batch, channels, height, width) and gives logits (batch, classes), or
    probabilities with `softmax_output`. `forward_heads` also gives the logits of the auxiliary heads.
    """

    def __init__(self, config: ConvNetConfig, input_shape: tuple[int, int, int], n_classes: int) -> None:
        super().__init__()
        shapes = {layer.name: layer.output_shape for layer in trace(config, input_shape, n_classes)}
        self.features = _features(config, input_shape[0])
        self.classifier = _classifier(config, shapes["flatten"][0], n_classes)
        self.aux = nn.ModuleDict(
            {name: nn.Linear(int(torch.Size(shapes[name]).numel()), n_classes) for name in config.aux_heads}
        )
        # The head of a conv sees the map after the activation, the head of a pool the pooled map.
        self._taps = {
            name if name.startswith("pool") else name.replace("conv", "activation"): name for name in config.aux_heads
        }
        initialise(self, config.init)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))

    def forward_heads(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The output and, by the names of their layers, the logits of the auxiliary heads, all (batch, classes)."""
        heads = {}
        maps = images
        for name, module in self.features.named_children():
            maps = module(maps)
            if name in self._taps:
                head = self._taps[name]
                heads[head] = self.aux[head](maps.flatten(1))
        return self.classifier(maps), heads


def _features(config: ConvNetConfig, n_channels: int) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    n_convs = len(config.filters)
    dropouts = spread(config.dropout_conv, n_convs, "dropout_conv")
    pool_dropouts = iter(spread(config.dropout_pool, len(config.pool_after), "dropout_pool"))
    if config.input_padding:
        modules["padding"] = nn.ZeroPad2d(config.input_padding)
    for number, (n_filters, kernel, padding, dropout) in enumerate(
        zip(
            config.filters,
            spread(config.kernel_size, n_convs, "kernel_size"),
            spread(config.padding, n_convs, "padding"),
            dropouts,
            strict=True,
        ),
        start=1,
    ):
        modules[f"conv{number}"] = Conv(n_channels, n_filters, kernel, padding=padding)
        if config.batch_norm:
            modules[f"norm{number}"] = nn.BatchNorm2d(n_filters)
        activation = activation_of(config)
        if number in config.pool_after and _may_pool_first(config, number, dropout):
            modules[f"pool{number}"] = POOLINGS[config.pooling](2)
            modules[f"activation{number}"] = activation
        else:
            modules[f"activation{number}"] = activation
            if dropout:
                modules[f"dropout_conv{number}"] = nn.Dropout(dropout)
            if number in config.pool_after:
                modules[f"pool{number}"] = POOLINGS[config.pooling](2)
        if number in config.pool_after and (pool_dropout := next(pool_dropouts)):
            modules[f"dropout_pool{number}"] = nn.Dropout(pool_dropout)
        n_channels = n_filters
    return nn.Sequential(modules)


def _may_pool_first(config: ConvNetConfig, number: int, dropout: float) -> bool:
    """Whether pooling before the activation gives the same map, which leaves the activation a quarter of the work.

    This makes a training step of LeNet-5 on one CPU core about a fifth faster. A layer with a head keeps the order that
    the head's name promises.
    """
    tapped = {f"conv{number}", f"pool{number}"} & set(config.aux_heads)
    return config.pooling == "max" and config.activation in MONOTONE and not dropout and not tapped


def _classifier(config: ConvNetConfig, width: int, n_classes: int) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    if config.dropout_flatten:
        modules["dropout_flatten"] = nn.Dropout(config.dropout_flatten)
    dropouts = spread(config.dropout, len(config.hidden), "dropout")
    for number, (units, dropout) in enumerate(zip(config.hidden, dropouts, strict=True), start=1):
        modules[f"hidden{number}"] = nn.Linear(width, units)
        if config.hidden_activation:
            modules[f"hidden_activation{number}"] = activation_of(config)
        if dropout:
            modules[f"dropout{number}"] = nn.Dropout(dropout)
        width = units
    modules["output"] = nn.Linear(width, n_classes)
    if config.softmax_output:
        modules["softmax"] = nn.Softmax(dim=1)
    return nn.Sequential(modules)
