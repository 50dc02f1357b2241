"""sweeper never unpickles a user's files: a pickle runs any code that its author wrote into it."""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeper.config import ConvNetConfig
from sweeper.data.formats.idx import read_idx
from sweeper.engine.local import shared_images
from sweeper.errors import SweeperError
from sweeper.models.families import build
from sweeper.models.predictor import load_network
from sweeper.spaces import reader
from sweeper.training import checkpoint
from tests.hostile import refused
from tests.test_architecture import FILES, imported_names

MODULES = (
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "runpy",
    "code",
)
# Functions that load files, by the end of their name, with the number of calls: each call reads a file that sweeper
# itself has just written. model_loader.py is also what MLflow calls, for the registered model that it was told to load.
LOADING = {
    "load_model": {},
    "_load_pyfunc": {"sweeper/tracking/mlflow_model.py": 1, "sweeper/tracking/model_loader.py": 1},
    "export.load": {"sweeper/tracking/mlflow_model.py": 1, "sweeper/model_files/program.py": 1},
    # Of a user's pretrained weights, torch loads tensors alone.
    "torch.load": {"sweeper/models/weight_files.py": 1},
}
UNPICKLING = ("jit.load", "hub.load", "read_pickle", "load_checkpoint", "load_state_dict_from_url")
BUILTINS = ("eval", "exec", "compile")
# Where what a command line names as code is run; nothing else is.
RUNNING = {"sweeper/models/code_files.py": {"exec", "compile"}}
LENET = ConvNetConfig(padding=(2, 0, 0))


def calls(source):
    """The function of each call as written in the source, with its keyword arguments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


def unpickles(path, source):
    """Imports and calls in a source file that could run code from a file they read."""
    for name in imported_names(path, source):
        if name.partition(".")[0] in MODULES or name in (*UNPICKLING, "torch.load"):
            yield name
    counts = dict.fromkeys(LOADING, 0)
    for function, keywords in calls(source):
        if function in BUILTINS or function.endswith(UNPICKLING):
            yield function
        if "allow_pickle" in keywords and keywords["allow_pickle"] != "False":
            yield f"{function}(allow_pickle)"
        usual = "False" if function.endswith("torch.load") else "True"
        if keywords.get("weights_only", usual) != "True":
            yield f"{function}(weights_only)"
        for ending in counts:
            counts[ending] += function.endswith(ending)
    for ending, count in counts.items():
        if count != LOADING[ending].get(path, 0):
            yield f"{count} calls of {ending}"


def test_no_source_unpickles():
    found = {path: {*unpickles(path, source)} for path, source in FILES.items()}
    assert {path: calls for path, calls in found.items() if calls} == RUNNING


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=anything)",
        "timm.create_model(name).load(path, weights_only=False)",
        "import mlflow\nmlflow.pytorch.load_model(uri)",
        "torch.export.load(path)",
        "eval(text)",
        "__import__('pickle')",
    ],
)
def test_what_unpickles_is_found(source):
    assert list(unpickles("sweeper/some.py", source))


class Payload:
    """Creates the file `touched` when it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self):
        return (Path.touch, (self.touched,))


@pytest.fixture
def touched(tmp_path):
    """The file that a payload creates; tests first that it can, and at the end that it did not."""
    path = tmp_path / "touched"
    pickle.loads(pickle.dumps(Payload(path)))
    path.unlink()
    yield path
    assert not path.exists()


def pickled(path, touched, form):
    """Writes a file with the payload: a plain pickle, one of numpy's two formats, or torch's."""
    payload = np.array([Payload(touched)], dtype=object)
    with open(path, "wb") as file:
        match form:
            case "pickle":
                pickle.dump(Payload(touched), file)
            case "npy":
                np.save(file, payload, allow_pickle=True)
            case "npz":
                np.savez(file, train_images=payload)
            case "torch":
                torch.save({"weight": Payload(touched)}, file)
    return path


forms = pytest.mark.parametrize("form", ["pickle", "npy", "npz", "torch"])


@forms
def test_space_file_with_a_payload_is_refused(tmp_path, touched, form):
    path = pickled(tmp_path / "mine.toml", touched, form)
    with pytest.raises(SweeperError, match=r"mine\.toml"):
        reader.load(str(path))
    assert "mine.toml" in refused("search", "fashion_mnist", "--space", path, "--store", tmp_path / "store")
    assert not (tmp_path / "store").exists()


@forms
def test_data_file_with_a_payload_is_refused(tmp_path, touched, form):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"):
        path = pickled(tmp_path / name, touched, form)
    assert "train-images-idx3-ubyte" in refused("data", "info", "fashion_mnist", "--data-dir", tmp_path, codes=(1,))
    with pytest.raises(SweeperError, match="magic number"):
        read_idx(path.read_bytes(), str(path), 1)


@forms
def test_checkpoint_with_a_payload_is_refused(tmp_path, touched, form):
    path = pickled(tmp_path / "checkpoint.safetensors", touched, form)
    model = build(LENET, (1, 28, 28), 10)
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.load(path, "identity", model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.read_history(path)
    assert not checkpoint.holds(path, "identity")


@forms
def test_weights_with_a_payload_are_refused(tmp_path, touched, form):
    path = pickled(tmp_path / "weights.safetensors", touched, form)
    with pytest.raises(ValueError, match="cannot be read"):
        load_network(LENET, (1, 28, 28), 10, path, [0.5], [0.5])


@pytest.mark.parametrize("form", ["pickle", "npy"])
def test_images_of_the_workers_with_a_payload_are_refused(tmp_path, touched, form):
    image, label = np.zeros((1, 1, 2, 2), np.uint8), np.zeros(1, np.int64)
    shared_images.write(tmp_path / "parts", [((image, label), (image, label))])
    shared_images.read(tmp_path / "parts", 0)
    pickled(tmp_path / "parts" / "0" / "train_images.npy", touched, form)
    with pytest.raises(ValueError, match=r"pickle|memory-mapped"):
        shared_images.read(tmp_path / "parts", 0)
