from types import SimpleNamespace

import pytest

from sweeper.config import ConvNetConfig, TimmConfig
from sweeper.errors import SweeperError, UsageError
from sweeper.runs import pretrained_weights
from sweeper.studies.spec import RunSpec
from tests.models.pretrained_weights import NAME, small, write

IMAGES = SimpleNamespace(input_shape=(3, 32, 32), classes=("a", "b"))


def network(path, **fields):
    return TimmConfig(**{"model_name": NAME, "pretrained": True, "pretrained_file": str(path), **fields})


def found(*models):
    told = []
    entries = pretrained_weights.found(models, IMAGES, offline=True, listener=lambda event: told.append(event.text))
    return entries, told


def test_each_weights_are_found_and_told_once(tmp_path):
    model = network(write(tmp_path / "w.safetensors", small()))
    entries, told = found(model, network(model.pretrained_file, drop_rate=0.2))
    assert list(entries) == [model.weights]
    assert [text.partition(", SHA")[0] for text in told] == [f"Pretrained: {model.weights}"]


@pytest.mark.parametrize(("size", "hint"), [(0, True), (160, False), (64, False)])
def test_size_of_the_images_is_told_where_nothing_was_chosen(tmp_path, size, hint):
    _, told = found(network(write(tmp_path / "w.safetensors", small()), input_size=size))
    assert ("trained on images of 160x160, these have 32x32: input_size" in told[0]) == hint


def test_network_that_cannot_take_the_images_needs_no_weights(tmp_path):
    assert found(TimmConfig(model_name="vit_tiny_patch16_224", pretrained=True, input_size=33)) == ({}, [])


def test_weights_that_are_no_weights_are_a_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="does not hold the weights of resnet18"):
        found(network(write(tmp_path / "w.safetensors", small()), model_name="resnet18"))


def test_job_gets_the_weights_of_its_network_alone(tmp_path):
    model = network(write(tmp_path / "w.safetensors", small()))
    spec = RunSpec(dataset="d", data_sha256="", fold_scalings=[([0.1], [0.2])], pretrained=found(model)[0])
    job = pretrained_weights.for_job(spec, model)
    assert (list(job.mean), list(job.std)) == spec.scaling(model) == ([0.5] * 3, [0.5] * 3)
    for other in (ConvNetConfig(), TimmConfig(model_name=NAME)):
        assert pretrained_weights.for_job(spec, other) is None
        assert spec.scaling(other) == ([0.1], [0.2])


def test_weights_that_have_changed_or_are_gone_are_refused(tmp_path):
    path = write(tmp_path / "w.safetensors", small())
    spec = RunSpec(dataset="d", data_sha256="", fold_scalings=[([0.1], [0.2])], pretrained=found(network(path))[0])
    pretrained_weights.check_unchanged(spec, "study s", offline=True)
    write(path, small(seed=1))
    with pytest.raises(SweeperError, match=r"^study s cannot go on: the pretrained weights .* put the old file back$"):
        pretrained_weights.check_unchanged(spec, "study s", offline=True)
    path.unlink()
    with pytest.raises(SweeperError, match=r"^study s started from pretrained weights that are gone: there are no"):
        pretrained_weights.check_unchanged(spec, "study s", offline=True)
