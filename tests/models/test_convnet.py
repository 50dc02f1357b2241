import pytest
import torch
from torch import nn

from sweeper.config import ConvNetConfig
from sweeper.models.blocks import POOLINGS
from sweeper.models.families import build
from sweeper.models.layers import n_parameters, trace
from tests.models.test_layers import COLOUR, DEEP, EXTRA_CONV, GRAY, LENET5, STEP_3, STEP_4


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
    config = ConvNetConfig(**fields)
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
    model = build(ConvNetConfig(**LENET5), *GRAY)
    third = model.features.conv3
    maps = torch.randn(4, 16, 5, 5)
    plain = nn.functional.conv2d(maps, third.weight, third.bias)
    torch.testing.assert_close(third(maps), plain)


def test_softmax_output_gives_probabilities():
    output = build(ConvNetConfig(**LENET5, softmax_output=True), *GRAY)(torch.randn(5, 1, 28, 28))
    torch.testing.assert_close(output.sum(1), torch.ones(5))


def test_heads_see_the_maps_of_the_layers_that_they_are_named_for():
    model = build(ConvNetConfig(**LENET5, aux_heads=("conv2", "pool2")), *GRAY).eval()
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
        name for name, _ in build(ConvNetConfig(**LENET5, hidden_activation=False), *GRAY).classifier.named_children()
    ]
    assert names == ["flatten", "hidden1", "output"]


@pytest.mark.parametrize("init", ["glorot", "he"])
def test_initialisation_sets_spread_and_zero_biases(init):
    torch.manual_seed(0)
    model = build(ConvNetConfig(filters=(64, 64), kernel_size=3, pool_after=(), hidden=(256,), init=init), *GRAY)
    weight = model.features.conv2.weight
    fan = 64 * 9
    expected = (2 / (fan + fan)) ** 0.5 if init == "glorot" else (2 / fan) ** 0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.03)
    assert not model.classifier.hidden1.bias.any()


def test_per_layer_dropout_stands_where_it_is_asked_for():
    model = build(ConvNetConfig(**LENET5, dropout_conv=(0, 0, 0.1), dropout_pool=(0.2, 0), dropout=0.5), *GRAY)
    dropouts = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {
        "features.dropout_pool1": 0.2,
        "features.dropout_conv3": 0.1,
        "classifier.dropout1": 0.5,
    }


def test_layers_of_a_fully_dressed_network_stand_in_their_order():
    config = ConvNetConfig(
        filters=(2, 3),
        kernel_size=3,
        input_padding=1,
        pool_after=(1,),
        pooling="avg",
        batch_norm=True,
        activation="tanh",
        hidden=(7,),
        dropout=0.1,
        dropout_conv=0.2,
        dropout_pool=0.3,
        dropout_flatten=0.4,
        softmax_output=True,
    )
    model = build(config, *GRAY)
    parts = [*model.features.named_children(), *model.classifier.named_children()]
    kinds = [(name, nn.Conv2d if isinstance(module, nn.Conv2d) else type(module)) for name, module in parts]
    assert kinds == [
        ("padding", nn.ZeroPad2d),
        ("conv1", nn.Conv2d),
        ("norm1", nn.BatchNorm2d),
        ("activation1", nn.Tanh),
        ("dropout_conv1", nn.Dropout),
        ("pool1", nn.AvgPool2d),
        ("dropout_pool1", nn.Dropout),
        ("conv2", nn.Conv2d),
        ("norm2", nn.BatchNorm2d),
        ("activation2", nn.Tanh),
        ("dropout_conv2", nn.Dropout),
        ("flatten", nn.Flatten),
        ("dropout_flatten", nn.Dropout),
        ("hidden1", nn.Linear),
        ("hidden_activation1", nn.Tanh),
        ("dropout1", nn.Dropout),
        ("output", nn.Linear),
        ("softmax", nn.Softmax),
    ]
    shares = {name: module.p for name, module in parts if isinstance(module, nn.Dropout)}
    assert shares == {
        "dropout_conv1": 0.2,
        "dropout_pool1": 0.3,
        "dropout_conv2": 0.2,
        "dropout_flatten": 0.4,
        "dropout1": 0.1,
    }
    assert model.features.padding.padding == (1, 1, 1, 1)
    assert model.features.pool1.kernel_size == 2


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", nn.ReLU),
        ("leaky_relu", nn.LeakyReLU),
        ("tanh", nn.Tanh),
        ("elu", nn.ELU),
        ("gelu", nn.GELU),
        ("silu", nn.SiLU),
    ],
)
def test_activation_is_the_one_named(activation, kind):
    model = build(ConvNetConfig(**LENET5, activation=activation), *GRAY)
    assert type(model.features.activation1) is kind
    assert type(model.classifier.hidden_activation1) is kind


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_leaky_relu_has_the_slope_that_is_asked_for_in_every_layer(slope):
    model = build(ConvNetConfig(**LENET5, activation="leaky_relu", leaky_relu_slope=slope), *GRAY)
    leaky = [module for module in model.modules() if isinstance(module, nn.LeakyReLU)]
    assert [module.negative_slope for module in leaky] == [slope] * 4
    torch.testing.assert_close(leaky[0](torch.tensor([-2.0, 2.0])), torch.tensor([-2 * slope, 2.0]))


@pytest.mark.parametrize(("pooling", "kind"), [("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)])
def test_pooling_is_the_one_named(pooling, kind):
    assert type(build(ConvNetConfig(**LENET5, pooling=pooling), *GRAY).features.pool2) is kind


def test_glorot_is_uniform_and_he_is_normal():
    torch.manual_seed(0)
    fields = {"filters": (64, 64), "kernel_size": 3, "pool_after": (), "hidden": ()}
    glorot = build(ConvNetConfig(**fields, init="glorot"), *GRAY).features.conv2.weight
    bound = (6 / (64 * 9 * 2)) ** 0.5
    assert 0.99 * bound < glorot.abs().max().item() <= bound
    he = build(ConvNetConfig(**fields, init="he"), *GRAY).features.conv2.weight
    assert he.abs().max().item() > 3 * he.std().item()


@pytest.mark.parametrize(
    ("activation", "plain_activation"),
    [
        ({"activation": "relu"}, nn.ReLU()),
        ({"activation": "leaky_relu"}, nn.LeakyReLU()),
        ({"activation": "leaky_relu", "leaky_relu_slope": 0.0}, nn.LeakyReLU(0.0)),
        ({"activation": "leaky_relu", "leaky_relu_slope": 0.9}, nn.LeakyReLU(0.9)),
        ({"activation": "tanh"}, nn.Tanh()),
        ({"activation": "elu"}, nn.ELU()),
        ({"activation": "gelu"}, nn.GELU()),
        ({"activation": "silu"}, nn.SiLU()),
    ],
)
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_pooling_first_where_it_may_changes_no_output_and_no_gradient(activation, plain_activation, pooling):
    torch.manual_seed(0)
    model = build(ConvNetConfig(**LENET5, **activation, pooling=pooling), *GRAY)
    images = torch.randn(4, 1, 28, 28)
    maps, act = images, plain_activation
    pool = POOLINGS[pooling](2)
    for number in (1, 2, 3):
        maps = act(getattr(model.features, f"conv{number}")(maps))
        maps = pool(maps) if number < 3 else maps
    expected = model.classifier(maps)
    torch.testing.assert_close(model(images), expected, rtol=0, atol=0)
    weights = list(model.parameters())
    for ours, plain in zip(
        torch.autograd.grad(model(images).square().sum(), weights),
        torch.autograd.grad(expected.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain)


def test_pool_comes_first_only_where_that_is_the_same():
    def order(**fields):
        names = [name for name, _ in build(ConvNetConfig(**{**LENET5, **fields}), *GRAY).features.named_children()]
        return names.index("pool1") < names.index("activation1")

    assert order()
    assert not order(pooling="avg")
    assert not order(activation="gelu")
    assert not order(dropout_conv=0.1)
    assert not order(aux_heads=("conv1",))
    assert not order(aux_heads=("pool1",))
