import logging
import math

import numpy as np
import pytest
from onnx import TensorProto

from sweeper.errors import SweeperError
from sweeper.model_files import onnx_runtime, quantization
from sweeper.model_files.checks import check


@pytest.fixture(scope="module")
def found(exported):
    return quantization.quantized(exported.model, exported.images, exported.about)


def test_layers_compute_with_integers_and_logits_stay_real(exported, found):
    sizes = {kind: [] for kind in (TensorProto.INT8, TensorProto.FLOAT)}
    for tensor in found.graph.initializer:
        sizes.setdefault(tensor.data_type, []).append(math.prod(tensor.dims))
    assert max(sizes[TensorProto.INT8]) > 200  # weights
    assert max(sizes[TensorProto.FLOAT]) <= 16  # no weights, but scales, mean and deviation
    [last] = [node for node in found.graph.node if "logits" in node.output]
    assert last.op_type == "Gemm"


def test_predictions_are_near_the_networks_in_batches_of_any_size(exported, found):
    predict = onnx_runtime.predictor(found.SerializeToString())
    logits = predict(exported.images)
    check(predict, logits, exported.images)
    assert np.abs(logits - exported.logits).max() < 0.1 * np.abs(exported.logits).max()


def test_metadata_are_those_of_sweeper_alone(exported, found):
    assert {entry.key for entry in found.metadata_props} == exported.about.keys()
    assert found.producer_name == "sweeper"


def test_same_images_give_the_same_file_and_nothing_is_printed_or_logged(exported, found, capfd):
    handlers = list(logging.root.handlers)
    again = quantization.quantized(exported.model, exported.images, exported.about)
    assert again.SerializeToString() == found.SerializeToString()
    assert capfd.readouterr() == ("", "")
    assert logging.root.handlers == handlers


def test_model_that_onnxruntime_cannot_quantise_is_refused_in_one_line(exported, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no\nway")

    monkeypatch.setattr(quantization, "quantize_static", fail)
    with pytest.raises(SweeperError, match=r"onnxruntime cannot quantise this network \(ValueError: no\)$"):
        quantization.quantized(exported.model, exported.images, exported.about)
