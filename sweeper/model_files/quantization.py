"""Static quantisation of ONNX models to integers of 8 bits, by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from sweeper.model_files.onnx_file import INPUT, described
from sweeper.model_files.program import quiet, refusal

# The layers with nearly all of a network's arithmetic. Integers of 8 bits would coarsen what is between them, such as
# the steps of a GELU or the probabilities of a softmax, and save nothing.
OPERATORS = ("Conv", "Gemm", "MatMul")
# Their outputs stay float32: the logits, which would otherwise have 256 values and so ties.
FLOAT_OUTPUTS = ("Gemm", "MatMul")
BATCH = 64


def quantized(model: ModelProto, images: NDArray[np.uint8], about: Mapping[str, Any]) -> ModelProto:
    """The model with weights and activations of 8 bits, whose ranges are those of the images (n, channels, h, w).

    Raises SweeperError for a model that onnxruntime cannot quantise.
    """
    try:
        with quiet(), TemporaryDirectory() as folder:
            given, prepared, found = (Path(folder, f"{name}.onnx") for name in ("given", "prepared", "quantized"))
            # Through a file: onnxruntime's tools move the weights of a model in memory to files.
            given.write_bytes(model.SerializeToString())
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                found,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                # A range for each filter: some are far smaller than others.
                per_channel=True,
                # Weights of 7 bits: processors without VNNI add products of 8 bits with saturation, so that the file
                # would predict otherwise there than where its accuracy was measured.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS)},
            )
            return described(onnx.load(found), about)
    except Exception as error:  # onnxruntime's errors have no class of their own
        raise refusal("onnxruntime cannot quantise this network", error) from error


class _Images(CalibrationDataReader):
    """Gives the images batch by batch."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._batches = iter([images[start : start + BATCH] for start in range(0, len(images), BATCH)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}
