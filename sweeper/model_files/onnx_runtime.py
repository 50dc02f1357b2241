"""Runs ONNX models with onnxruntime, on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sweeper.model_files.checks import Predict
from sweeper.model_files.onnx_file import INPUT
from sweeper.model_files.program import refusal
from sweeper.models import latency

# onnxruntime's levels of severity: only errors, which it raises as well.
ERRORS = 3


def predictor(model: Path | bytes, *, one_thread: bool = False) -> Predict:
    """What the model predicts. Raises SweeperError for a model that onnxruntime does not take."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS
    if one_thread:
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    source = model if isinstance(model, bytes) else str(model)
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as of predictions, these have no class of their own
        raise refusal("onnxruntime cannot load the exported file", error) from error

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: list[Any] = session.run(None, {INPUT: np.ascontiguousarray(images)})
        logits: NDArray[np.float32] = found[0]
        return logits

    return predict


def milliseconds(model: bytes, image: NDArray[np.uint8]) -> float:
    """The time for one image (1, channels, height, width), measured as by latency.of_calls."""
    return latency.of_calls(predictor(model, one_thread=True), image)
