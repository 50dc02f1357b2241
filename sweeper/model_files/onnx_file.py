"""A network as an ONNX model: raw pixels in, logits out, and what is to be known of it in the metadata."""

import json
import re
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch.export import ExportedProgram

from sweeper.errors import SweeperError
from sweeper.model_files.program import quiet, refusal

INPUT, OUTPUT, BATCH = "images", "logits", "batch"
# The newest opset that torch translates to by itself; onnxruntime knows it since 1.14.
OPSET = 18
PRODUCER = "sweeper"
# Of a protocol buffer, and so of an ONNX model in one file.
MOST_BYTES = 2**31 - 1


def onnx_of(program: ExportedProgram, about: Mapping[str, Any]) -> ModelProto:
    """The exported program as an ONNX model, in which batch norm is part of the layer before it.

    Raises SweeperError for a program that torch cannot translate.
    """
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if n_bytes > MOST_BYTES:
        raise SweeperError(
            f"an ONNX file holds at most {MOST_BYTES:,} bytes, got weights of {n_bytes:,}: --format safetensors writes "
            "them"
        )
    try:
        with quiet():
            translated = torch.onnx.export(
                program, (), None, dynamo=True, verbose=False, opset_version=OPSET, input_names=[INPUT],
                output_names=[OUTPUT], external_data=False,
            )  # fmt: skip
    except Exception as error:  # as for the program
        raise refusal(
            "torch cannot translate this network to ONNX", error, "--format pt2 writes its program"
        ) from error
    assert translated is not None
    return described(translated.model_proto, about)


def described(model: ModelProto, about: Mapping[str, Any]) -> ModelProto:
    """The model with sweeper's name, `about` in its metadata, and without traces of how it was made.

    Texts of `about` stand in the metadata as they are, all else as JSON.
    """
    graph = model.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    del graph.value_info[:]  # every program infers the shapes between layers anew
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:  # a number would become a name
                dimension.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", BATCH, dimension.dim_param)
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    used = {node.domain for node in graph.node}
    imports = [entry for entry in model.opset_import if entry.domain in used]  # onnxruntime adds all that it knows
    del model.opset_import[:]
    model.opset_import.extend(imports)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    model.producer_name, model.producer_version = PRODUCER, str(about["sweeper_version"])
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    return model
