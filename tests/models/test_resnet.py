import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sweeper.config import ResNetConfig
from sweeper.models.families import build
from sweeper.models.layers import n_multiply_adds, n_parameters, trace
from sweeper.models.resnet import Block
from tests.models.test_layers import COLOUR, GRAY

# ResNet-20 for CIFAR-10 (He et al., 2016): 16, 32 and 64 filters, three blocks in each stage.
RESNET20 = {"filters": (16, 16, 32, 64), "blocks": 3, "downsample_at": (2, 3)}
CONFIGS = [
    ({}, GRAY),
    (RESNET20, COLOUR),
    ({"downsampling": "max"}, GRAY),
    ({"downsampling": "avg", "activation": "gelu", "dropout": 0.3, "softmax_output": True}, COLOUR),
    ({"blocks": (2, 1), "downsample_at": (2,), "downsampling": "max", "init": "he"}, GRAY),
    ({"filters": (8,), "downsample_at": ()}, GRAY),
]


@pytest.mark.parametrize(("fields", "data"), CONFIGS)
def test_network_has_the_shapes_parameters_and_multiply_adds_that_the_arithmetic_says(fields, data):
    config = ResNetConfig(**fields)
    layers = {layer.name: layer for layer in trace(config, *data)}
    model = build(config, *data).eval()
    assert sum(p.numel() for p in model.parameters()) == n_parameters(list(layers.values()))
    seen = {}
    for path, module in model.named_modules():
        name = path.rpartition(".")[2]
        module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: tuple(output.shape[1:])}))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(1, *data[0]))
    assert output.shape == (1, data[1])
    assert {name: seen[name] for name in layers} == {name: layer.output_shape for name, layer in layers.items()}
    assert counter.get_total_flops() == 2 * n_multiply_adds(list(layers.values()))


def test_resnet20_has_its_published_parameters():
    # 0.27 million with shortcuts without parameters; this one has a conv and a batch norm in two shortcuts.
    layers = trace(ResNetConfig(**RESNET20), *COLOUR)
    shortcuts = [layer for layer in layers if layer.name.startswith("shortcut")]
    assert n_parameters(layers) - n_parameters(shortcuts) == 269_722


def test_block_adds_its_shortcut():
    block = Block(ResNetConfig(), 1, 4, 4, 1).eval()
    nn.init.zeros_(block.residual.norm3.weight)
    maps = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(maps), maps.relu())


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_first_pool_gives_the_same_before_and_after_the_activation(activation):
    torch.manual_seed(0)
    config = ResNetConfig(filters=(4, 8), downsample_at=(1,), downsampling="max", activation=activation)
    model = build(config, *GRAY).eval()
    images = torch.randn(2, 1, 28, 28)
    first = model.features
    maps = nn.functional.max_pool2d(first.activation1(first.norm1(first.conv1(images))), 2)
    torch.testing.assert_close(model(images), model.classifier(first.global_pool(first.block1(maps))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocks": (1, 2, 3)}, "blocks has 3 values for 2 stages, got [1, 2, 3]"),
        ({"downsample_at": (1, 3)}, "downsample_at must name stages from 1 to 2, got 3"),
        ({"blocks": 2**31 - 1}, "blocks must sum to at most 600 over the stages, got 4294967294"),
        (
            {"filters": (8,) * 7, "downsample_at": (1, 2, 3, 4, 5), "downsampling": "max"},
            "pool5: a 1x1 map is too small to pool by 2",
        ),
    ],
)
def test_fields_that_fit_no_network_are_refused(fields, message):
    for give in (trace, build):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            give(ResNetConfig(**fields), *GRAY)


def test_odd_maps_lose_no_pixel_by_strides():
    config = ResNetConfig(filters=(4, 4, 4), downsample_at=(1, 2))
    layers = {layer.name: layer.output_shape for layer in trace(config, (1, 7, 5), 3)}
    assert (layers["conv2"], layers["conv5"]) == ((4, 4, 3), (4, 2, 2))
    assert build(config, (1, 7, 5), 3).eval()(torch.zeros(1, 1, 7, 5)).shape == (1, 3)
    pooled = replace(config, downsampling="max")
    assert {y.name: y.output_shape for y in trace(pooled, (1, 7, 5), 3)}["pool2"] == (4, 1, 1)
