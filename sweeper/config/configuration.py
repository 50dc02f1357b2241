"""A network and its training together: one point of a search space."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sweeper.config.custom import CUSTOM, CustomConfig
from sweeper.config.models import MODEL_FAMILIES, ModelConfig
from sweeper.config.protocol import Protocol
from sweeper.config.training import TrainConfig

# Fields that stored keys of configurations lack, with the values that they then have.
NOT_IN_OLD_KEYS = {
    "class_weights": "none",
    "ema_decay": 0.0,
    "mixup_alpha": 0.0,
    "cutmix_alpha": 0.0,
    "mix_p": 1.0,
    "freeze_epochs": 0,
    "pretrained_file": "",
    "input_size": 0,
}

# Names in a flat dict of values that are no network's own arguments; `extends` and `reported` stand in variants.
RESERVED = frozenset(f.name for kind in (CustomConfig, TrainConfig, Protocol) for f in fields(kind)) | {
    "extends",
    "reported",
    "input_shape",
    "n_classes",
}


@dataclass(frozen=True)
class Configuration:
    """A network and how to train it: one point of a search space, or a variant outside it."""

    model: ModelConfig
    train: TrainConfig

    def values(self) -> dict[str, Any]:
        """All fields in one flat dict (names are unique across model and training)."""
        return {**self.model.values(), **vars(self.train)}

    def key(self) -> str:
        """Canonical JSON: equal for equal configurations, and for those of stores that lack some of the fields."""
        values = self.values()
        for name, default in NOT_IN_OLD_KEYS.items():
            if name in values and values[name] == default:
                del values[name]
        return json.dumps(values, sort_keys=True)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> "Configuration":
        """The configuration with these flat values; raises ValueError with field, rule and value."""
        family = values.get("family", ModelConfig.family)
        if family in MODEL_FAMILIES:
            model = _pick(MODEL_FAMILIES[family], values)
        elif "network" in values:
            own = {name: value for name, value in values.items() if name not in RESERVED}
            model = _pick(CustomConfig, {**values, "arguments": own})
        else:
            raise ValueError(f"family must be one of {', '.join((*MODEL_FAMILIES, CUSTOM))}, got {family!r}")
        return Configuration(model, _pick(TrainConfig, values))


def shortly(value: Any) -> str:
    """A field's value for people, with three digits if it is a float."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _pick(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{name: values[name] for name in _names(kind) if name in values})


@cache  # a list of trials makes thousands of configurations
def _names(kind: type) -> list[str]:
    return [f.name for f in fields(kind)]
