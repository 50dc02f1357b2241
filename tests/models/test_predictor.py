from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sweeper.config import ConvNetConfig
from sweeper.errors import SweeperError
from sweeper.models import predictor
from sweeper.models.families import build
from sweeper.models.predictor import RawPixels, load_network, logits_of
from sweeper.training.device_data import on_device
from sweeper.training.validation import evaluate

CONFIG = ConvNetConfig(filters=(4, 8), kernel_size=3, hidden=(16,), dropout=0.5, batch_norm=True)
SHAPE, CLASSES = (3, 12, 12), 5
MEAN, STD = (0.1, 0.5, 0.7), (0.3, 0.2, 0.1)
CPU = torch.device("cpu")


def pixels(n_images, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n_images, *SHAPE), dtype=np.uint8)


def network(config=CONFIG, layout=torch.channels_last):
    torch.manual_seed(0)
    return build(config, SHAPE, CLASSES).eval().to(memory_format=layout)


def training_data(images, layout=torch.channels_last):
    part = (images, np.zeros(len(images), dtype=np.int64))
    return on_device(part, part, n_classes=CLASSES, mean=MEAN, std=STD, device=CPU, layout=layout)


@pytest.fixture
def weights(tmp_path):
    save_file(network(layout=torch.contiguous_format).state_dict(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_preprocessing_is_bitwise_that_of_training(layout):
    model, data = network(layout=layout), training_data(pixels(20), layout)
    images = data.train.images.contiguous(memory_format=layout)
    with torch.inference_mode():
        expected = model(data.scale(data.train.images))
        assert torch.equal(RawPixels(model, MEAN, STD)(images), expected)


@pytest.mark.parametrize("softmax", [False, True])
def test_test_flip_is_bitwise_that_of_validation_and_means_image_and_mirror_image(softmax):
    model = network(replace(CONFIG, softmax_output=softmax))
    data = training_data(pixels(20))
    flipping = RawPixels(model, MEAN, STD, probabilities=softmax, test_flip=True)
    logits = torch.from_numpy(logits_of(flipping, pixels(20), CPU))
    _, outputs = evaluate(model, data, data.validation, test_flip=True)
    expected = torch.from_numpy(outputs)
    assert torch.equal(logits, expected.log() if softmax else expected)
    mirrored = torch.from_numpy(logits_of(flipping, pixels(20)[..., ::-1].copy(), CPU))
    torch.testing.assert_close(mirrored, logits)
    assert not torch.allclose(logits, torch.from_numpy(logits_of(RawPixels(model, MEAN, STD), pixels(20), CPU)))


def test_raw_images_are_not_changed():
    images = torch.from_numpy(pixels(4))
    before = images.clone()
    RawPixels(network(), MEAN, STD)(images)
    assert torch.equal(images, before)


def test_logarithms_of_probabilities_give_them_back():
    model = network(ConvNetConfig(filters=(4, 8), kernel_size=3, hidden=(16,), softmax_output=True))
    data = training_data(pixels(20))
    with torch.inference_mode():
        logits = RawPixels(model, MEAN, STD, probabilities=True)(data.train.images)
        torch.testing.assert_close(logits.softmax(1), model(data.scale(data.train.images)))


def test_probability_of_zero_has_a_finite_logarithm():
    certain = RawPixels(nn.Softmax(dim=1), [0.0], [1e-6], probabilities=True)
    logits = certain(torch.tensor([[255, 0]], dtype=torch.uint8).view(1, 2, 1, 1)).view(1, 2)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits.softmax(1), torch.tensor([[1.0, 0.0]]))


def test_scaling_is_saved_with_the_network_and_is_not_trained():
    raw = RawPixels(network(), MEAN, STD)
    assert {"mean", "std"} <= raw.state_dict().keys()
    assert not {"mean", "std"} & dict(raw.named_parameters()).keys()


def test_loaded_network_predicts_bitwise_what_was_saved(weights):
    loaded = load_network(CONFIG, SHAPE, CLASSES, weights, MEAN, STD)
    assert not any(module.training for module in loaded.modules())
    data = training_data(pixels(300))
    _, outputs = evaluate(network(), data, data.validation)
    logits = logits_of(loaded, pixels(300), CPU)
    assert (logits.shape, logits.dtype) == ((300, CLASSES), np.float32)
    np.testing.assert_array_equal(logits.argmax(1), outputs.argmax(1))
    with torch.inference_mode():
        expected = network()(data.scale(data.train.images[256:])).numpy()
    np.testing.assert_array_equal(logits[256:], expected)


def test_loaded_network_with_softmax_gives_logits(tmp_path):
    config = ConvNetConfig(filters=(4, 8), kernel_size=3, hidden=(), softmax_output=True)
    save_file(network(config, torch.contiguous_format).state_dict(), tmp_path / "model.safetensors")
    logits = logits_of(load_network(config, SHAPE, CLASSES, tmp_path / "model.safetensors", MEAN, STD), pixels(3), CPU)
    assert (logits < 0).all()
    np.testing.assert_allclose(np.exp(logits).sum(1), 1, rtol=1e-5)


def test_logits_are_of_the_evaluation_mode_whatever_the_network_was_in():
    raw = RawPixels(network(), MEAN, STD)
    expected = logits_of(raw, pixels(7), CPU)
    np.testing.assert_array_equal(logits_of(raw.train(), pixels(7), CPU), expected)


def test_images_that_cannot_be_written_to_are_taken_without_a_warning(recwarn):
    images = pixels(3)
    images.flags.writeable = False
    logits_of(RawPixels(network(), MEAN, STD), images, CPU)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ConvNetConfig(filters=(4, 9), kernel_size=3, hidden=(16,), batch_norm=True), r"size mismatch"),
        (ConvNetConfig(filters=(4, 8), kernel_size=3, hidden=(16,)), r"Unexpected key"),
        (ConvNetConfig(filters=(4, 8), kernel_size=3, hidden=(16, 7), batch_norm=True), r"Missing key"),
    ],
)
def test_weights_of_another_network_are_refused_in_one_line(weights, config, message):
    with pytest.raises(ValueError, match=rf"model\.safetensors are of another network: .*{message}") as refused:
        load_network(config, SHAPE, CLASSES, weights, MEAN, STD)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_file_without_weights_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        load_network(CONFIG, SHAPE, CLASSES, path, MEAN, STD)


def damaged(name, change):
    return lambda tensors: tensors | {name: change(tensors[name].clone())}


def with_value(value):
    def change(tensor):
        tensor.view(-1)[-1] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            damaged("features.conv1.weight", with_value(float("nan"))),
            "the values of features.conv1.weight must be finite",
        ),
        (
            damaged("classifier.output.bias", with_value(float("inf"))),
            "the values of classifier.output.bias must be finite",
        ),
        (
            damaged("features.norm1.running_var", with_value(float("-inf"))),
            "the values of features.norm1.running_var must be finite",
        ),
        (
            damaged("classifier.output.bias", lambda tensor: tensor.double() + 1e300),
            "the values of classifier.output.bias must be finite",
        ),
        (
            damaged("classifier.output.bias", lambda tensor: tensor.to(torch.complex64)),
            "floating-point numbers, .* complex64",
        ),
        (
            damaged("classifier.output.bias", lambda tensor: tensor.to(torch.int8)),
            "floating-point numbers, they are int8",
        ),
        (lambda tensors: {name: 0 * tensor for name, tensor in tensors.items()}, "the values of all parameters are 0"),
    ],
)
def test_weights_that_no_training_leaves_are_refused_by_tensor(weights, damage, message):
    save_file(damage(load_file(weights)), weights)
    with pytest.raises(ValueError, match=rf"model\.safetensors are damaged: .*{message}"):
        load_network(CONFIG, SHAPE, CLASSES, weights, MEAN, STD)


class Masked(nn.Module):
    """Has an infinite mask among its tensors, and begins with zeros."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.scale = nn.Parameter(torch.zeros(1))


def test_masks_and_zeros_with_which_a_network_is_built_are_no_damage(tmp_path, monkeypatch):
    save_file(Masked().state_dict(), tmp_path / "w")
    monkeypatch.setattr(predictor, "build", lambda *_: Masked())
    assert load_network(CONFIG, SHAPE, CLASSES, tmp_path / "w", MEAN, STD).network.mask[1] == -torch.inf


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (MEAN, (0.3, 0.2, 0.0), "std greater than 0"),
        (MEAN, (0.3, 0.2, -1.0), "std greater than 0"),
        (MEAN, (0.3, 0.2, 1e-320), "std greater than 0"),
        (MEAN, (0.3, 0.2, 1e-41), "pixels scaled with them finite"),
        (MEAN, (0.3, 0.2, float("inf")), "pixels scaled with them finite"),
        ((0.1, 0.5, 1e308), STD, "mean must be finite"),
        ((0.1, 0.5, float("nan")), STD, "mean must be finite"),
        (MEAN[:1], STD[:1], "as many values as images have channels, 3"),
        (MEAN, STD[:2], "as many values as images have channels, 3"),
        ((), (), "as many values as images have channels, 3"),
    ],
)
def test_scaling_that_gives_no_pixels_is_refused(weights, mean, std, message):
    with pytest.raises(ValueError, match=message):
        load_network(CONFIG, SHAPE, CLASSES, weights, mean, std)


def test_logits_that_are_not_finite_are_refused():
    model = network()
    with torch.no_grad():
        model.classifier.output.weight.fill_(3e38)
    with pytest.raises(SweeperError, match="logits must be finite, those of 20 of 20 images are not"):
        logits_of(RawPixels(model, MEAN, STD), pixels(20), CPU)
