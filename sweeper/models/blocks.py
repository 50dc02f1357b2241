"""Activation functions, pools and weight initialisation for networks of several families."""

from torch import nn

from sweeper.config import ConvNetConfig, MlpConfig, ResNetConfig

# These never fall; gelu and silu do, where they dip below 0. A maximum can be taken before such a function: the maximum
# of its values is its value at the maximum.
MONOTONE = ("relu", "leaky_relu", "tanh", "elu")
POOLINGS: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation_of(config: ConvNetConfig | MlpConfig | ResNetConfig) -> nn.Module:
    """A new module of the configured activation function."""
    if config.activation == "leaky_relu":
        return nn.LeakyReLU(config.leaky_relu_slope)
    return ACTIVATIONS[config.activation]()


def initialise(model: nn.Module, init: str) -> None:
    """Sets Glorot (2010) or He (2015) weights and zero biases; "torch" keeps torch's own."""
    if init == "torch":
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if init == "glorot":
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
