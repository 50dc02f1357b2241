import numpy as np
import pytest
import torch
from torch import nn

from sweeper.config import ConvNetConfig, MlpConfig, ResNetConfig, TimmConfig
from sweeper.explain.feature_maps import feature_maps
from sweeper.explain.hidden_layer import hidden_outputs
from sweeper.models import families
from sweeper.models.predictor import RawPixels

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)


def lenet5(**fields):
    return ConvNetConfig(padding=(2, 0, 0), **fields)


def network_of(config, shape=(1, 28, 28)):
    torch.manual_seed(0)
    network = families.build(config, shape, 10)
    return RawPixels(network, [0.5] * shape[0], [0.25] * shape[0], probabilities=config.softmax_output).eval()


@pytest.mark.parametrize("config", [
    lenet5(), lenet5(batch_norm=True, dropout_conv=0.2, pooling="avg"),
    lenet5(softmax_output=True, activation="gelu"),
])  # fmt: skip
def test_maps_have_the_names_and_shapes_of_the_layers_table(config):
    found = feature_maps(network_of(config), IMAGES)
    layers = [layer for layer in families.trace(config, (1, 28, 28), 10) if layer.kind.endswith(("conv", "pool"))]
    assert [(one.layer, one.maps.shape) for one in found] == [(y.name, (3, *y.output_shape)) for y in layers]


@pytest.mark.parametrize("downsampling", ["stride", "max", "avg"])
def test_maps_of_a_resnet_have_the_names_and_shapes_of_the_layers_table(downsampling):
    config = ResNetConfig(filters=(4, 8, 8), downsampling=downsampling, softmax_output=True)
    network = network_of(config)
    found = {one.layer: one.maps for one in feature_maps(network, IMAGES)}
    layers = [layer for layer in families.trace(config, (1, 28, 28), 10) if layer.kind.endswith(("conv", "pool"))]
    assert {name: maps.shape for name, maps in found.items()} == {y.name: (3, *y.output_shape) for y in layers}
    with torch.inference_mode():
        means = torch.tensor(found["global_pool"])
        np.testing.assert_allclose(torch.tensor(found["conv5"]).mean((2, 3), keepdim=True), means, atol=1e-6)
        probabilities = network.network.classifier(means)
        np.testing.assert_allclose(probabilities.log(), network(torch.tensor(IMAGES)), atol=1e-5)
    np.testing.assert_allclose(hidden_outputs(network, IMAGES), means.flatten(1), atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_maps_are_those_that_the_next_layer_gets(activation):
    """With or without dropout, the activation is computed after or before the pool: the maps are the same."""
    pooled_first = network_of(lenet5(activation=activation))
    activated_first = network_of(lenet5(activation=activation, dropout_conv=0.5))
    activated_first.load_state_dict(pooled_first.state_dict())
    for one, other in zip(feature_maps(pooled_first, IMAGES), feature_maps(activated_first, IMAGES), strict=True):
        np.testing.assert_allclose(one.maps, other.maps, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_last_maps_lead_to_the_logits(batch_norm):
    network = network_of(lenet5(batch_norm=batch_norm))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(0.3)
    last = torch.tensor(feature_maps(network, IMAGES)[-1].maps)
    with torch.inference_mode():
        np.testing.assert_allclose(network.network.classifier(last), network(torch.tensor(IMAGES)), atol=1e-5)


def test_with_a_test_flip_maps_are_of_the_image_and_the_hidden_layer_leads_to_the_mean_of_both_logits():
    plain = network_of(lenet5(hidden=(16,)))
    flipping = RawPixels(plain.network, [0.5], [0.25], test_flip=True).eval()
    for one, other in zip(feature_maps(flipping, IMAGES), feature_maps(plain, IMAGES), strict=True):
        np.testing.assert_array_equal(one.maps, other.maps)
    hidden = torch.tensor(hidden_outputs(flipping, IMAGES))
    with torch.inference_mode():
        logits = plain.network.classifier.output(hidden)
        np.testing.assert_allclose(logits, flipping(torch.tensor(IMAGES)), atol=1e-5)


def test_watching_a_network_leaves_no_hook_behind():
    network = network_of(lenet5())
    feature_maps(network, IMAGES)
    hidden_outputs(network, IMAGES)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


class Own(nn.Module):
    """A network of the user's: it prints, its pool gives places, too, and it names what it gives to its last layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2, return_indices=True)
        self.head = nn.Linear(2 * 13 * 13, 10)

    def forward(self, images):
        print("printed by the network")
        maps, _ = self.pool(self.conv(images))
        return self.head(input=maps.flatten(1))


def test_network_of_the_users_is_looked_at_and_prints_nothing_to_stdout(capsys):
    network = RawPixels(Own(), [0.5], [0.25]).eval()
    assert [(one.layer, one.maps.shape[1:]) for one in feature_maps(network, IMAGES)] == [
        ("conv", (2, 26, 26)), ("pool", (2, 13, 13)),
    ]  # fmt: skip
    assert hidden_outputs(network, IMAGES).shape == (3, 2 * 13 * 13)
    out, err = capsys.readouterr()
    assert (out, err.count("printed by the network")) == ("", 2)


def test_no_layer_of_two_modules_in_a_row_is_left_out():
    own = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Conv2d(2, 3, 26), nn.Flatten()))
    for network in (own, nn.Sequential(own, nn.Softmax(dim=1))):
        found = feature_maps(RawPixels(network, [0.5], [0.25]).eval(), IMAGES)
        assert [one.layer for one in found] == ["0", "1.0"]


def test_perceptron_has_no_maps():
    assert feature_maps(network_of(MlpConfig()), IMAGES) == []


def test_maps_of_a_timm_network_are_named_as_its_layers():
    config = TimmConfig(model_name="test_resnet", softmax_output=True)
    network = network_of(config, (3, 32, 32))
    found = feature_maps(network, np.zeros((1, 3, 32, 32), dtype=np.uint8))
    convs = {layer.name for layer in families.trace(config, (3, 32, 32), 10) if layer.kind == "conv"}
    assert {one.layer for one in found if one.kind == "conv"} == convs


@pytest.mark.parametrize(("config", "width"), [
    (lenet5(hidden=(84,)), 84), (lenet5(hidden=(84,), softmax_output=True), 84),
    (lenet5(hidden=()), 120), (MlpConfig(hidden=(32, 16)), 16),
])  # fmt: skip
def test_last_hidden_layer_is_the_input_of_the_final_classifier(config, width):
    network = network_of(config)
    found = hidden_outputs(network, IMAGES)
    assert found.shape == (3, width)
    output = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    logits = output(torch.tensor(found)).detach()
    expected = network(torch.tensor(IMAGES)).detach()
    if config.softmax_output:
        logits = logits.log_softmax(1)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_last_hidden_layer_is_not_an_auxiliary_head():
    assert hidden_outputs(network_of(lenet5(hidden=(84,), aux_heads=("conv2",))), IMAGES).shape == (3, 84)


def test_hidden_outputs_of_many_images_keep_their_order():
    network = network_of(lenet5())
    many = np.random.default_rng(1).integers(0, 256, (130, 1, 28, 28), dtype=np.uint8)
    np.testing.assert_allclose(hidden_outputs(network, many)[-2:], hidden_outputs(network, many[-2:]), atol=1e-5)
