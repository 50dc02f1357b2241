"""Whether a space fits the data that it meets."""

from types import SimpleNamespace

import pytest

from sweeper.errors import UsageError
from sweeper.runs.plan import _check_fit
from tests.spaces.test_reader import parse

SPACE = """
[model]
filters = [4]
kernel_size = 5
pool_after = []
[variants.baseline]
[variants.wide]
kernel_size = 20
[variants.net]
family = "timm"
model_name = "vit_tiny_patch16_224"
"""


def training_set(*shape):
    return SimpleNamespace(name="animals", input_shape=shape, classes=("cat", "dog"))


def test_variants_that_are_to_be_trained_must_be_able_to_take_the_images():
    space = parse(SPACE)
    _check_fit(space, ["baseline", "wide", "net"], training_set(3, 32, 32))
    _check_fit(space, ["baseline"], training_set(1, 8, 8))
    told = r"space mine does not fit animals: conv1: kernel_size 20 is larger than its 8x8 map .*\(variant wide\)"
    with pytest.raises(UsageError, match=told):
        _check_fit(space, ["baseline", "wide"], training_set(1, 8, 8))
    with pytest.raises(UsageError, match=r"animals: vit_tiny_patch16_224 cannot take images of 3x40x40: patches of 16"):
        _check_fit(space, ["net"], training_set(3, 40, 40))


def test_layers_named_for_weight_decay_must_be_there():
    space = parse(SPACE + '[variants.decayed]\nweight_decay_layers = ["conv2"]\n')
    with pytest.raises(UsageError, match="weight_decay_layers must be among conv1, hidden1, output here, got 'conv2'"):
        _check_fit(space, ["decayed"], training_set(1, 8, 8))


def test_unknown_network_among_the_choices_is_named_before_anything_is_trained():
    space = parse('[model]\nfamily = "timm"\nmodel_name = { choices = ["resnet18", "resnett"] }\n[variants.baseline]\n')
    with pytest.raises(UsageError, match=r"must be one of timm's, got 'resnett'; did you mean .*\(space mine\)"):
        _check_fit(space, ["baseline"], training_set(3, 32, 32))
