import errno
import os
import resource

import pytest
import torch
from safetensors.torch import load_file

from sweeper.training import checkpoint


def test_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    checkpoint.write_tensors(path, {"a": torch.ones(3)}, {})
    before = path.read_bytes()

    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write_tensors(path, {"a": torch.zeros(3)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_file_that_is_too_large_is_named_with_its_number_and_no_part_of_it_stays(tmp_path):
    path = tmp_path / "model.safetensors"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            checkpoint.write_tensors(path, {"a": torch.ones(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert os.listdir(tmp_path) == []


def test_file_set_aside_takes_the_place_of_an_earlier_one(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    for content in ("first", "second"):
        path.write_text(content)
        assert checkpoint.set_aside(path) == tmp_path / "checkpoint.safetensors.damaged"
    assert (tmp_path / "checkpoint.safetensors.damaged").read_text() == "second"
    assert not path.exists()


def test_lack_of_memory_is_not_taken_for_damage(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters())
    checkpoint.save(path, checkpoint.Progress("x"), network, optimizer, {})

    def refuse(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 16 bytes.")

    monkeypatch.setattr(checkpoint, "safe_open", refuse)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        checkpoint.load(path, "x", network, optimizer)


def test_where_a_file_is_set_aside_is_known_beforehand(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.touch()
    assert checkpoint.aside(path) == checkpoint.set_aside(path)


@pytest.fixture
def written(tmp_path):
    """Weights of the training "x"."""
    path = tmp_path / "model.safetensors"
    checkpoint.write_tensors(path, {"a": torch.ones(3), "b": torch.zeros(2, 2)}, {"identity": "x"})
    return path


def test_weights_are_held_under_their_identity_alone(written):
    assert checkpoint.holds(written, "x")
    assert not checkpoint.holds(written, "y")
    assert not checkpoint.holds(written, "")


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}])
@pytest.mark.parametrize("identity", ["x", ""])
def test_weights_without_an_identity_are_nobodys(tmp_path, metadata, identity):
    path = tmp_path / "model.safetensors"
    checkpoint.write_tensors(path, {"a": torch.ones(3)}, metadata)
    assert not checkpoint.holds(path, identity)


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b[:4],
        lambda b: b[:40],
        lambda b: b[:-1],
        lambda b: b + b"0",
        lambda b: b"\xff" * len(b),
    ],
    ids=["empty", "in the length", "in the header", "the last byte", "a byte too many", "garbage"],
)
def test_damaged_weights_are_not_held(written, damage):
    written.write_bytes(damage(written.read_bytes()))
    assert not checkpoint.holds(written, "x")


def test_weights_that_are_absent_or_a_folder_are_not_held(tmp_path):
    assert not checkpoint.holds(tmp_path / "absent" / "model.safetensors", "x")
    assert not checkpoint.holds(tmp_path, "x")


def test_layers_that_share_their_weights_are_written_and_read_again(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    path = tmp_path / "model.safetensors"
    checkpoint.write_tensors(path, model.state_dict(), {})
    found = load_file(path)
    assert torch.equal(found["0.weight"], found["1.weight"])
    model.load_state_dict(found)
    assert model[1].weight is model[0].weight
