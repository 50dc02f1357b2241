from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from sweeper.config import ConvNetConfig, MlpConfig
from sweeper.models import weight_transfer
from sweeper.models.families import build

CONFIG = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), batch_norm=True)
SHAPE, CLASSES = (1, 8, 8), 4


def written(path, config=CONFIG, shape=SHAPE, classes=CLASSES, seed=0):
    """A file with the weights of a network, and these."""
    torch.manual_seed(seed)
    tensors = build(config, shape, classes).state_dict()
    save_file(tensors, path)
    return path, tensors


def test_tensors_of_the_same_network_are_all_taken_running_statistics_too(tmp_path):
    path, tensors = written(tmp_path / "w.safetensors")
    match = weight_transfer.match(weight_transfer.shapes_in(path), CONFIG, SHAPE, CLASSES)
    assert set(match.taken) == set(tensors)
    assert {"features.norm1.running_mean", "features.norm1.num_batches_tracked"} <= set(match.taken)
    assert not match.left
    assert match.n_parameters_taken == len(match.parameters) == 12


def test_head_of_other_classes_and_conv_of_other_channels_are_left_and_both_shapes_told(tmp_path):
    path, tensors = written(tmp_path / "w.safetensors", classes=100)
    match = weight_transfer.match(weight_transfer.shapes_in(path), CONFIG, (3, 8, 8), CLASSES)
    assert match.left == {
        "features.conv1.weight": "4x3x3x3 here, 4x1x3x3 in the weights",
        "classifier.output.weight": "4x16 here, 100x16 in the weights",
        "classifier.output.bias": "4 here, 100 in the weights",
    }
    assert set(match.taken) == set(tensors) - set(match.left)


def test_tensors_that_only_one_side_has_are_left(tmp_path):
    path, _ = written(tmp_path / "w.safetensors", replace(CONFIG, filters=(4,), pool_after=(1,), batch_norm=False))
    match = weight_transfer.match(weight_transfer.shapes_in(path), replace(CONFIG, hidden=()), SHAPE, CLASSES)
    assert match.taken == ("features.conv1.weight", "features.conv1.bias", "classifier.output.bias")
    assert match.left["features.conv2.weight"] == "not in the weights"
    assert match.left["features.norm1.num_batches_tracked"] == "not in the weights"
    assert match.left["classifier.hidden1.weight"] == "not in this network"


def test_networks_of_other_families_have_nothing_in_common(tmp_path):
    path, _ = written(tmp_path / "w.safetensors")
    match = weight_transfer.match(weight_transfer.shapes_in(path), MlpConfig(hidden=(8,)), SHAPE, CLASSES)
    assert (match.taken, match.n_parameters_taken) == ((), 0)


def test_what_is_not_loaded_is_what_the_seed_would_make_it_anyway(tmp_path):
    path, tensors = written(tmp_path / "w.safetensors", classes=100, seed=1)
    taken = weight_transfer.match(weight_transfer.shapes_in(path), CONFIG, SHAPE, CLASSES).taken
    torch.manual_seed(2)
    network = build(CONFIG, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weight_transfer.load(network, path, taken)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name] if name in taken else fresh[name]), name
    assert network.features.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(fresh["features.conv1.weight"], tensors["features.conv1.weight"])


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04K\x01.", b"\xff" * 100, None], ids=["empty", "pickle", "junk", "cut"]
)
def test_file_that_is_no_whole_safetensors_file_is_a_value_error(tmp_path, content):
    path, _ = written(tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        weight_transfer.shapes_in(path)
    with pytest.raises(ValueError, match="cannot be read"):
        weight_transfer.load(build(CONFIG, SHAPE, CLASSES), path, ["features.conv1.weight"])
