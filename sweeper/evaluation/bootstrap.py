"""The uncertainty of macro F1 and balanced accuracy over images and seeds, by a bootstrap over the images."""

import numpy as np
import numpy.typing as npt

from sweeper.evaluation import metrics
from sweeper.evaluation.statistics import Estimate, from_mean_squares

# The Monte Carlo error of a standard error is about 1 / sqrt(2 B) of it: 1.6 %. Efron & Tibshirani, An Introduction to
# the Bootstrap (1993), section 6.4, find 200 enough for a standard error.
RESAMPLES = 2000
# A fixed seed: the same predictions give the same interval, in a repeated command too.
SEED = 0
METRICS = {"macro_f1": metrics.macro_f1, "balanced_accuracy": metrics.balanced_accuracy}
Indices = npt.NDArray[np.int64]


def over_seeds_and_images(
    metric: str, labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int, minus: npt.ArrayLike | None = None
) -> Estimate:
    """Estimates a metric's mean over seeds for other images and other seeds; less that of `minus`, if given.

    `metric` is a key of METRICS. `labels` (n_images,), `predictions` and `minus` (n_images, n_seeds) are class indices;
    a seed's difference is that of the two columns.

    These metrics are no means over images, so the analysis of variance of `statistics.over_seeds_and_images` does not
    apply as it stands. Its mean squares of images and residual come from a bootstrap instead, and that of seeds from
    the seeds' own metrics, because resampling a few seeds shows nothing more. With C the covariance matrix over
    resamples of the S seeds' metrics, all n images resampled together for all seeds:

        MS_I = n * sum(C) / S        MS_E = n * (mean of C's diagonal - mean of C off the diagonal)
        MS_S = n * variance of the S metrics

    For the accuracy these are the mean squares of the analysis of variance. The images are resampled class by class,
    because parts of the data are cut class by class: n_c - 1 of the n_c images of a class, each with the weight
    n_c / (n_c - 1), which gives variances without bias also for small classes (Rao & Wu, "Resampling inference with
    complex survey data", J. Am. Stat. Assoc. 83 (1988) 231). A class's only image does not vary.
    With one seed, or without variation, there is no standard error. Raises ValueError as `metrics.macro_f1` does.
    """
    labels, networks = np.asarray(labels), _side_by_side(predictions, minus)
    n, n_seeds = np.shape(predictions)
    seeds = _less(n_seeds, _scores(metric, labels, networks, n_classes))
    if n_seeds == 1:
        return Estimate(float(seeds.mean()), None, None)
    resampled = _less(n_seeds, _resampled(metric, labels, networks, n_classes))
    covariance = np.cov((resampled - resampled[0]).T)  # exactly 0 where all resamples are equal
    own = float(np.trace(covariance)) / n_seeds
    shared = (float(covariance.sum()) - n_seeds * own) / (n_seeds * (n_seeds - 1))
    ms_images = n * float(covariance.sum()) / n_seeds
    ms_seeds = n * float((seeds - seeds[0]).var(ddof=1))
    return from_mean_squares(float(seeds.mean()), ms_images, ms_seeds, n * (own - shared), (n, n_seeds))


def over_images(
    metric: str, labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int, minus: npt.ArrayLike | None = None
) -> Estimate:
    """Estimates the metric of one fixed network, less that of another, for other images; all arrays are (n_images,).

    Resamples the images as `over_seeds_and_images` does. Raises ValueError as `metrics.macro_f1` does.
    """
    labels = np.asarray(labels)
    networks = _side_by_side(np.reshape(predictions, (-1, 1)), None if minus is None else np.reshape(minus, (-1, 1)))
    value = float(_less(1, _scores(metric, labels, networks, n_classes))[0])
    resampled = _less(1, _resampled(metric, labels, networks, n_classes))
    standard_error = float((resampled - resampled[0]).std(ddof=1))
    if not standard_error:
        return Estimate(value, None, None)
    return Estimate(value, standard_error, float(len(labels) - len(np.unique(labels))))


def _side_by_side(predictions: npt.ArrayLike, minus: npt.ArrayLike | None) -> Indices:
    """The predictions of all networks, a column for each."""
    return np.concatenate([np.asarray(group) for group in (predictions, minus) if group is not None], axis=1)


def _less(n_seeds: int, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The metrics (..., n_seeds) of the first networks, less those of the others, if there are others."""
    if scores.shape[-1] == n_seeds:
        return scores
    return scores[..., :n_seeds] - scores[..., n_seeds:]


def _scores(metric: str, labels: Indices, networks: Indices, n_classes: int) -> npt.NDArray[np.float64]:
    """The metric of each network."""
    return np.array([METRICS[metric](labels, predicted, n_classes) for predicted in networks.T])


def _resampled(metric: str, labels: Indices, networks: Indices, n_classes: int) -> npt.NDArray[np.float64]:
    """The metric of each network on each resample of the images, shape (RESAMPLES, networks)."""
    generator = np.random.default_rng(SEED)
    shape = (RESAMPLES, networks.shape[1], n_classes)
    right, predicted, present = np.zeros(shape), np.zeros(shape), np.zeros(n_classes)
    for label in np.unique(labels):
        # Images that all networks take for the same classes need not be told apart.
        patterns, counts = np.unique(networks[labels == label], axis=0, return_counts=True)
        n = present[label] = counts.sum()
        drawn, weight = np.ones((1, 1)), 1.0
        if n > 1:
            drawn, weight = generator.multinomial(n - 1, counts / n, size=RESAMPLES).astype(np.float64), n / (n - 1)
        # Counts are summed before they are weighted: equal counts give equal values, to the last bit.
        for network, taken_for in enumerate(patterns.T):
            predicted[:, network] += weight * (drawn @ (taken_for[:, None] == np.arange(n_classes)))
            right[:, network, label] = weight * (drawn @ (taken_for == label))
    if metric == "balanced_accuracy":
        return (right[:, :, present > 0] / present[present > 0]).mean(axis=2)
    total = present + predicted
    f1 = np.divide(2 * right, total, out=np.zeros(shape), where=total > 0)
    return f1.sum(axis=2) / (total > 0).sum(axis=2)
