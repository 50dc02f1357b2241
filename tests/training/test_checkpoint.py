import os

import pytest
import torch

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
