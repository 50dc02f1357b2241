import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sweeper.config import ConvNetConfig, CustomConfig, MlpConfig, TimmConfig
from sweeper.errors import SweeperError
from sweeper.model_files import weights_file
from sweeper.models import code_files
from sweeper.models.predictor import logits_of
from tests.model_files.conftest import about_of, images_of, network_of
from tests.models.own_code import forget_code, in_use

CONFIGURATIONS = [
    ConvNetConfig(filters=(4, 8), kernel_size=3, batch_norm=True, softmax_output=True, aux_heads=("conv1",)),
    MlpConfig(hidden=(8,), batch_norm=True, dropout=0.5),
    TimmConfig(model_name="test_resnet", drop_rate=0.3),
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: config.family)
def test_network_is_rebuilt_to_the_last_bit_from_its_file_alone(tmp_path, config):
    shape, flip = (1, 32, 32), config.family == "mlp"
    network, images = network_of(config, shape, test_flip=flip), images_of(shape, 9)
    weights_file.save(network, tmp_path / "a", about_of(config, shape, test_flip=flip))
    rebuilt, cpu = weights_file.load(tmp_path / "a"), torch.device("cpu")
    assert np.array_equal(logits_of(rebuilt, images, cpu), logits_of(network, images, cpu))


def test_network_of_a_persons_own_is_rebuilt_with_its_code(tmp_path, monkeypatch):
    forget_code(monkeypatch)
    in_use(tmp_path)
    config = CustomConfig(
        network="nets:TinyNet", code_sha256=code_files.named("nets").sha256, arguments={"width": 3, "depth": 2}
    )
    shape = (1, 8, 6)
    network, images = network_of(config, shape), images_of(shape, 9)
    weights_file.save(network, tmp_path / "a", about_of(config, shape))
    rebuilt, cpu = weights_file.load(tmp_path / "a"), torch.device("cpu")
    assert np.array_equal(logits_of(rebuilt, images, cpu), logits_of(network, images, cpu))
    forget_code(monkeypatch)
    with pytest.raises(SweeperError, match="--code"):
        weights_file.load(tmp_path / "a")


def test_pretrained_network_is_rebuilt_without_a_download(tmp_path, monkeypatch):
    config, shape = TimmConfig(model_name="test_resnet"), (3, 32, 32)
    about = about_of(config, shape)
    about["configuration"]["pretrained"] = True
    weights_file.save(network_of(config, shape), tmp_path / "a", about)
    asked = []
    monkeypatch.setattr(weights_file, "build", lambda config, *_: asked.append(config.pretrained) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        weights_file.load(tmp_path / "a")
    assert asked == [False]


def test_metadata_say_what_the_network_is_and_the_same_network_gives_the_same_file(exported, tmp_path):
    for name in "ab":
        weights_file.save(exported.network, tmp_path / name, exported.about)
    with safe_open(tmp_path / "a", "pt") as file:
        assert json.loads(file.metadata()["sweeper"]) == exported.about
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file_may_be_read_by_whoever_may_read_other_new_files(exported, tmp_path):
    (tmp_path / "other").touch()
    weights_file.save(exported.network, tmp_path / "a", exported.about)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "other").stat().st_mode
