"""What a trained network makes of images: their most probable classes, of files as its training images were read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from sweeper.analysis import file_batches
from sweeper.analysis.file_batches import ReadImage, Unreadable
from sweeper.analysis.images import value_range_of
from sweeper.analysis.network import TrainedNetwork
from sweeper.errors import UsageError
from sweeper.images.alpha import BACKGROUNDS
from sweeper.images.pixels import Pixels
from sweeper.models.predictor import BATCH, logits_of
from sweeper.store.layout import Store


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image, the most probable one first, with their probabilities.

    `file` is as it was given, None for an image of an array. `changed` says how the image had to be changed, as in
    "480x640 to 28x28, colour to grey"; it is empty if it was what the network takes.
    """

    file: str | None
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    changed: str


def predict_files(
    store: Store,
    network: TrainedNetwork,
    paths: Sequence[Path | str],
    *,
    top: int = 3,
    batch_size: int = BATCH,
    max_pixels: int | None = None,
    notify: Callable[[str], None] = lambda note: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Prediction | Unreadable]:
    """The predictions for files, and for all images in folders and below, in their order.

    `batch_size` files are read and predicted at a time. `max_pixels` is the most pixels that one may have, None for
    what nearly all photographs have. `notify` is told what is worth knowing about all of them, and `progress` how many
    files are done, of how many. Raises UsageError if there is no path.
    """
    files = file_batches.listed(paths)
    if not files:
        raise UsageError("there must be at least one file or folder of images, got none")
    if network.preprocessing_from == "nothing":
        made = network.preprocessing
        notify(
            f"{network.name} was trained by an older sweeper, which did not record how its images were read: these are "
            f"fitted by {made.fit} on {made.background}"
        )
    n_done = 0
    for batch in file_batches.batches(files, network, lambda: value_range_of(store, network), batch_size, max_pixels):
        yield from _predictions(network, batch, top)
        n_done += len(batch)
        progress(n_done, len(files))


def predict_images(network: TrainedNetwork, images: Any, *, top: int = 3) -> list[Prediction]:
    """The predictions for one image or for several of one size, in arrays as `probabilities` takes them."""
    pixels, changed = _pixels(network, images)
    return [prediction(network, row, top, None, changed) for row in _probabilities(network, pixels)]


def probabilities(network: TrainedNetwork, images: Any) -> NDArray[np.float32]:
    """The probabilities (n, classes) of one image or of n, of any size, as a registered model takes them.

    Raises UsageError for what is no image.
    """
    return _probabilities(network, _pixels(network, images)[0]).astype(np.float32)


def _pixels(network: TrainedNetwork, images: Any) -> tuple[NDArray[np.uint8], str]:
    """The pixels of images in an array, and how they were changed. Raises UsageError for what is no image."""
    made, known = network.preprocessing, network.preprocessing.value_range
    limits = None if known is None else [known.low, known.high]
    pixels = Pixels(list(network.input_shape), BACKGROUNDS[made.background], limits, made.scales_bytes, made.fit)
    try:
        return pixels.converted(images)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _predictions(
    network: TrainedNetwork, batch: Sequence[ReadImage | Unreadable], top: int
) -> Iterator[Prediction | Unreadable]:
    images = [read.pixels for read in batch if isinstance(read, ReadImage)]
    found = iter(_probabilities(network, np.stack(images))) if images else iter(())
    for read in batch:
        if isinstance(read, Unreadable):
            yield read
        else:
            yield prediction(network, next(found), top, read.file, read.changed)


def prediction(
    network: TrainedNetwork, probabilities: NDArray[np.floating[Any]], top: int, file: str | None, changed: str
) -> Prediction:
    """The prediction of an image from the probabilities (classes,) of all classes."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return Prediction(
        file=file,
        classes=tuple(network.classes[place] for place in order),
        probabilities=tuple(float(probabilities[place]) for place in order),
        changed=changed,
    )


def _probabilities(network: TrainedNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The probabilities (n, classes) of pixels (n, channels, height, width)."""
    found: NDArray[np.float64] = softmax(
        logits_of(network.network, pixels, torch.device("cpu")).astype(np.float64), axis=1
    )
    return found
