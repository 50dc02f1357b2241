"""The configuration of networks, their training and their scoring: frozen dataclasses that check their own fields."""

from sweeper.config.configuration import Configuration, shortly
from sweeper.config.fields import check_value
from sweeper.config.models import MODEL_FAMILIES, ConvNetConfig, MlpConfig, ModelConfig, ResNetConfig, TimmConfig
from sweeper.config.protocol import Protocol
from sweeper.config.training import SCHEDULES, AugmentConfig, TrainConfig

__all__ = [
    "MODEL_FAMILIES",
    "SCHEDULES",
    "AugmentConfig",
    "Configuration",
    "ConvNetConfig",
    "MlpConfig",
    "ModelConfig",
    "Protocol",
    "ResNetConfig",
    "TimmConfig",
    "TrainConfig",
    "check_value",
    "shortly",
]
