"""The configuration of networks, their training and their scoring: frozen dataclasses that check their own fields."""

from sweeper.config.configuration import RESERVED, Configuration, shortly
from sweeper.config.custom import CUSTOM, CustomConfig, plain_value
from sweeper.config.fields import check_value
from sweeper.config.models import MODEL_FAMILIES, ConvNetConfig, MlpConfig, ModelConfig, ResNetConfig, TimmConfig
from sweeper.config.protocol import Protocol
from sweeper.config.training import SCHEDULES, AugmentConfig, TrainConfig

__all__ = [
    "CUSTOM",
    "MODEL_FAMILIES",
    "RESERVED",
    "SCHEDULES",
    "AugmentConfig",
    "Configuration",
    "ConvNetConfig",
    "CustomConfig",
    "MlpConfig",
    "ModelConfig",
    "Protocol",
    "ResNetConfig",
    "TimmConfig",
    "TrainConfig",
    "check_value",
    "plain_value",
    "shortly",
]
