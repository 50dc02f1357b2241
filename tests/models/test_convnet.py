import pytest
import torch
from torch import nn

from sweeper.config import ModelConfig
from sweeper.layers import n_parameters, trace
from sweeper.models import build
from tests.test_layers import COLOUR, DEEP, EXTRA_CONV, GRAY, LENET5, STEP_3, STEP_4


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        (LENET5, GRAY),
        (STEP_3, GRAY),
        (STEP_4 | {"batch_norm": True, "softmax_output": True}, GRAY),
        (EXTRA_CONV | {"dropout_conv": 0.1, "dropout_flatten": 0.2, "dropout": 0.3}, GRAY),
        (DEEP, COLOUR),
        (LENET5 | {"hidden": (), "init": "glorot"}, GRAY),
        (LENET5 | {"kernel_size": (4, 3, 2), "padding": "same", "init": "he"}, GRAY),
        (LENET5 | {"aux_heads": ("conv2", "pool2", "conv3")}, GRAY),
    ],
)
def test_network_has_the_shapes_and_parameters_that_the_arithmetic_says(fields, data):
    config = ModelConfig(**fields)
    layers = {layer.name: layer for layer in trace(config, *data)}
    model = build(config, *data)
    assert sum(p.numel() for p in model.parameters()) == n_parameters(list(layers.values()))
    seen = {}
    for name, module in [*model.features.named_children(), *model.classifier.named_children()]:
        module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: tuple(output.shape[1:])}))
    output = model.eval()(torch.zeros(3, *data[0]))
    assert output.shape == (3, data[1])
    for name, layer in layers.items():
        if not name.startswith("aux_"):
            assert seen[name] == layer.output_shape, name


def test_conv_over_the_whole_map_gives_what_a_plain_conv_gives():
    torch.manual_seed(0)
    model = build(ModelConfig(**LENET5), *GRAY)
    third = model.features.conv3
    maps = torch.randn(4, 16, 5, 5)
    plain = nn.functional.conv2d(maps, third.weight, third.bias)
    torch.testing.assert_close(third(maps), plain)


def test_softmax_output_gives_probabilities():
    output = build(ModelConfig(**LENET5, softmax_output=True), *GRAY)(torch.randn(5, 1, 28, 28))
    torch.testing.assert_close(output.sum(1), torch.ones(5))


def test_heads_see_the_maps_of_the_layers_that_they_are_named_for():
    model = build(ModelConfig(**LENET5, aux_heads=("conv2", "pool2")), *GRAY).eval()
    images = torch.randn(2, 1, 28, 28)
    output, heads = model.forward_heads(images)
    torch.testing.assert_close(output, model(images))
    maps = {}
    for name, module in model.features.named_children():
        images = maps[name] = module(images)
    torch.testing.assert_close(heads["conv2"], model.aux["conv2"](maps["activation2"].flatten(1)))
    torch.testing.assert_close(heads["pool2"], model.aux["pool2"](maps["pool2"].flatten(1)))


def test_activation_between_linear_layers_can_be_left_out():
    names = [
        name for name, _ in build(ModelConfig(**LENET5, hidden_activation=False), *GRAY).classifier.named_children()
    ]
    assert names == ["flatten", "hidden1", "output"]


@pytest.mark.parametrize("init", ["glorot", "he"])
def test_initialisation_sets_spread_and_zero_biases(init):
    torch.manual_seed(0)
    model = build(ModelConfig(filters=(64, 64), kernel_size=3, pool_after=(), hidden=(256,), init=init), *GRAY)
    weight = model.features.conv2.weight
    fan = 64 * 9
    expected = (2 / (fan + fan)) ** 0.5 if init == "glorot" else (2 / fan) ** 0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.03)
    assert not model.classifier.hidden1.bias.any()


def test_per_layer_dropout_stands_where_it_is_asked_for():
    model = build(ModelConfig(**LENET5, dropout_conv=(0, 0, 0.1), dropout_pool=(0.2, 0), dropout=0.5), *GRAY)
    dropouts = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {
        "features.dropout_pool1": 0.2,
        "features.dropout_conv3": 0.1,
        "classifier.dropout1": 0.5,
    }
