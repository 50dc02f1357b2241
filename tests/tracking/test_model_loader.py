import ast
import logging
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from scipy.special import softmax

from sweeper.images.pixels import Pixels
from sweeper.tracking.mlflow_model import LOADER
from sweeper.tracking.model_loader import Predictor

LOGITS = np.array([[0.0, 2.0, 1.0], [5.0, -100.0, 0.0]], np.float32)


class Network:
    """Gives the first of LOGITS whatever it is given, and keeps what that was."""

    def predict(self, pixels):
        self.pixels = pixels
        return LOGITS[: len(pixels)]


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def predictor(network):
    return Predictor(network, Pixels([1, 2, 2], 255, None), ["cat", "dog", "cow"])


def imported(module):
    """What a module imports when it runs: for types alone it may import anything."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_copies_need_nothing_of_sweeper_but_each_other():
    named = {name for module in LOADER for name in imported(module)}
    assert {name for name in named if name.startswith(".")} == {"..images.pixels", ".resize"}
    roots = {name.partition(".")[0] for name in named if not name.startswith(".")}
    assert roots == {"collections", "json", "logging", "pathlib", "typing", "mlflow", "numpy", "PIL"}


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_named_arrays_must_be_one(predictor, names):
    with pytest.raises(MlflowException, match=f"images must be one array, got {len(names)} named ones"):
        predictor.predict({name: np.zeros((1, 1, 2, 2), np.uint8) for name in names})


@pytest.mark.parametrize("params", [None, {}, {"probabilities": False}])
def test_logits_are_given_unless_probabilities_are_asked_for(predictor, params):
    np.testing.assert_array_equal(predictor.predict(np.zeros((2, 1, 2, 2), np.uint8), params), LOGITS)


def test_probabilities_are_given_by_the_names_of_the_classes_the_largest_first(predictor):
    found = predictor.predict({"images": np.zeros((2, 1, 2, 2), np.uint8)}, {"probabilities": True})
    shares = softmax(LOGITS.astype(float), axis=1)
    assert [each["class"] for each in found] == ["dog", "cat"]
    assert list(found[0]["probabilities"]) == ["dog", "cow", "cat"]
    assert found[0]["probabilities"] == pytest.approx({"cat": shares[0, 0], "dog": shares[0, 1], "cow": shares[0, 2]})
    assert found[1]["probabilities"]["dog"] == pytest.approx(0, abs=1e-12)
    assert [each["changed"] for each in found] == ["", ""]


def test_images_of_another_size_are_fitted_and_told(predictor, network, monkeypatch):
    told: list[str] = []
    # Not caplog: libraries that other tests use set up logging for the whole process, and silence it.
    logger = logging.getLogger(Predictor.__module__)
    monkeypatch.setattr(logger, "warning", lambda text, *values: told.append(text % values))
    [found] = predictor.predict(np.full((5, 2, 3), 7, np.uint8), {"probabilities": True})
    assert found["changed"] == "5x2 to 2x2, padded with white, colour to grey"
    assert network.pixels.tolist() == [[[[7, 255], [7, 255]]]]
    assert told == ["images were changed to what the network takes: " + found["changed"]]


def test_what_is_no_image_is_an_invalid_parameter(predictor):
    with pytest.raises(MlflowException, match="images must hold numbers") as refused:
        predictor.predict(np.full((2, 2), "1"))
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
