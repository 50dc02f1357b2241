"""The images that a network gets most wrong, and the classes that it holds for most probable."""

import numpy as np
from numpy.typing import NDArray


def most_wrong(labels: NDArray[np.int64], log_probabilities: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """The positions of at most `k` images that the network gets wrong, those of the highest loss first.

    `labels` are (n,), `log_probabilities` (n, classes). The loss is -ln p(true class); of equal ones, the earlier image
    comes first.
    """
    losses = -log_probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(log_probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-losses[wrong], kind="stable")[:k]]


def most_probable(
    log_probabilities: NDArray[np.float64], k: int, labels: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `k` most probable classes of each image, most probable first, and their probabilities, both (n, k).

    With the `labels` (n,), a true class that is not among them takes the last place. There are fewer than `k` if the
    network has fewer classes.
    """
    order = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :k]
    if labels is not None:
        missing = (order != labels[:, None]).all(axis=1)
        order[missing, -1] = labels[missing]
    return order, np.exp(np.take_along_axis(log_probabilities, order, axis=1))
