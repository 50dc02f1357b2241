"""The fields of networks, for each family."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper import validators
from sweeper.config.fields import Checked, ruled

FAMILIES = ("convnet", "mlp", "resnet", "timm")
ACTIVATIONS = ("relu", "leaky_relu", "tanh", "elu", "gelu", "silu")
POOLINGS = ("max", "avg")
INITS = ("torch", "glorot", "he")
DOWNSAMPLINGS = ("stride", "max", "avg")
# Of a network: the deepest of He et al. (2016), for CIFAR-10, has 600.
MOST_BLOCKS = 600

# Meanings of fields that several families have.
FAMILY = "the kind of network; it decides which other keys [model] has"
SLOPE = "slope of leaky_relu for inputs below 0"
INIT = "initial weights: torch's own, or those of Glorot (2010) or He (2015) with biases of 0"


@dataclass(frozen=True)
class ModelConfig(Checked):
    """The fields of networks of every family.

    "Per layer" fields take one value for all layers or an array with one value per layer; layers count from 1.
    """

    family: str = ruled("convnet", validators.one_of(*FAMILIES), FAMILY)
    softmax_output: bool = ruled(
        False, validators.boolean, "whether the network gives probabilities, which the loss then takes as logits"
    )

    def values(self) -> Mapping[str, Any]:
        """What a space file and a run's parameters hold of the network, by name."""
        return dict(vars(self))

    @property
    def weights(self) -> str:
        """The pretrained weights that the network starts from, as sweeper names them; "" for random ones."""
        return ""


@dataclass(frozen=True)
class ConvNetConfig(ModelConfig):
    """A plain convolutional network: convs (each with norm, activation, dropout, pool), then linear layers."""

    filters: tuple[int, ...] = ruled(
        (6, 16, 120),
        validators.sequence(validators.integer(1)),
        "filters of each conv; their number is that of the convs",
    )
    kernel_size: int | tuple[int, ...] = ruled(
        5, validators.per_layer(validators.integer(1)), "side of each conv's square kernel, per layer", "pixels"
    )
    padding: int | str | tuple[int | str, ...] = ruled(
        0,
        validators.per_layer(validators.padding),
        'zeros around the input of each conv, per layer; "same" keeps height and width',
        "pixels",
    )
    input_padding: int = ruled(
        0, validators.integer(0), "zeros around the scaled image, before the first conv", "pixels"
    )
    pool_after: tuple[int, ...] = ruled((1, 2), validators.layer_numbers, "the convs that a 2x2 pool follows")
    pooling: str = ruled("max", validators.one_of(*POOLINGS), "whether pools take the maximum or the mean")
    batch_norm: bool = ruled(False, validators.boolean, "whether each conv has a batch norm")
    activation: str = ruled(
        "relu", validators.one_of(*ACTIVATIONS), "activation function after convs and hidden layers"
    )
    leaky_relu_slope: float = ruled(0.01, validators.share, SLOPE)
    hidden: tuple[int, ...] = ruled(
        (84,),
        validators.sequence(validators.integer(1), empty=True),
        "units of each hidden linear layer; empty for none",
    )
    hidden_activation: bool = ruled(True, validators.boolean, "whether hidden layers have an activation function")
    dropout: float | tuple[float, ...] = ruled(
        0.0,
        validators.per_layer(validators.share),
        "dropout after each hidden layer, one value for all or one per hidden layer",
        "probability",
    )
    dropout_conv: float | tuple[float, ...] = ruled(
        0.0, validators.per_layer(validators.share), "dropout after each conv's activation, per layer", "probability"
    )
    dropout_pool: float | tuple[float, ...] = ruled(
        0.0,
        validators.per_layer(validators.share),
        "dropout after each pool, one value for all or one per pool",
        "probability",
    )
    dropout_flatten: float = ruled(0.0, validators.share, "dropout before the first linear layer", "probability")
    aux_heads: tuple[str, ...] = ruled(
        (), validators.head_names, "convs and pools whose maps have a classifier of their own, in training only"
    )
    init: str = ruled(
        "torch",
        validators.one_of(*INITS),
        INIT,
    )


@dataclass(frozen=True)
class MlpConfig(ModelConfig):
    """A perceptron on the flattened image: linear layers (each with norm, activation, dropout), then the output."""

    family: str = ruled("mlp", validators.one_of(*FAMILIES), FAMILY)
    hidden: tuple[int, ...] = ruled(
        (1024,), validators.sequence(validators.integer(1), empty=True), "units of each hidden layer; empty for none"
    )
    batch_norm: bool = ruled(False, validators.boolean, "whether each hidden layer has a batch norm")
    activation: str = ruled("relu", validators.one_of(*ACTIVATIONS), "activation function after hidden layers")
    leaky_relu_slope: float = ruled(0.01, validators.share, SLOPE)
    dropout: float | tuple[float, ...] = ruled(
        0.0, validators.per_layer(validators.share), "dropout after each hidden layer, per layer", "probability"
    )
    dropout_flatten: float = ruled(0.0, validators.share, "dropout of the pixels", "probability")
    init: str = ruled(
        "torch",
        validators.one_of(*INITS),
        INIT,
    )


@dataclass(frozen=True)
class ResNetConfig(ModelConfig):
    """A residual network: a conv, stages of blocks of two convs beside a shortcut, and the mean of each last map.

    All convs are 3x3, except those of shortcuts, with batch norm instead of a bias. "Per stage" fields take one value
    for all stages or an array with one value per stage; stages count from 1.
    """

    family: str = ruled("resnet", validators.one_of(*FAMILIES), FAMILY)
    filters: tuple[int, ...] = ruled(
        (32, 64, 128), validators.sequence(validators.integer(1)), "filters of the first conv, then of each stage"
    )
    blocks: int | tuple[int, ...] = ruled(
        1, validators.per_layer(validators.integer(1)), "residual blocks of each stage, per stage"
    )
    downsample_at: tuple[int, ...] = ruled(
        (1, 2), validators.layer_numbers, "the stages that begin by halving height and width"
    )
    downsampling: str = ruled(
        "stride",
        validators.one_of(*DOWNSAMPLINGS),
        "what halves: the stride of the stage's first conv, or a pool before it",
    )
    activation: str = ruled("relu", validators.one_of(*ACTIVATIONS), "activation function after convs")
    leaky_relu_slope: float = ruled(0.01, validators.share, SLOPE)
    dropout: float = ruled(0.0, validators.share, "dropout before the output", "probability")
    init: str = ruled(
        "torch",
        validators.one_of(*INITS),
        INIT,
    )


@dataclass(frozen=True)
class TimmConfig(ModelConfig):
    """A network of the timm library, adapted to the images' channels and size and to the number of classes."""

    family: str = ruled("timm", validators.one_of(*FAMILIES), FAMILY)
    model_name: str = ruled(
        "resnet18",
        validators.timm_name,
        "timm's name of the network; the part after the dot names its pretrained weights",
    )
    pretrained: bool = ruled(False, validators.boolean, "whether the network starts from pretrained weights")
    drop_rate: float = ruled(0.0, validators.share, "dropout before the output", "probability")
    drop_path_rate: float = ruled(
        0.0, validators.share, "stochastic depth, in architectures that have it", "probability"
    )
    pretrained_file: str = ruled(
        "",
        validators.path,
        "where pretrained weights are: a file, or a folder as the hub stores them; empty for the hub or its cache",
    )
    input_size: int = ruled(
        0,
        validators.integer(0),
        "side of the square to which the network scales the images; 0: it takes them as they are",
        "pixels",
    )

    @property
    def weights(self) -> str:
        if not self.pretrained:
            return ""
        return f"{self.model_name} from {self.pretrained_file}" if self.pretrained_file else self.model_name


MODEL_FAMILIES: Mapping[str, type[ModelConfig]] = dict(
    zip(FAMILIES, (ConvNetConfig, MlpConfig, ResNetConfig, TimmConfig), strict=True)
)
