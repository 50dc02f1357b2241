"""Loads a registered model for MLflow: images of any size in, logits or the names of classes out.

A copy of this file and of the modules that it needs is part of every registered model, so that MLflow can load it
without sweeper: import nothing of sweeper here but them, and these by their relative names.
"""

import json
import logging
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from ..images.pixels import Pixels

# The files beside the network: the arguments of Pixels, and the names of the classes.
PIXELS, CLASSES = "pixels.json", "classes.json"
# The parameter of `predict` with which it answers in words.
PROBABILITIES = "probabilities"


class Predictor:
    """MLflow's own loaded network, given the pixels that it takes; `classes` names what its logits stand for."""

    def __init__(self, network: Any, pixels: Pixels, classes: list[str]) -> None:
        self.network, self.pixels, self.classes = network, pixels, classes

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> NDArray[np.float32] | list[dict[str, Any]]:
        """The logits (n, classes) of the images. Raises MlflowException for what is no image.

        With the parameter `probabilities`, of each image its class, the probabilities of all classes by their names,
        the largest first, and how the image had to be changed.
        """
        if isinstance(data, dict) and len(data) != 1:
            raise _refusal(f"images must be one array, got {len(data)} named ones")
        [images] = data.values() if isinstance(data, dict) else [data]
        try:
            pixels, changed = self.pixels.converted(images)
        except ValueError as error:
            raise _refusal(str(error)) from error
        if changed:
            logging.getLogger(__name__).warning("images were changed to what the network takes: %s", changed)
        logits: NDArray[np.float32] = self.network.predict(pixels)
        if not (params or {}).get(PROBABILITIES):
            return logits
        return [{**self._in_words(row), "changed": changed} for row in _softmax(logits)]

    def get_raw_model(self) -> Any:
        """The network as a torch module of pixels, for MLflow's method of this name.

        An exported program is always in evaluation mode, and torch has its `eval` refuse: this one changes nothing.
        """
        program = self.network.get_raw_model()
        program.eval = lambda: program
        return program

    def _in_words(self, probabilities: NDArray[np.float64]) -> dict[str, Any]:
        order = np.argsort(-probabilities, kind="stable")
        named = {self.classes[place]: float(probabilities[place]) for place in order}
        return {"class": self.classes[order[0]], "probabilities": named}


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Predictor:
    """MLflow calls this by its name."""
    form, classes = (json.loads(Path(path, name).read_text(encoding="utf-8")) for name in (PIXELS, CLASSES))
    return Predictor(mlflow.pytorch._load_pyfunc(path, model_config), Pixels(**form), classes)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _refusal(message: str) -> MlflowException:
    found: MlflowException = MlflowException.invalid_parameter_value(message)
    return found
