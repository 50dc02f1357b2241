"""A small network of each kind with its files, which take seconds to make, for all tests of this folder."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sweeper.config import ConvNetConfig
from sweeper.model_files import onnx_file, program
from sweeper.models.families import build
from sweeper.models.predictor import LAYOUT, RawPixels, logits_of

CLASSES = ("cat", "dog", "über-dog", "eel", "owl")


def network_of(config, shape, *, test_flip=False):
    """The network with random weights and statistics, ready to predict raw pixels."""
    torch.manual_seed(0)
    network = build(config, shape, len(CLASSES)).to(memory_format=LAYOUT)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    mean, std = [0.3] * shape[0], [0.2] * shape[0]
    return RawPixels(network, mean, std, probabilities=config.softmax_output, test_flip=test_flip).eval()


def images_of(shape, n=40):
    return np.random.default_rng(1).integers(0, 256, (n, *shape), dtype=np.uint8)


def about_of(config, shape, *, test_flip=False):
    return {
        "sweeper_version": "1.2.3",
        "model": "trial 7 of study",
        "classes": list(CLASSES),
        "input": {"type": "uint8", "shape": ["batch", *shape]},
        "configuration": json.loads(json.dumps(config.values())),
        "test_flip": test_flip,
        "verdict": None,
    }


@pytest.fixture(scope="package")
def exported():
    """A convnet with batch norm and auxiliary heads, its program, its ONNX model, images and their logits."""
    config = ConvNetConfig(
        filters=(4, 8), kernel_size=3, hidden=(16,), batch_norm=True, dropout=0.5, aux_heads=("conv1",)
    )
    shape = (3, 12, 10)
    network, images = network_of(config, shape), images_of(shape)
    about, made = about_of(config, shape), program.program_of(network, shape)
    return SimpleNamespace(
        network=network,
        shape=shape,
        about=about,
        program=made,
        model=onnx_file.onnx_of(made, about),
        images=images,
        logits=logits_of(network, images, torch.device("cpu")),
    )
