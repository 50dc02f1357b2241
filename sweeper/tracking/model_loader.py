"""Loads a registered model for MLflow, and makes of the images that it is given what its network was trained on.

A copy of this file is part of every registered model, so that MLflow can load it without sweeper: import nothing of
sweeper here.
"""

import json
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

# The file beside the network with the arguments of Pixels.
PIXELS = "pixels.json"
# How many channels an image may have: grey or colour, each without and with opacity.
CHANNELS = (1, 2, 3, 4)
# The largest opacity that an array of this type can hold.
OPAQUE = {"uint8": 255, "uint16": 65_535}


class Pixels:
    """What the network takes: pixels uint8 (n, *shape), where `shape` is (channels, height, width).

    `background` is the value of white or black behind transparent pixels. `value_range` has the stored values that
    became 0 and 255 for training, or is None if the training images were stored as pixels. `scales_bytes` says that
    bytes were among the values that training scaled.
    """

    def __init__(
        self, shape: list[int], background: int, value_range: list[float] | None, scales_bytes: bool = False
    ) -> None:
        self.channels, self.size = shape[0], tuple(shape[1:])
        self.background, self.value_range, self.scales_bytes = background, value_range, scales_bytes

    def of(self, images: Any) -> NDArray[np.uint8]:
        """The pixels (n, channels, height, width) of one or more images. Raises MlflowException for what is no image.

        The images are grey or of three channels, which come before or after height and width, perhaps with opacity.
        Values are scaled as those of the training images were. Bytes are pixels unless training scaled bytes.
        """
        values = self._batch(_array(images))
        if values.dtype == np.uint8 and values.shape[1] == self.channels and not self.scales_bytes:
            # A copy if it must be, because torch warns of arrays that cannot be written to, as Pillow gives them.
            return np.require(values, requirements=["C", "W"])
        opacity = self._opacity(values)
        if opacity is not None:
            values = values[:, :-1]
        pixels: NDArray[Any] = self._bytes(values).astype(np.uint32)
        if opacity is not None:
            pixels = (pixels * opacity + self.background * (255 - opacity) + 127) // 255
        if self.channels == 1 and pixels.shape[1] == 3:
            # The weights of ITU-R 601-2, as Pillow rounds them.
            red, green, blue = pixels[:, 0:1], pixels[:, 1:2], pixels[:, 2:3]
            pixels = (red * 19_595 + green * 38_470 + blue * 7_471 + 32_768) >> 16
        return np.ascontiguousarray(np.broadcast_to(pixels, (len(pixels), self.channels, *self.size)), np.uint8)

    def _batch(self, values: NDArray[Any]) -> NDArray[Any]:
        """The images as (n, channels, height, width), with the channels that they have."""
        shape = values.shape
        if values.ndim == 2:
            values = values[None, None]
        elif values.ndim == 3 and shape[1:] == self.size:
            if shape[0] in CHANNELS[1:] and shape[0] != self.channels:
                raise _refusal(
                    f"an array of shape {shape} may be one image or {shape[0]} grey ones: add the dimension of the "
                    "channels or of the images"
                )
            values = values[None] if shape[0] in CHANNELS else values[:, None]
        elif values.ndim == 3:
            values = values[None]
        if values.ndim == 4:
            if values.shape[2:] == self.size and values.shape[1] in CHANNELS:
                return values
            if values.shape[1:3] == self.size and values.shape[3] in CHANNELS:
                return values.transpose(0, 3, 1, 2)
        height, width = self.size
        raise _refusal(
            f"images must be {height} high and {width} wide, of 1 or {self.channels if self.channels > 1 else 3} "
            f"channels, got an array of shape {shape}: resize them as the training images were"
        )

    def _opacity(self, values: NDArray[Any]) -> NDArray[np.uint32] | None:
        """The opacity (n, 1, height, width) from 0 to 255, if the images have one."""
        if values.shape[1] in (1, 3):
            return None
        if values.dtype.kind not in "iu":
            raise _refusal(f"images with transparency must be of type uint8 or uint16, got {values.dtype}")
        # Whole numbers of JSON have no type: theirs is that of the training images.
        deep = self.value_range is not None and not self.scales_bytes
        opaque = OPAQUE.get(values.dtype.name, OPAQUE["uint16" if deep else "uint8"])
        found = values[:, -1:]
        if found.size and (found.min() < 0 or found.max() > opaque):
            raise _refusal(f"opacity must be from 0 to {opaque}, got {found.min()} to {found.max()}")
        return np.rint(found / (opaque / 255)).astype(np.uint32)

    def _bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8 and not self.scales_bytes:
            return values
        if values.dtype.kind not in "biuf":
            raise _refusal(f"images must hold numbers, got {values.dtype}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise _refusal("images must hold finite numbers, got some that are infinite or not a number")
        if self.value_range is not None:
            low, high = self.value_range
            # In the order in which training did it: another one rounds some values otherwise.
            return np.rint((values.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)
        if values.dtype == np.bool_:
            return values.astype(np.uint8) * np.uint8(255)
        if values.size and (values.dtype.kind == "f" or values.min() < 0 or values.max() > 255):
            raise _refusal(
                f"pixels must be whole numbers from 0 to 255, as those of the training images, got {values.dtype} from "
                f"{values.min():g} to {values.max():g}"
            )
        return values.astype(np.uint8)


class Predictor:
    """MLflow's own loaded network, given the pixels that it takes."""

    def __init__(self, network: Any, pixels: Pixels) -> None:
        self.network, self.pixels = network, pixels

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> NDArray[np.float32]:
        """The logits (n, classes) of the images. Raises MlflowException for what is no image."""
        if isinstance(data, dict) and len(data) != 1:
            raise _refusal(f"images must be one array, got {len(data)} named ones")
        [images] = data.values() if isinstance(data, dict) else [data]
        logits: NDArray[np.float32] = self.network.predict(self.pixels.of(images), params)
        return logits


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Predictor:
    """MLflow calls this by its name."""
    form = json.loads(Path(path, PIXELS).read_text(encoding="utf-8"))
    return Predictor(mlflow.pytorch._load_pyfunc(path, model_config), Pixels(**form))


def _array(images: Any) -> NDArray[Any]:
    try:
        values = np.asarray(images)
        # JSON comes as objects, for MLflow checks no type.
        return np.array(values.tolist()) if values.dtype == object else values
    except ValueError as error:
        raise _refusal("images must all have one shape") from error


def _refusal(message: str) -> MlflowException:
    found: MlflowException = MlflowException.invalid_parameter_value(message)
    return found
