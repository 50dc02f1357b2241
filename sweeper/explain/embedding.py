"""A map of many-dimensional points in the plane, by t-SNE, and the draw of images for it."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import resample

# van der Maaten & Hinton, "Visualizing Data using t-SNE", J. Mach. Learn. Res. 9 (2008) 2579: the result is robust for
# a perplexity between 5 and 50, and wide data are reduced by PCA first, there to 30 dimensions.
PERPLEXITY = 30.0
MOST_DIMENSIONS = 50
# With fewer images there are no neighbourhoods to keep.
LEAST = 5


def drawn(labels: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """The positions of `n` images, each class in proportion, in order; all of them if there are no more than `n`.

    The labels are (n_images,).
    """
    if n >= len(labels):
        return np.arange(len(labels))
    chosen = resample(np.arange(len(labels)), replace=False, n_samples=n, stratify=labels, random_state=seed)
    return np.sort(chosen)


def perplexity_for(n: int) -> float:
    """The perplexity for `n` points: 30, but at most a third of the other points, so that there are strangers too."""
    return min(PERPLEXITY, (n - 1) / 3)


def tsne(points: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """The points (n, width) as (n, 2), so that neighbours stay neighbours; distances between groups mean little.

    t-SNE (van der Maaten & Hinton 2008) with Barnes and Hut's approximation, started from the first two principal
    components (Kobak & Berens, "The art of using t-SNE for single-cell transcriptomics", Nat. Commun. 10 (2019) 5416),
    with `perplexity_for` the number of points. Takes up to a minute for 2,000 points. The same seed gives the same
    map on the same machine. Raises ValueError for fewer than LEAST points and for values that are not finite.
    """
    n, width = points.shape
    if n < LEAST:
        raise ValueError(f"an embedding needs at least {LEAST} images, got {n}")
    if not np.isfinite(points).all():
        raise ValueError("the last hidden layer gives values that are not finite")
    # A constant network has no principal components: their scale is 0.
    spread = points.std(axis=0)
    if not spread.any():
        raise ValueError("the last hidden layer gives the same values for all images")
    if width > MOST_DIMENSIONS < n:
        points = PCA(MOST_DIMENSIONS, random_state=seed).fit_transform(points)
    start = "pca" if np.count_nonzero(spread) > 1 else "random"
    found: NDArray[np.float32] = TSNE(perplexity=perplexity_for(n), init=start, random_state=seed).fit_transform(points)
    return found
