"""Tiny learnable tensors: noise with a bright row that tells the class."""

import numpy as np
import torch

from sweeper.config import ConvNetConfig
from sweeper.training.device_data import TrainingData, on_device
from tests.fake_data import fake_images

MODEL = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), dropout=0.2, batch_norm=True)
SHAPE = (1, 8, 8)
CLASSES = 4


def tiny_data(n_train: int = 130, n_validation: int = 40) -> TrainingData:
    images, labels = fake_images(n_train + n_validation, CLASSES, 8, seed=0)
    images, labels = images[:, None].astype(np.uint8), labels.astype(np.int64)
    return on_device(
        (images[:n_train], labels[:n_train]),
        (images[n_train:], labels[n_train:]),
        n_classes=CLASSES,
        mean=[0.2],
        std=[0.2],
        device=torch.device("cpu"),
        layout=torch.channels_last,
    )
