"""The configuration of networks, their training and their scoring: frozen dataclasses that check their own fields."""

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
CLASS_WEIGHTS = ("none", "balanced")
# Fields that stored keys of configurations lack, with the values that they then have.
NOT_IN_OLD_KEYS = {"class_weights": "none"}
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
                value = f.metadata["rule"](getattr(self, f.name))
            except ValueError as error:
                raise ValueError(f"{f.name} {error}") from None
            object.__setattr__(self, f.name, value)


@dataclass(frozen=True)
class ModelConfig(_Checked):
    """The fields of networks of every family.

    "Per layer" fields take one value for all layers or an array with one value per layer; layers count from 1.
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
    leaky_relu_slope: float = _field(0.01, validators.share)  # of leaky_relu, for inputs below 0
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
    """A perceptron on the flattened image: linear layers (each with norm, activation, dropout), then the output."""

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
    """A network of the timm library, adapted to the images' channels and size and to the number of classes."""

    family: str = _field("timm", validators.one_of(*FAMILIES))
    model_name: str = _field("resnet18", validators.timm_name)
    pretrained: bool = _field(False, validators.boolean)
    drop_rate: float = _field(0.0, validators.share)  # dropout before the output
    drop_path_rate: float = _field(0.0, validators.share)  # stochastic depth, in architectures that have it


@dataclass(frozen=True)
class AugmentConfig(_Checked):
    """Augmentation, drawn anew for every training image in every epoch; `..._p` is an operation's probability.

    The names and meanings are those of torchvision's transforms; the defaults change nothing.
    """

    flip_p: float = _field(0.0, validators.probability)  # mirrors left and right
    rotation: float = _field(0.0, validators.degrees)  # maximum, in both directions
    rotation_p: float = _field(1.0, validators.probability)
    translation: float = _field(0.0, validators.share)  # maximum, as a share of the side, in all four directions
    crop_padding: int = _field(0, validators.integer(0))  # pixels added around the image before cropping to its size
    # Strengths: the factor is drawn from 1 - strength (at least 0) to 1 + strength.
    brightness: float = _field(0.0, validators.strength)
    contrast: float = _field(0.0, validators.strength)
    saturation: float = _field(0.0, validators.strength)
    jitter_p: float = _field(1.0, validators.probability)  # for these three together
    sharpness: float = _field(2.0, validators.strength)  # a factor: 0 blurs, 1 changes nothing
    sharpness_p: float = _field(0.0, validators.probability)
    erasing_area: float = _field(0.33, validators.positive_share)  # maximum, as a share of the image
    erasing_p: float = _field(0.0, validators.probability)


@dataclass(frozen=True)
class TrainConfig(AugmentConfig):
    """How a network is trained; the number of epochs belongs to the protocol."""

    optimizer: str = _field("adam", validators.one_of(*OPTIMIZERS))
    lr: float = _field(1e-3, validators.positive)
    momentum: float = _field(0.0, validators.share)  # of sgd and rmsprop
    nesterov: bool = _field(False, validators.boolean)  # for sgd with momentum
    # As in torch: adds weight_decay * w to the gradient, like a penalty of weight_decay / 2 * sum(w ** 2).
    weight_decay: float = _field(0.0, validators.not_negative)
    # If empty, every parameter decays, as in torch; otherwise only the weights of these layers, and no bias.
    weight_decay_layers: tuple[str, ...] = _field((), validators.layer_names)
    decoupled_weight_decay: bool = _field(False, validators.boolean)  # w *= 1 - lr * weight_decay; always for adamw
    schedule: str = _field("constant", validators.one_of(*SCHEDULES))
    step_size: int = _field(5, validators.integer(1))  # epochs between two steps of schedule "step"
    step_gamma: float = _field(0.5, validators.factor)
    exponential_gamma: float = _field(0.9, validators.factor)  # per epoch; epoch 15 has 0.9 ** 14 = 0.23 of lr
    warmup_epochs: int = _field(0, validators.integer(0))  # epochs of linear rise before the cosine
    # One-cycle as in Smith & Topin (2019), with the proportions of torch's OneCycleLR: start and end are shares of lr,
    # rise is a share of the steps.
    cycle_start: float = _field(0.04, validators.positive_share)  # also the lowest rate of cyclic
    cycle_end: float = _field(4e-6, validators.positive_share)
    cycle_rise: float = _field(0.3, validators.share)
    cycle_epochs: int = _field(2, validators.integer(1))  # per rise or fall of cyclic: Smith (2017) uses 2 to 10
    # Moves momentum (adam, adamw: beta1) against the learning rate in cyclic and one_cycle: high where the rate is low.
    cycle_momentum: bool = _field(False, validators.boolean)
    momentum_low: float = _field(0.85, validators.positive_share)
    momentum_high: float = _field(0.95, validators.positive_share)
    batch_size: int = _field(64, validators.integer(1))
    clip_norm: float = _field(0.0, validators.not_negative)  # 0: gradients are not clipped
    # Of a step's forward pass; weights, their updates, the losses and validation are always float32.
    precision: str = _field("float32", validators.one_of(*PRECISIONS))
    label_smoothing: float = _field(0.0, validators.share)
    # Of the loss of training. balanced, as in scikit-learn: n_images / (n_classes * n_images_of_the_class).
    class_weights: str = _field("none", validators.one_of(*CLASS_WEIGHTS))
    patience: int = _field(0, validators.integer(0))  # epochs without a lower validation loss before stopping; 0: off
    # Weight of each auxiliary head's loss: 0.3 as in GoogLeNet (Szegedy et al., 2015, section 5).
    aux_weight: float = _field(0.3, validators.not_negative)


@dataclass(frozen=True)
class Protocol(_Checked):
    """How a trial is scored: epochs, the parts held out of the training set, and the scaling of pixels.

    With `folds`, a trial has one training per fold and `validation` is ignored; with `repeats`, one training per seed.
    The trial's score is the mean over its trainings.
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

    @property
    def n_trainings(self) -> int:
        """How many trainings each configuration has: one for each fold and repeat."""
        return max(self.folds, 1) * self.repeats


MODEL_FAMILIES: Mapping[str, type[ModelConfig]] = dict(
    zip(FAMILIES, (ConvNetConfig, MlpConfig, TimmConfig), strict=True)
)


@dataclass(frozen=True)
class Configuration:
    """A network and how to train it: one point of a search space, or a variant outside it."""

    model: ModelConfig
    train: TrainConfig

    def values(self) -> dict[str, Any]:
        """All fields in one flat dict (names are unique across model and training)."""
        return asdict(self.model) | asdict(self.train)

    def key(self) -> str:
        """Canonical JSON: equal for equal configurations, and for those of stores that lack some of the fields."""
        values = self.values()
        for name, default in NOT_IN_OLD_KEYS.items():
            if values[name] == default:
                del values[name]
        return json.dumps(values, sort_keys=True)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> "Configuration":
        """The configuration with these flat values; raises ValueError with field, rule and value."""
        family = values.get("family", ModelConfig.family)
        if family not in MODEL_FAMILIES:
            raise ValueError(f"family must be one of {', '.join(MODEL_FAMILIES)}, got {family!r}")
        return Configuration(*(_pick(kind, values) for kind in (MODEL_FAMILIES[family], TrainConfig)))


def shortly(value: Any) -> str:
    """A field's value for people, with three digits if it is a float."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _pick(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})
