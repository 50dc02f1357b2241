"""Exports a network to the folder of a model that MLflow loads without sweeper."""

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from numpy.typing import NDArray
from torch import nn

from sweeper.errors import SweeperError
from sweeper.images import pixels, resize
from sweeper.images.alpha import BACKGROUNDS
from sweeper.images.preprocessing import Preprocessing
from sweeper.model_files.program import forget_source_lines
from sweeper.tracking import class_names, model_loader

CODE = "code"
# The packages that serving a model imports; pip installs the others as their dependencies. MLflow would find them by
# loading the model in another process, which takes ten seconds and more.
REQUIREMENTS = ("mlflow", "numpy", "pillow", "torch")
# The modules of which a registered model has copies.
LOADER = (model_loader, pixels, resize)
# The exported network may sum in another order than the original.
TOLERANCE = 1e-4


def export(
    network: nn.Module,
    example: NDArray[np.uint8],
    classes: Sequence[str],
    preprocessing: Preprocessing,
    verdict: Sequence[str],
    folder: Path,
) -> Model:
    """Exports the network to a folder that MLflow loads without sweeper's code, for images of any number and size.

    The arguments are those of Registry.register. Raises SweeperError if the exported network gives other predictions.
    """
    # On the CPU, because every machine can load it there. Contiguous, because torch's archive treats tensors of other
    # layouts as parts of weights.
    network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()
    form = _form(example.shape[1:], preprocessing)
    # A copy, because MLflow's own use of the example warns about arrays that are not writable, such as mapped images.
    example = _stored(example, form["value_range"]) if preprocessing.scales_bytes else example.copy()
    expected = _predict(network, example)
    signature = ModelSignature(
        # Of this type and shape alone, MLflow passes on arrays of any: model_loader.py says what is wrong with one.
        Schema([TensorSpec(np.dtype(object), (-1,), "images")]),
        Schema([TensorSpec(expected.dtype, (-1, *expected.shape[1:]), class_names.output_name(classes))]),
        ParamSchema([ParamSpec(model_loader.PROBABILITIES, DataType.boolean, False)]),
    )
    model = Model()
    mlflow.pytorch.save_model(
        network,
        str(folder),
        mlflow_model=model,
        input_example=example,
        signature=signature,
        metadata={
            **class_names.metadata(classes),
            "images": {"type": str(example.dtype), "shape": [-1, *example.shape[1:]]},
            "preprocessing": asdict(preprocessing),
            "verdict": list(verdict),
        },
        # Without the build suffix (+cu130, +cpu): other machines have other builds.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
        serialization_format="pt2",
    )
    _forget_source_lines(folder / "data" / "model.pt2")
    # By default, MLflow takes a GPU if it finds one, and then refuses a network that was exported on a CPU.
    model.flavors["python_function"]["config"] = {"device": "cpu"}
    _add_loader(model, folder)
    for name, content in ((model_loader.PIXELS, form), (model_loader.CLASSES, list(classes))):
        (folder / "data" / name).write_text(json.dumps(content), encoding="utf-8")
    model.save(str(folder / MLMODEL_FILE_NAME))
    # Not through MLflow, which would import the copy of the loader, and keep its path and its bytecode.
    loaded = model_loader._load_pyfunc(str(folder / "data"), {"device": "cpu"})
    # Check a batch of one as well: an export with a fixed batch size would take only `example`.
    for batch in (example, example[:1]):
        expected = _predict(network, loaded.pixels.of(batch))
        if not np.allclose(np.asarray(loaded.predict(batch)), expected, rtol=0, atol=TOLERANCE):
            raise SweeperError("the network gives other predictions after it was exported for MLflow")
    return model


def _stored(pixels: NDArray[np.uint8], value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """The bytes that training scaled to these pixels; of resized images, the nearest ones."""
    low, high = value_range
    return np.rint(pixels * ((high - low) / 255) + low).clip(0, 255).astype(np.uint8)


def _form(shape: Sequence[int], preprocessing: Preprocessing) -> dict[str, Any]:
    """The arguments of Pixels."""
    known = preprocessing.value_range
    return {
        "shape": list(shape),
        "background": BACKGROUNDS[preprocessing.background],
        "value_range": None if known is None else [known.low, known.high],
        "scales_bytes": preprocessing.scales_bytes,
        "fit": preprocessing.fit,
    }


def _add_loader(model: Model, folder: Path) -> None:
    """Makes MLflow load the exported network through a copy of model_loader.py and of what it imports."""
    sources = {module.__name__.partition(".")[2]: Path(module.__file__ or "").read_bytes() for module in LOADER}
    # Named by its content, because a process that loads several models imports a package of one name only once.
    package = f"sweeper_model_{hashlib.sha256(b''.join(sources.values())).hexdigest()[:12]}"
    for name, source in sources.items():
        # In the same places as here, so that the modules find each other.
        path = Path(folder, CODE, package, *name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    loader = model_loader.__name__.replace("sweeper", package, 1)
    model.flavors["python_function"] |= {"loader_module": loader, "code": CODE}


def _forget_source_lines(path: Path) -> None:
    """Removes the source lines of each operation from an exported network: they name this machine's folders."""
    program = torch.export.load(path)
    forget_source_lines(program)
    torch.export.save(program, path)


def _predict(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return network(torch.tensor(images)).numpy()
