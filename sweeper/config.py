"""What a network is and how it is trained: frozen dataclasses whose fields check their own values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sweeper import validators
from sweeper.validators import Rule

FAMILIES = ("convnet", "mlp", "timm")
ACTIVATIONS = ("relu", "leaky_relu", "tanh", "elu", "gelu", "silu")
POOLINGS = ("max", "avg")
INITS = ("torch", "glorot", "he")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "step", "exponential", "cosine", "cyclic", "one_cycle")
PIXELS = ("unit", "standard")


def _field(default: Any, rule: Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


def check_value(kind: type, name: str, value: Any) -> Any:
    """The normalised form of `value` for the field `name` of the dataclass `kind` (arrays become tuples).

    Raises ValueError, giving the rule and the value, when the value is not allowed.
    """
    rule: Rule = next(f.metadata["rule"] for f in fields(kind) if f.name == name)
    return rule(value)


class _Checked:
    """Checks every field of a dataclass on construction."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            try:
                value = check_value(type(self), f.name, getattr(self, f.name))
            except ValueError as error:
                raise ValueError(f"{f.name} {error}") from None
            object.__setattr__(self, f.name, value)


@dataclass(frozen=True)
class ModelConfig(_Checked):
    """What networks of every family have.

    "Per layer" fields take one value for all layers or an array with one a layer; layers count from 1.
    """

    family: str = _field("convnet", validators.one_of(*FAMILIES))
    softmax_output: bool = _field(False, validators.boolean)


@dataclass(frozen=True)
class ConvNetConfig(ModelConfig):
    """A plain convolutional network: convs (each with norm, activation, dropout, pool), then linear layers."""

    filters: tuple[int, ...] = _field((6, 16, 120), validators.sequence(validators.integer(1)))
    kernel_size: int | tuple[int, ...] = _field(5, validators.per_layer(validators.integer(1)))
    padding: int | str | tuple[int | str, ...] = _field(0, validators.per_layer(validators.padding))
    input_padding: int = _field(0, validators.integer(0))
    pool_after: tuple[int, ...] = _field((1, 2), validators.layer_numbers)
    pooling: str = _field("max", validators.one_of(*POOLINGS))
    batch_norm: bool = _field(False, validators.boolean)
    activation: str = _field("relu", validators.one_of(*ACTIVATIONS))
    leaky_relu_slope: float = _field(0.01, validators.share)  # of leaky_relu below 0
    hidden: tuple[int, ...] = _field((84,), validators.sequence(validators.integer(1), empty=True))
    hidden_activation: bool = _field(True, validators.boolean)
    dropout: float | tuple[float, ...] = _field(0.0, validators.per_layer(validators.share))
    dropout_conv: float | tuple[float, ...] = _field(0.0, validators.per_layer(validators.share))
    dropout_pool: float | tuple[float, ...] = _field(0.0, validators.per_layer(validators.share))
    dropout_flatten: float = _field(0.0, validators.share)
    aux_heads: tuple[str, ...] = _field((), validators.head_names)
    init: str = _field("torch", validators.one_of(*INITS))


@dataclass(frozen=True)
class MlpConfig(ModelConfig):
    """A perceptron on the flattened image: linear layers, each with norm, activation and dropout, then the output."""

    family: str = _field("mlp", validators.one_of(*FAMILIES))
    hidden: tuple[int, ...] = _field((1024,), validators.sequence(validators.integer(1), empty=True))
    batch_norm: bool = _field(False, validators.boolean)
    activation: str = _field("relu", validators.one_of(*ACTIVATIONS))
    leaky_relu_slope: float = _field(0.01, validators.share)
    dropout: float | tuple[float, ...] = _field(0.0, validators.per_layer(validators.share))
    dropout_flatten: float = _field(0.0, validators.share)
    init: str = _field("torch", validators.one_of(*INITS))


@dataclass(frozen=True)
class TimmConfig(ModelConfig):
    """A network of the timm library, its input channels and size and its number of classes adapted."""

    family: str = _field("timm", validators.one_of(*FAMILIES))
    model_name: str = _field("resnet18", validators.timm_name)
    pretrained: bool = _field(False, validators.boolean)
    drop_rate: float = _field(0.0, validators.share)  # of dropout before the output
    drop_path_rate: float = _field(0.0, validators.share)  # of stochastic depth, in the families that have it


@dataclass(frozen=True)
class AugmentConfig(_Checked):
    """How training images are changed, an image and an epoch at a time; `..._p` is the probability that it happens.

    The names and meanings are those of torchvision's transforms; by default nothing is changed.
    """

    flip_p: float = _field(0.0, validators.probability)  # left for right
    rotation: float = _field(0.0, validators.degrees)  # at most, to either side
    rotation_p: float = _field(1.0, validators.probability)
    translation: float = _field(0.0, validators.share)  # at most, of the side, each way
    crop_padding: int = _field(0, validators.integer(0))  # pixels around the image, of which one of its size is cut
    # A factor drawn from 1 - strength (at least 0) to 1 + strength.
    brightness: float = _field(0.0, validators.strength)
    contrast: float = _field(0.0, validators.strength)
    saturation: float = _field(0.0, validators.strength)
    jitter_p: float = _field(1.0, validators.probability)  # of these three together
    sharpness: float = _field(2.0, validators.strength)  # a factor: 0 blurs, 1 changes nothing
    sharpness_p: float = _field(0.0, validators.probability)
    erasing_area: float = _field(0.33, validators.positive_share)  # at most, of the image
    erasing_p: float = _field(0.0, validators.probability)


@dataclass(frozen=True)
class TrainConfig(AugmentConfig):
    """How a network is trained; the number of epochs belongs to the protocol."""

    optimizer: str = _field("adam", validators.one_of(*OPTIMIZERS))
    lr: float = _field(1e-3, validators.positive)
    momentum: float = _field(0.0, validators.share)  # sgd and rmsprop
    nesterov: bool = _field(False, validators.boolean)  # sgd with momentum
    # As torch's: the gradient gets weight_decay * w, that of a penalty of weight_decay / 2 * sum(w ** 2).
    weight_decay: float = _field(0.0, validators.not_negative)
    # Empty: every parameter decays, as in torch; else the weights of these layers, and no bias.
    weight_decay_layers: tuple[str, ...] = _field((), validators.layer_names)
    decoupled_weight_decay: bool = _field(False, validators.boolean)  # w *= 1 - lr * weight_decay; always so for adamw
    schedule: str = _field("constant", validators.one_of(*SCHEDULES))
    step_size: int = _field(5, validators.integer(1))  # epochs between two steps of schedule "step"
    step_gamma: float = _field(0.5, validators.factor)
    exponential_gamma: float = _field(0.9, validators.factor)  # per epoch; 0.9 ** 14 = 0.23 in the 15th
    warmup_epochs: int = _field(0, validators.integer(0))  # of a linear rise before the cosine
    # One-cycle as in Smith & Topin (2019), with the proportions of torch's OneCycleLR; shares of lr and of the steps.
    cycle_start: float = _field(0.04, validators.positive_share)  # cyclic's lowest, too
    cycle_end: float = _field(4e-6, validators.positive_share)
    cycle_rise: float = _field(0.3, validators.share)
    cycle_epochs: int = _field(2, validators.integer(1))  # of one rise or fall of cyclic: Smith (2017) has 2 to 10
    # Momentum (adam, adamw: beta1) against the learning rate, in cyclic and one_cycle: high where that is low.
    cycle_momentum: bool = _field(False, validators.boolean)
    momentum_low: float = _field(0.85, validators.positive_share)
    momentum_high: float = _field(0.95, validators.positive_share)
    batch_size: int = _field(64, validators.integer(1))
    clip_norm: float = _field(0.0, validators.not_negative)  # 0: gradients are not clipped
    # Of a step's forward pass; weights, their updates, the losses and validation are float32 in any case.
    precision: str = _field("float32", validators.one_of(*PRECISIONS))
    label_smoothing: float = _field(0.0, validators.share)
    patience: int = _field(0, validators.integer(0))  # epochs without a lower validation loss before the end; 0: never
    # Weight of each auxiliary head's loss: 0.3 as in GoogLeNet (Szegedy et al., 2015, section 5).
    aux_weight: float = _field(0.3, validators.not_negative)


@dataclass(frozen=True)
class Protocol(_Checked):
    """How a trial is scored: epochs, the parts cut off the training pool, and the scaling of pixels.

    With `folds`, a trial is trained once a fold and `validation` has no meaning; with `repeats`, once a seed; its
    score is the mean.
    """

    epochs: int = _field(15, validators.integer(1))
    validation: int | float = _field(0.1, validators.part(empty=False))
    confirm: int | float = _field(0.1, validators.part(empty=True))
    folds: int = _field(0, validators.folds)  # 0: none
    repeats: int = _field(1, validators.integer(1))
    pixels: str = _field("standard", validators.one_of(*PIXELS))

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = [part for part in (self.validation, self.confirm) if isinstance(part, float)]
        if sum(shares) >= 1:
            raise ValueError(
                f"validation and confirm as shares must sum below 1, got {self.validation!r} and {self.confirm!r}"
            )


MODEL_FAMILIES: Mapping[str, type[ModelConfig]] = dict(
    zip(FAMILIES, (ConvNetConfig, MlpConfig, TimmConfig), strict=True)
)


@dataclass(frozen=True)
class Configuration:
    """One point that can be trained: a network and its training."""

    model: ModelConfig
    train: TrainConfig

    def values(self) -> dict[str, Any]:
        """All fields in one flat dict (their names are unique across the two)."""
        return asdict(self.model) | asdict(self.train)

    def key(self) -> str:
        """Canonical JSON: equal for equal configurations."""
        return json.dumps(self.values(), sort_keys=True)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> "Configuration":
        """The configuration with these flat values; raises ValueError with field, rule and value."""
        family = values.get("family", ModelConfig.family)
        if family not in MODEL_FAMILIES:
            raise ValueError(f"family must be one of {', '.join(MODEL_FAMILIES)}, got {family!r}")
        return Configuration(*(_pick(kind, values) for kind in (MODEL_FAMILIES[family], TrainConfig)))


def _pick(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})
