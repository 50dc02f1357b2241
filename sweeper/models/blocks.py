"""Activation functions and weight initialisation for networks of several families."""

from torch import nn

from sweeper.config import ConvNetConfig, MlpConfig

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation_of(config: ConvNetConfig | MlpConfig) -> nn.Module:
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
            assert module.bias is not None
            nn.init.zeros_(module.bias)
