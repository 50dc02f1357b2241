import json
import logging
import tempfile
from pathlib import Path

import pytest
import torch

from sweeper.config import ConvNetConfig, MlpConfig, ResNetConfig, TimmConfig
from sweeper.errors import SweeperError
from sweeper.model_files import onnx_file, onnx_runtime, program
from sweeper.model_files.checks import check
from sweeper.model_files.quantization import quantized
from sweeper.models.predictor import logits_of
from tests.model_files.conftest import CLASSES, about_of, images_of, network_of

ROOT = Path(__file__).parents[2]


def test_model_takes_raw_pixels_in_batches_of_any_size_and_gives_the_networks_logits(exported):
    content = exported.model.SerializeToString()
    found = check(onnx_runtime.predictor(content), exported.logits, exported.images)
    assert found.max_difference < 1e-5
    assert onnx_runtime.predictor(content, one_thread=True)(exported.images[:2]).dtype == "float32"


def test_input_and_output_have_names_and_the_batch_is_named(exported):
    graph = exported.model.graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {"images": ["batch", *exported.shape], "logits": ["batch", len(CLASSES)]}
    assert graph.input[0].type.tensor_type.elem_type == 2  # uint8


def test_batch_norm_is_part_of_the_layer_before_it(exported):
    assert "BatchNormalization" not in {node.op_type for node in exported.model.graph.node}


def test_metadata_are_texts_and_json(exported):
    found = {entry.key: entry.value for entry in exported.model.metadata_props}
    assert found.keys() == exported.about.keys()
    assert found["model"] == "trial 7 of study"
    assert json.loads(found["classes"]) == list(CLASSES)
    assert json.loads(found["verdict"]) is None
    assert (exported.model.producer_name, exported.model.producer_version) == ("sweeper", "1.2.3")


def test_nothing_tells_of_this_machine_or_of_how_the_model_was_made(exported):
    content = exported.model.SerializeToString()
    for folder in (str(ROOT), str(Path.home()), tempfile.gettempdir(), str(Path(torch.__file__).parent), "stack_trace"):
        assert folder.encode() not in content


def test_exporting_prints_and_logs_nothing(capfd, caplog):
    config, shape = MlpConfig(hidden=(3,)), (1, 4, 4)
    onnx_file.onnx_of(program.program_of(network_of(config, shape), shape), about_of(config, shape))
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_weights_of_more_than_a_protocol_buffer_holds_are_refused(exported, monkeypatch):
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1000)
    with pytest.raises(SweeperError, match="at most 1,000 bytes, got weights of"):
        onnx_file.onnx_of(exported.program, exported.about)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (MlpConfig(hidden=(8,), batch_norm=True), 1),
        (ConvNetConfig(filters=(4, 8), kernel_size=3, softmax_output=True, activation="gelu", pooling="avg"), 3),
        (ConvNetConfig(filters=(4, 8, 8), kernel_size=3, padding="same", activation="leaky_relu"), 1),
        (ResNetConfig(filters=(4, 8), downsample_at=(1,)), 3),
        (TimmConfig(model_name="test_resnet"), 3),
        (TimmConfig(model_name="test_vit"), 1),
        (TimmConfig(model_name="test_convnext"), 3),
    ],
    ids=["mlp", "softmax", "leaky", "resnet", "timm", "vit", "convnext"],
)
def test_networks_of_all_families_are_exported_and_quantised(tmp_path, config, channels):
    shape = (channels, 32, 32)
    network, images, about = (
        network_of(config, shape, test_flip=channels == 3),
        images_of(shape),
        about_of(config, shape),
    )
    expected = logits_of(network, images, torch.device("cpu"))
    made = program.program_of(network, shape)
    program.save(made, tmp_path / "a.pt2", about)
    check(program.predictor(tmp_path / "a.pt2"), expected, images)
    model = onnx_file.onnx_of(made, about)
    check(onnx_runtime.predictor(model.SerializeToString()), expected, images)
    predict = onnx_runtime.predictor(quantized(model, images, about).SerializeToString())
    check(predict, predict(images), images)
