"""The fields of networks, for each family."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class ModelConfig(Checked):
    """The fields of networks of every family.

    "Per layer" fields take one value for all layers or an array with one value per layer; layers count from 1.
    """

    family: str = ruled("convnet", validators.one_of(*FAMILIES))
    softmax_output: bool = ruled(False, validators.boolean)

    def values(self) -> Mapping[str, Any]:
        """What a space file and a run's parameters hold of the network, by name."""
        return asdict(self)

    @property
    def weights(self) -> str:
        """The pretrained weights that the network starts from, as sweeper names them; "" for random ones."""
        return ""


@dataclass(frozen=True)
class ConvNetConfig(ModelConfig):
    """A plain convolutional network: convs (each with norm, activation, dropout, pool), then linear layers."""

    filters: tuple[int, ...] = ruled((6, 16, 120), validators.sequence(validators.integer(1)))
    kernel_size: int | tuple[int, ...] = ruled(5, validators.per_layer(validators.integer(1)))
    padding: int | str | tuple[int | str, ...] = ruled(0, validators.per_layer(validators.padding))
    input_padding: int = ruled(0, validators.integer(0))
    pool_after: tuple[int, ...] = ruled((1, 2), validators.layer_numbers)
    pooling: str = ruled("max", validators.one_of(*POOLINGS))
    batch_norm: bool = ruled(False, validators.boolean)
    activation: str = ruled("relu", validators.one_of(*ACTIVATIONS))
    leaky_relu_slope: float = ruled(0.01, validators.share)  # of leaky_relu, for inputs below 0
    hidden: tuple[int, ...] = ruled((84,), validators.sequence(validators.integer(1), empty=True))
    hidden_activation: bool = ruled(True, validators.boolean)
    dropout: float | tuple[float, ...] = ruled(0.0, validators.per_layer(validators.share))
    dropout_conv: float | tuple[float, ...] = ruled(0.0, validators.per_layer(validators.share))
    dropout_pool: float | tuple[float, ...] = ruled(0.0, validators.per_layer(validators.share))
    dropout_flatten: float = ruled(0.0, validators.share)
    aux_heads: tuple[str, ...] = ruled((), validators.head_names)
    init: str = ruled("torch", validators.one_of(*INITS))


@dataclass(frozen=True)
class MlpConfig(ModelConfig):
    """A perceptron on the flattened image: linear layers (each with norm, activation, dropout), then the output."""

    family: str = ruled("mlp", validators.one_of(*FAMILIES))
    hidden: tuple[int, ...] = ruled((1024,), validators.sequence(validators.integer(1), empty=True))
    batch_norm: bool = ruled(False, validators.boolean)
    activation: str = ruled("relu", validators.one_of(*ACTIVATIONS))
    leaky_relu_slope: float = ruled(0.01, validators.share)
    dropout: float | tuple[float, ...] = ruled(0.0, validators.per_layer(validators.share))
    dropout_flatten: float = ruled(0.0, validators.share)
    init: str = ruled("torch", validators.one_of(*INITS))


@dataclass(frozen=True)
class ResNetConfig(ModelConfig):
    """A residual network: a conv, stages of blocks of two convs beside a shortcut, and the mean of each last map.

    All convs are 3x3, except those of shortcuts, with batch norm instead of a bias. "Per stage" fields take one value
    for all stages or an array with one value per stage; stages count from 1.
    """

    family: str = ruled("resnet", validators.one_of(*FAMILIES))
    filters: tuple[int, ...] = ruled((32, 64, 128), validators.sequence(validators.integer(1)))  # first conv, stages
    blocks: int | tuple[int, ...] = ruled(1, validators.per_layer(validators.integer(1)))  # per stage
    downsample_at: tuple[int, ...] = ruled((1, 2), validators.layer_numbers)  # stages that begin by halving the map
    # stride: by the stage's first conv, and in its shortcut by a mean, as ResNet-D (He et al., 2019); else by a pool.
    downsampling: str = ruled("stride", validators.one_of(*DOWNSAMPLINGS))
    activation: str = ruled("relu", validators.one_of(*ACTIVATIONS))
    leaky_relu_slope: float = ruled(0.01, validators.share)
    dropout: float = ruled(0.0, validators.share)  # before the output
    init: str = ruled("torch", validators.one_of(*INITS))


@dataclass(frozen=True)
class TimmConfig(ModelConfig):
    """A network of the timm library, adapted to the images' channels and size and to the number of classes."""

    family: str = ruled("timm", validators.one_of(*FAMILIES))
    model_name: str = ruled("resnet18", validators.timm_name)
    pretrained: bool = ruled(False, validators.boolean)
    drop_rate: float = ruled(0.0, validators.share)  # dropout before the output
    drop_path_rate: float = ruled(0.0, validators.share)  # stochastic depth, in architectures that have it
    # Where pretrained weights are: a file, or a folder as the hub stores them; "": on the hub, or in its cache.
    pretrained_file: str = ruled("", validators.path)
    # The side of the square to which the network scales the images; 0: it takes them as they are.
    input_size: int = ruled(0, validators.integer(0))

    @property
    def weights(self) -> str:
        if not self.pretrained:
            return ""
        return f"{self.model_name} from {self.pretrained_file}" if self.pretrained_file else self.model_name


MODEL_FAMILIES: Mapping[str, type[ModelConfig]] = dict(
    zip(FAMILIES, (ConvNetConfig, MlpConfig, ResNetConfig, TimmConfig), strict=True)
)
