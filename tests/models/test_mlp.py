import pytest
import torch
from torch import nn

from sweeper.config import MlpConfig
from sweeper.models.families import build
from sweeper.models.layers import n_multiply_adds, n_parameters, trace

TINY = ((3, 4, 4), 5)


def test_two_layer_perceptron_has_the_parameters_and_multiply_adds_worked_out_by_hand():
    layers = trace(MlpConfig(hidden=(1024,)), (3, 32, 32), 100)
    assert n_parameters(layers) == 3 * 32 * 32 * 1024 + 1024 + 1024 * 100 + 100
    assert n_multiply_adds(layers) == 3 * 32 * 32 * 1024 + 1024 * 100


@pytest.mark.parametrize(
    "fields", [{"hidden": ()}, {"hidden": (7,)}, {"hidden": (7, 6), "batch_norm": True, "dropout": (0.1, 0.0)}]
)
def test_network_has_the_shapes_and_parameters_that_the_arithmetic_says(fields):
    config = MlpConfig(**fields)
    layers = trace(config, *TINY)
    model = build(config, *TINY)
    assert sum(p.numel() for p in model.parameters()) == n_parameters(layers)
    seen = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: tuple(output.shape[1:])}))
    images = torch.randn(3, *TINY[0]).to(memory_format=torch.channels_last)
    assert model(images).shape == (3, 5)
    assert {layer.name: seen[layer.name] for layer in layers} == {y.name: y.output_shape for y in layers}


def test_layers_of_a_fully_dressed_network_stand_in_their_order():
    config = MlpConfig(
        hidden=(7, 6),
        batch_norm=True,
        activation="leaky_relu",
        leaky_relu_slope=0.3,
        dropout=(0.0, 0.2),
        dropout_flatten=0.4,
        softmax_output=True,
    )
    model = build(config, *TINY)
    assert [(name, type(module)) for name, module in model.named_children()] == [
        ("flatten", nn.Flatten),
        ("dropout_flatten", nn.Dropout),
        ("hidden1", nn.Linear),
        ("norm1", nn.BatchNorm1d),
        ("activation1", nn.LeakyReLU),
        ("hidden2", nn.Linear),
        ("norm2", nn.BatchNorm1d),
        ("activation2", nn.LeakyReLU),
        ("dropout2", nn.Dropout),
        ("output", nn.Linear),
        ("softmax", nn.Softmax),
    ]
    assert (model.dropout_flatten.p, model.dropout2.p, model.activation1.negative_slope) == (0.4, 0.2, 0.3)
    torch.testing.assert_close(model(torch.randn(5, 3, 4, 4)).sum(1), torch.ones(5))


def test_initialisation_is_the_one_asked_for():
    torch.manual_seed(0)
    model = build(MlpConfig(hidden=(200,), init="glorot"), *TINY)
    bound = (6 / (48 + 200)) ** 0.5
    assert 0.99 * bound < model.hidden1.weight.abs().max().item() <= bound
    assert not model.hidden1.bias.any()


def test_per_layer_dropout_of_another_length_is_refused():
    with pytest.raises(ValueError, match="dropout has 2 values for 1 hidden layers"):
        trace(MlpConfig(hidden=(7,), dropout=(0.1, 0.2)), *TINY)
