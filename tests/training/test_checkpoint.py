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
