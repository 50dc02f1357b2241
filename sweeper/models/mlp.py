"""The multilayer perceptron: linear layers on the flattened image, from an `MlpConfig`."""

from collections import OrderedDict
from math import prod

from torch import nn

from sweeper.config import MlpConfig
from sweeper.models.blocks import activation_of, initialise
from sweeper.models.layers import spread


def build(config: MlpConfig, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """The network: normalised images (batch, channels, height, width) in, logits (batch, classes) out.

    With `softmax_output` it gives probabilities. Raises ValueError where a per-layer field has too few or too many
    values.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    if config.dropout_flatten:
        modules["dropout_flatten"] = nn.Dropout(config.dropout_flatten)
    width = prod(input_shape)
    dropouts = spread(config.dropout, len(config.hidden), "dropout", "hidden layers")
    for number, (units, dropout) in enumerate(zip(config.hidden, dropouts, strict=True), start=1):
        modules[f"hidden{number}"] = nn.Linear(width, units)
        if config.batch_norm:
            modules[f"norm{number}"] = nn.BatchNorm1d(units)
        modules[f"activation{number}"] = activation_of(config)
        if dropout:
            modules[f"dropout{number}"] = nn.Dropout(dropout)
        width = units
    modules["output"] = nn.Linear(width, n_classes)
    if config.softmax_output:
        modules["softmax"] = nn.Softmax(dim=1)
    network = nn.Sequential(modules)
    initialise(network, config.init)
    return network
