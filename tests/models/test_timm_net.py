import logging
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from sweeper.config import TimmConfig
from sweeper.models.families import build, trace
from sweeper.models.layers import n_multiply_adds, n_parameters
from sweeper.models.predictor import load_network, logits_of
from sweeper.training.checkpoint import write_tensors

COLOUR, GRAY = ((3, 32, 32), 10), ((1, 28, 28), 10)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("resnet18", GRAY),
        ("vit_tiny_patch16_224", ((1, 64, 64), 3)),
        ("convnext_atto", COLOUR),
        ("mobilenetv3_small_100", COLOUR),
        ("efficientnet_lite0", GRAY),
    ],
)
def test_network_is_as_traced_trains_on_two_images_and_is_the_same_from_its_file(name, data, tmp_path, capfd):
    config = TimmConfig(model_name=name)
    layers = trace(config, *data)
    torch.manual_seed(0)
    model = build(config, *data).to(memory_format=torch.channels_last)
    assert sum(p.numel() for p in model.parameters()) == n_parameters(layers)
    assert all(layer.n_parameters >= 0 and layer.n_multiply_adds >= 0 for layer in layers)
    # Maps of 1x1 are where batch norm wants more than one image.
    images = torch.randn(2, *data[0]).to(memory_format=torch.channels_last)
    output = model(images)
    assert output.shape == (2, data[1])
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    write_tensors(tmp_path / "model.safetensors", model.state_dict(), {})
    channels = data[0][0]
    network = load_network(config, *data, tmp_path / "model.safetensors", [0.5] * channels, [0.5] * channels)
    raw = np.random.default_rng(0).integers(0, 256, (3, *data[0]), dtype=np.uint8)
    expected = model.eval()(torch.tensor(raw).float().sub(127.5).div(127.5).to(memory_format=torch.channels_last))
    np.testing.assert_allclose(
        logits_of(network, raw, torch.device("cpu")), expected.detach().numpy(), rtol=1e-4, atol=1e-4
    )
    assert capfd.readouterr() == ("", "")


def test_resnet18_has_the_layers_and_multiply_adds_worked_out_by_hand():
    layers = trace(TimmConfig(), *COLOUR)
    assert (layers[0].name, layers[0].kind, layers[0].output_shape) == ("conv1", "conv", (64, 16, 16))
    assert (layers[0].n_parameters, layers[0].n_multiply_adds) == (64 * 3 * 49, 64 * 16 * 16 * 3 * 49)
    assert {layer.kind for layer in layers} == {"conv", "batch_norm", "linear"}
    stage1 = 4 * 64 * 8 * 8 * 64 * 9
    # Behind it every stage has a quarter of the pixels, and twice the channels on both sides: its first conv has them
    # on one side only, and a 1x1 conv leads past it.
    later = stage1 * 7 // 8 + stage1 // (2 * 9 * 4)
    assert n_multiply_adds(layers) == layers[0].n_multiply_adds + stage1 + 3 * later + 512 * 10


def test_trace_is_made_once_for_all_rates(monkeypatch):
    first = trace(TimmConfig(drop_rate=0.1), *COLOUR)
    monkeypatch.setattr("timm.create_model", None)
    again = trace(TimmConfig(drop_rate=0.2, softmax_output=True, pretrained=True), *COLOUR)
    assert again == first
    assert again is not first


def test_rates_reach_the_network():
    config = TimmConfig(drop_rate=0.25, drop_path_rate=0.5)
    model = build(config, *COLOUR)
    assert model.drop_rate == 0.25
    assert model.layer4[1].drop_path.drop_prob == 0.5
    assert trace(config, *COLOUR)


def test_softmax_output_gives_probabilities():
    model = build(TimmConfig(softmax_output=True), *COLOUR).eval()
    torch.testing.assert_close(model(torch.randn(2, 3, 32, 32)).sum(1), torch.ones(2))


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({"model_name": "resnet_18"}, (3, 32, 32), "one of timm's, got 'resnet_18'; did you mean resnet18?"),
        ({"model_name": "resnet18.a1_in2k"}, (3, 32, 32), "got 'resnet18.a1_in2k'; did you mean resnet18.a1_in1k?"),
        ({"model_name": "vit_tiny_patch16_224"}, (1, 28, 28), "images of 1x28x28: patches of 16x16 do not tile them"),
        ({"model_name": "vgg11", "drop_path_rate": 0.1}, (3, 32, 32), "vgg11 cannot be built with .*drop_path_rate"),
    ],
)
@pytest.mark.parametrize("function", [trace, build])
def test_impossible_network_is_refused_in_one_line(fields, shape, message, function):
    with pytest.raises(ValueError, match=message) as refused:
        function(TimmConfig(**fields), shape, 10)
    assert "\n" not in str(refused.value)


def test_images_that_only_a_pass_shows_to_be_too_small_are_found_by_the_trace():
    refusal = r"^convnext_atto cannot take images of 3x2x2: .*Kernel size: \(4 x 4\).* \(stem.0\)$"
    with pytest.raises(ValueError, match=refusal):
        trace(TimmConfig(model_name="convnext_atto"), (3, 2, 2), 10)


def test_pretrained_weights_that_cannot_be_had_are_told_in_one_line(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="the pretrained weights of resnet18 cannot be had: ") as refused:
        build(TimmConfig(pretrained=True), *COLOUR)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("huggingface_hub").isEnabledFor(logging.WARNING)


def test_pretrained_weights_are_not_asked_for_where_others_follow(tmp_path):
    config = TimmConfig(pretrained=True)
    model = build(replace(config, pretrained=False), *GRAY)
    write_tensors(tmp_path / "model.safetensors", model.state_dict(), {})
    network = load_network(config, *GRAY, tmp_path / "model.safetensors", [0.5], [0.5])
    assert load_file(tmp_path / "model.safetensors").keys() == network.network.state_dict().keys()
