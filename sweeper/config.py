"""What a network is and how it is trained: frozen dataclasses whose fields check their own values."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Rule = Callable[[Any], Any]

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "elu", "gelu", "silu")
POOLINGS = ("max", "avg")
INITS = ("torch", "glorot", "he")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "step", "exponential", "cosine", "cyclic", "one_cycle")
PIXELS = ("unit", "standard")

# What torch takes as a size everywhere.
MOST_INTEGER = 2**31 - 1
# Each fold's images lie on disk for the workers while a study runs.
MOST_FOLDS = 100


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounded(value: int) -> int:
    if value > MOST_INTEGER:
        raise ValueError(f"must be an integer of at most {MOST_INTEGER}, got {value!r}")
    return value


def _integer(minimum: int) -> Rule:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"must be an integer of at least {minimum}, got {value!r}")
        return _bounded(value)

    return check


def _share(value: Any) -> float:
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"must be in [0, 1), got {value!r}")
    return float(value)


def _positive_share(value: Any) -> float:
    if not _is_number(value) or not 0 < value < 1:
        raise ValueError(f"must be in (0, 1), got {value!r}")
    return float(value)


def _positive(value: Any) -> float:
    if not _is_number(value) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"must be a positive number, got {value!r}")
    return float(value)


def _factor(value: Any) -> float:
    if not _is_number(value) or not 0 < value <= 1:
        raise ValueError(f"must be in (0, 1], got {value!r}")
    return float(value)


def _not_negative(value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"must be a number of at least 0, got {value!r}")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def _one_of(*names: str) -> Rule:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}, got {value!r}")
        return str(value)

    return check


def _padding(value: Any) -> int | str:
    if value == "same":
        return "same"
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f'must be an integer of at least 0, or "same", got {value!r}')
    return _bounded(value)


def _sequence(rule: Rule, *, empty: bool = False) -> Rule:
    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not (value or empty):
            raise ValueError(f"must be {'an' if empty else 'a non-empty'} array, got {value!r}")
        return tuple(rule(entry) for entry in value)

    return check


def _per_layer(rule: Rule) -> Rule:
    """One value for all layers, or an array with one a layer."""

    def check(value: Any) -> Any:
        return _sequence(rule)(value) if isinstance(value, list | tuple) else rule(value)

    return check


def _layer_numbers(value: Any) -> tuple[int, ...]:
    numbers = _sequence(_integer(1), empty=True)(value)
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"must be layer numbers in rising order, got {value!r}")
    return numbers


def _names(pattern: str, examples: str) -> Rule:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be an array of names such as {examples}, got {value!r}")
        for name in value:
            if not isinstance(name, str) or not re.fullmatch(pattern, name):
                raise ValueError(f"must hold names such as {examples}, got {name!r}")
        if len(set(value)) != len(value):
            raise ValueError(f"must not name a layer twice, got {value!r}")
        return tuple(value)

    return check


_head_names = _names(r"(conv|pool)[1-9][0-9]*", '"conv2" or "pool1"')
_layer_names = _names(r"((aux_)?conv|aux_pool|hidden)[1-9][0-9]*|output", '"conv2", "hidden1", "output" or "aux_conv2"')


def _part(*, empty: bool) -> Rule:
    """A share of the training pool (a float), or a count of images (an integer)."""

    def check(value: Any) -> int | float:
        if not _is_number(value) or not (value >= 0 if empty else value > 0):
            raise ValueError(f"must be a share below 1 or a count of images, got {value!r}")
        if isinstance(value, float) and value >= 1:
            raise ValueError(f"must be a share below 1 or a whole count of images, got {value!r}")
        return _bounded(value) if isinstance(value, int) else value

    return check


def _folds(value: Any) -> int:
    folds: int = _integer(0)(value)
    if folds == 1 or folds > MOST_FOLDS:
        raise ValueError(f"must be 0 for none, or at least 2 and at most {MOST_FOLDS}, got {value!r}")
    return folds


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
    """A plain convolutional network: convs (each with norm, activation, dropout, pool), then linear layers.

    "Per layer" fields take one value for all layers or an array with one a layer; layers count from 1.
    """

    family: str = _field("convnet", _one_of("convnet"))
    filters: tuple[int, ...] = _field((6, 16, 120), _sequence(_integer(1)))
    kernel_size: int | tuple[int, ...] = _field(5, _per_layer(_integer(1)))
    padding: int | str | tuple[int | str, ...] = _field(0, _per_layer(_padding))
    input_padding: int = _field(0, _integer(0))
    pool_after: tuple[int, ...] = _field((1, 2), _layer_numbers)
    pooling: str = _field("max", _one_of(*POOLINGS))
    batch_norm: bool = _field(False, _boolean)
    activation: str = _field("relu", _one_of(*ACTIVATIONS))
    leaky_relu_slope: float = _field(0.01, _share)  # of leaky_relu below 0
    hidden: tuple[int, ...] = _field((84,), _sequence(_integer(1), empty=True))
    hidden_activation: bool = _field(True, _boolean)
    dropout: float | tuple[float, ...] = _field(0.0, _per_layer(_share))
    dropout_conv: float | tuple[float, ...] = _field(0.0, _per_layer(_share))
    dropout_pool: float | tuple[float, ...] = _field(0.0, _per_layer(_share))
    dropout_flatten: float = _field(0.0, _share)
    softmax_output: bool = _field(False, _boolean)
    aux_heads: tuple[str, ...] = _field((), _head_names)
    init: str = _field("torch", _one_of(*INITS))


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """How a network is trained; the number of epochs belongs to the protocol."""

    optimizer: str = _field("adam", _one_of(*OPTIMIZERS))
    lr: float = _field(1e-3, _positive)
    momentum: float = _field(0.0, _share)  # sgd and rmsprop
    nesterov: bool = _field(False, _boolean)  # sgd with momentum
    # As torch's: the gradient gets weight_decay * w, that of a penalty of weight_decay / 2 * sum(w ** 2).
    weight_decay: float = _field(0.0, _not_negative)
    # Empty: every parameter decays, as in torch; else the weights of these layers, and no bias.
    weight_decay_layers: tuple[str, ...] = _field((), _layer_names)
    decoupled_weight_decay: bool = _field(False, _boolean)  # w *= 1 - lr * weight_decay; always so for adamw
    schedule: str = _field("constant", _one_of(*SCHEDULES))
    step_size: int = _field(5, _integer(1))  # epochs between two steps of schedule "step"
    step_gamma: float = _field(0.5, _factor)
    exponential_gamma: float = _field(0.9, _factor)  # per epoch; 0.9 ** 14 = 0.23 in the 15th
    warmup_epochs: int = _field(0, _integer(0))  # of a linear rise before the cosine
    # One-cycle as in Smith & Topin (2019), with the proportions of torch's OneCycleLR; shares of lr and of the steps.
    cycle_start: float = _field(0.04, _positive_share)  # cyclic's lowest, too
    cycle_end: float = _field(4e-6, _positive_share)
    cycle_rise: float = _field(0.3, _share)
    cycle_epochs: int = _field(2, _integer(1))  # of one rise or fall of cyclic: Smith (2017) has 2 to 10
    # Momentum (adam, adamw: beta1) against the learning rate, in cyclic and one_cycle: high where that is low.
    cycle_momentum: bool = _field(False, _boolean)
    momentum_low: float = _field(0.85, _positive_share)
    momentum_high: float = _field(0.95, _positive_share)
    batch_size: int = _field(64, _integer(1))
    clip_norm: float = _field(0.0, _not_negative)  # 0: gradients are not clipped
    label_smoothing: float = _field(0.0, _share)
    patience: int = _field(0, _integer(0))  # epochs without a lower validation loss before the end; 0: never
    # Weight of each auxiliary head's loss: 0.3 as in GoogLeNet (Szegedy et al., 2015, section 5).
    aux_weight: float = _field(0.3, _not_negative)


@dataclass(frozen=True)
class Protocol(_Checked):
    """How a trial is scored: epochs, the parts cut off the training pool, and the scaling of pixels.

    With `folds`, a trial is trained once a fold and `validation` has no meaning; with `repeats`, once a seed; its
    score is the mean.
    """

    epochs: int = _field(15, _integer(1))
    validation: int | float = _field(0.1, _part(empty=False))
    confirm: int | float = _field(0.1, _part(empty=True))
    folds: int = _field(0, _folds)  # 0: none
    repeats: int = _field(1, _integer(1))
    pixels: str = _field("standard", _one_of(*PIXELS))

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = [part for part in (self.validation, self.confirm) if isinstance(part, float)]
        if sum(shares) >= 1:
            raise ValueError(
                f"validation and confirm as shares must sum below 1, got {self.validation!r} and {self.confirm!r}"
            )


MODEL_FAMILIES: Mapping[str, type[ModelConfig]] = {"convnet": ModelConfig}


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
