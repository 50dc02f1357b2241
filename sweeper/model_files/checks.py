"""Checks what a network's file predicts against what the network itself does, on the same images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError, first_line, shortened

# Raw images uint8 (n, channels, height, width) in, logits float32 (n, classes) out.
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# A file with a fixed batch size takes many images, or one, but not all of these.
BATCHES = (1, 3)
# Of the largest logit. Other programs sum in another order, which changes a deep network's logits by a hundredth of
# this; a forgotten operation changes them by far more, and need not change a decision.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Check:
    """A file that passed: the images, the sizes of the batches, and the largest difference of a logit."""

    n_images: int
    batches: tuple[int, ...]
    max_difference: float


def check(predict: Predict, expected: NDArray[np.float32], images: NDArray[np.uint8]) -> Check:
    """Compares a file's logits with the `expected` ones (n, classes), one image, a few, and all at once.

    Raises SweeperError if a decision differs, or a logit by more than TOLERANCE, or the file cannot take a batch.
    """
    sizes = tuple(sorted({*(size for size in BATCHES if size < len(images)), len(images)}))
    largest = 0.0
    for size in sizes:
        try:
            found = predict(images[:size])
        except Exception as error:  # onnxruntime's errors have no class of their own
            reason = shortened(first_line(error))
            raise SweeperError(f"the exported file cannot take a batch of {size}: {reason}") from error
        wanted = expected[:size]
        if found.shape != wanted.shape:
            raise SweeperError(f"the exported file must give {wanted.shape} for a batch of {size}, got {found.shape}")
        difference = float(np.abs(found - wanted).max())
        largest = max(largest, difference)
        if n_other := int((found.argmax(1) != wanted.argmax(1)).sum()):
            raise SweeperError(
                f"the exported file decides otherwise than the network on {n_other} of {size} images (the largest "
                f"difference of a logit is {difference:.2g}), so it is not written"
            )
        most = float(np.abs(wanted).max())
        # Written so that it also refuses what is not a number.
        if not difference <= TOLERANCE * max(1.0, most):
            raise SweeperError(
                f"the exported file must give the network's logits up to {TOLERANCE:g} of the largest ({most:.3g}), "
                f"got a difference of {difference:.2g}, so it is not written"
            )
    return Check(len(images), sizes, largest)
