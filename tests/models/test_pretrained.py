import json
import pickle
import socket
from hashlib import sha256
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from sweeper.config import TimmConfig
from sweeper.models import pretrained
from sweeper.models.families import build, without_weights
from sweeper.models.pretrained import find, load
from tests.models.pretrained_weights import NAME, small, write, write_folder

COLOUR, GREY = (3, 32, 32), (1, 32, 32)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments):
        raise socket.gaierror("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def config(path="", **fields):
    return TimmConfig(**{"model_name": NAME, "pretrained": True, "pretrained_file": str(path), **fields})


def loaded(configuration, shape=COLOUR, classes=4, seed=3):
    """A network with the configuration's weights, and the same network without them."""
    networks = []
    for _ in range(2):
        torch.manual_seed(seed)
        networks.append(build(without_weights(configuration), shape, classes))
    load(networks[0], configuration, shape, classes, find(configuration, offline=True))
    return networks


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "folder", "folder of torch's"])
def test_everything_but_the_classifier_comes_from_the_file(tmp_path, name):
    source = small()
    path = tmp_path / name
    if name.startswith("folder"):
        write_folder(path, source, file="pytorch_model.bin" if "torch" in name else "model.safetensors")
    else:
        write(path, source)
    network, untrained = loaded(config(path))
    for key, tensor in network.state_dict().items():
        expected = untrained.state_dict()[key] if key.startswith("fc.") else source.state_dict()[key]
        assert torch.equal(tensor, expected), key
    assert not torch.equal(network.conv1[0].weight, untrained.conv1[0].weight)


def test_classifier_of_as_many_classes_is_taken_and_a_file_may_have_none(tmp_path):
    source = small(classes=4)
    network, _ = loaded(config(write(tmp_path / "w.safetensors", source)))
    assert torch.equal(network.fc.weight, source.fc.weight)
    source.reset_classifier(0)
    headless, untrained = loaded(config(write(tmp_path / "headless.safetensors", source)))
    assert torch.equal(headless.conv1[0].weight, source.conv1[0].weight)
    assert torch.equal(headless.fc.weight, untrained.fc.weight)


@pytest.mark.parametrize("wrapped", [{"softmax_output": True}, {"input_size": 64}, {"input_size": 16}])
def test_a_network_behind_or_before_other_modules_gets_its_weights(tmp_path, wrapped):
    source = small()
    network, _ = loaded(config(write(tmp_path / "w.safetensors", source), **wrapped))
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert torch.equal(first.weight, source.conv1[0].weight)
    assert network(torch.randn(2, *COLOUR)).shape == (2, 4)


@pytest.mark.parametrize(("source", "images"), [(3, 1), (1, 3), (1, 1), (3, 3), (3, 4)])
def test_first_conv_sums_or_repeats_its_weights_for_other_channels(tmp_path, source, images):
    weights = small(channels=source)
    network, _ = loaded(config(write(tmp_path / "w.safetensors", weights)), (images, 32, 32))
    found, own = network.conv1[0].weight, weights.conv1[0].weight
    assert found.shape[1] == images
    grey = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(
        nn.functional.conv2d(grey.expand(1, images, 8, 8), found),
        nn.functional.conv2d(grey.expand(1, source, 8, 8), own) * 1.0
        if images != 4
        else nn.functional.conv2d(grey.expand(1, 4, 8, 8), torch.cat([own, own[:, :1]], 1)) * 3 / 4,
    )


def test_scaling_is_that_of_the_weights(tmp_path):
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    folder = write_folder(tmp_path / "own", small(), mean=mean, std=std)
    found = find(config(folder), offline=True)
    assert found.scaling(3) == (mean, std)
    assert found.scaling(1) == (pytest.approx([0.5]), pytest.approx([0.2]))
    assert found.scaling(4) == ([*mean, 0.4], [*std, 0.1])
    assert find(config(write_folder(tmp_path / "grey", small(channels=1))), offline=True).scaling(3)[0] == [0.5] * 3
    bare = find(config(write(tmp_path / "w.safetensors", small()), model_name="resnet18"), offline=True)
    assert bare.scaling(3)[0] == [0.485, 0.456, 0.406]  # ImageNet's, with which timm's own weights were trained
    assert bare.sha256 == sha256(bare.path.read_bytes()).hexdigest()


def test_position_embeddings_are_adapted_to_the_size_inside(tmp_path):
    source = small("test_vit", img_size=32)
    configuration = config(write(tmp_path / "w.safetensors", source), model_name="test_vit", input_size=48)
    network, _ = loaded(configuration)
    assert network(torch.randn(2, *COLOUR)).shape == (2, 4)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def broken(kind, folder):
    path = folder / "w.safetensors"
    network = small()
    match kind:
        case "no file":
            return path
        case "cut":
            write(path, network)
            path.write_bytes(path.read_bytes()[:1000])
        case "empty":
            path.touch()
        case "text as torch's":
            path = folder / "w.pt"
            path.write_text("no weights")
        case "pickle":
            path = folder / "w.pt"
            torch.save({"conv1.weight": Payload(folder / "touched")}, path)
        case "list":
            path = folder / "w.pt"
            torch.save([torch.ones(1)], path)
        case "other architecture":
            write(path, small("test_efficientnet"))
        case "tensor missing":
            save_file({name: each for name, each in network.state_dict().items() if name != "bn1.bias"}, path)
        case "tensor more":
            save_file(network.state_dict() | {"layer9.weight": torch.ones(1)}, path)
        case "other shape":
            save_file(network.state_dict() | {"bn1.bias": torch.ones(3)}, path)
        case "flat first conv and little else":
            save_file({"conv1.0.weight": torch.zeros(7), "of.another.network": torch.zeros(3)}, path)
        case "NaN":
            network.bn1.bias.data[0] = torch.nan
            write(path, network)
        case "too large":
            save_file(network.state_dict() | {"bn1.bias": network.bn1.bias.detach().double() + 1e300}, path)
        case "complex":
            save_file(network.state_dict() | {"bn1.bias": network.bn1.bias.detach().to(torch.complex64)}, path)
        case "integers":
            save_file(network.state_dict() | {"bn1.bias": network.bn1.bias.detach().to(torch.int8)}, path)
        case "classifier of one value":
            save_file(network.state_dict() | {"fc.weight": torch.tensor(1.0)}, path)
        case "no mean":
            return write_folder(folder / "f", network, mean=[], std=[])
        case "mean too large":
            return write_folder(folder / "f", network, mean=[1e308] * 3, std=[1.0] * 3)
        case "std too small":
            return write_folder(folder / "f", network, std=[1e-320])
        case "two means for three channels":
            return write_folder(folder / "f", network, mean=[0.5] * 2, std=[0.5] * 2, input_size=[3, 32, 32])
        case "folder of another":
            return write_folder(folder / "f", network, architecture="resnet34")
        case "folder without config":
            write_folder(folder / "f", network)
            (folder / "f" / "config.json").unlink()
            return folder / "f"
        case "folder without weights":
            (write_folder(folder / "f", network) / "model.safetensors").unlink()
            return folder / "f"
        case "another's config":
            write_folder(folder / "f", network)
            (folder / "f" / "config.json").write_text(json.dumps({"model": {"family": "convnet"}}))
            return folder / "f"
        case "std of 0":
            return write_folder(folder / "f", network, std=[0.0])
        case "two values":
            return write_folder(folder / "f", network, std=[0.1, 0.2])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no file", "there are no pretrained weights at .*w.safetensors"),
        ("cut", "w.safetensors is not a complete safetensors file"),
        ("empty", "w.safetensors is not a complete safetensors file"),
        ("text as torch's", "w.pt is neither a safetensors file nor one of torch's with tensors alone"),
        ("pickle", "w.pt is neither a safetensors file nor one of torch's with tensors alone"),
        ("list", "w.pt does not hold a network's tensors by name"),
        ("other architecture", "w.safetensors does not hold the weights of test_resnet: Missing key"),
        ("tensor missing", 'does not hold the weights of test_resnet: Missing key.*"bn1.bias"'),
        ("tensor more", 'does not hold the weights of test_resnet: Unexpected key.*"layer9.weight"'),
        ("other shape", "does not hold the weights of test_resnet: size mismatch for bn1.bias"),
        ("flat first conv and little else", "size mismatch for conv1.0.weight: 7, which must have 4 dimensions"),
        ("NaN", "w.safetensors is damaged: the values of bn1.bias must be finite"),
        ("too large", "w.safetensors is damaged: the values of bn1.bias must be finite"),
        ("complex", "the values of bn1.bias must be floating-point numbers, they are complex64"),
        ("integers", "the values of bn1.bias must be floating-point numbers, they are int8"),
        ("classifier of one value", "w.safetensors holds a single value as the weights of the classifier"),
        ("no mean", "config.json cannot be used: mean and std must each have as many values"),
        ("mean too large", "config.json cannot be used: mean must be finite"),
        ("std too small", "config.json cannot be used: .* std greater than 0"),
        ("two means for three channels", "config.json cannot be used: .* as images have channels, 3, got"),
        ("folder of another", "f holds weights of resnet34, and model_name is 'test_resnet'"),
        ("folder without config", "f holds no weights as the hub stores them: config.json cannot be read"),
        (
            "folder without weights",
            "f holds no pretrained weights: it has none of model.safetensors, pytorch_model.bin",
        ),
        ("another's config", "config.json is not of a network of timm's: .*architecture"),
        ("std of 0", "config.json is not of a network of timm's: config.json.std.0 should be greater than 0"),
        ("two values", "config.json must have as many values of std as of mean"),
    ],
)
def test_weights_that_cannot_be_used_are_told_in_one_line(tmp_path, kind, message):
    path = broken(kind, tmp_path)
    with pytest.raises(ValueError, match=message) as refused:
        loaded(config(path))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("channels", [1, 4])
def test_first_conv_that_cannot_be_adapted_is_no_reason_to_accept_the_rest(tmp_path, channels):
    path = broken("flat first conv and little else", tmp_path)
    with pytest.raises(ValueError, match=r"size mismatch for conv1\.0\.weight"):
        loaded(config(path), (channels, 32, 32))


def test_a_training_programs_file_is_searched_for_the_network(tmp_path):
    source = small()
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in source.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped, "optimizer": {}}, tmp_path / "w.pth")
    network, _ = loaded(config(tmp_path / "w.pth"))
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)


def test_what_the_hubs_cache_holds_is_taken_without_asking_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    source = small(classes=1000)
    write(repository / "snapshots" / "1" / "model.safetensors", source)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1")
    network, _ = loaded(config())
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)


def test_offline_weights_that_are_not_in_the_cache_are_told_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refusal = rf"^the pretrained weights of test_resnet are not in the hub's cache, {tmp_path}, .* pretrained_file"
    with pytest.raises(ValueError, match=refusal):
        find(config(), offline=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=refusal):
        find(config(), offline=False)


def test_hub_that_does_not_answer_is_asked_once(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    asked = []

    def silent(url, *, timeout):
        asked.append((url, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", silent)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", None)
    with pytest.raises(
        ValueError, match=r"cannot be had from the hub \(timed out\): give a copy .* as pretrained_file"
    ):
        find(config(), offline=False)
    [(url, timeout)] = asked
    assert url.endswith("timm/test_resnet.r160_in1k/resolve/main/model.safetensors")
    assert timeout == pretrained.SECONDS


def test_network_of_which_the_hub_has_no_weights_is_told():
    with pytest.raises(ValueError, match="the hub has no pretrained weights of gcvit_tiny: give a copy"):
        find(config(model_name="gcvit_tiny"), offline=False)


def test_pickle_is_what_the_payload_says(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()
