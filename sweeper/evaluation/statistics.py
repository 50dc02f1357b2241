"""The uncertainty of metrics and their differences: confidence intervals, tests, detectable differences."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats


def wilson(n_correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) score interval for the accuracy of one fixed network with `n_correct` of `n` images right.

    Both ends are shares of 1. The interval covers the sampling of the images only: neither the seed nor the choice of
    this network by its score on the same images. Raises ValueError unless 0 <= n_correct <= n, n > 0, 0 < level < 1.
    """
    _check_level(level)
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"n_correct must be in [0, n] with n > 0, got {n_correct} of {n}")
    interval = stats.binomtest(n_correct, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Estimate:
    """A metric over seeds and images, with its uncertainty, in the metric's unit.

    `standard_error` and `degrees_of_freedom` are None with one seed or without any variation. What follows from them
    is then None too. The methods raise ValueError for a level outside (0, 1).
    """

    value: float
    standard_error: float | None
    degrees_of_freedom: float | None

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """The t interval, value -+ t standard errors; not clipped: near 0 or 1 it can leave the possible range."""
        _check_level(level)
        if self.standard_error is None or self.degrees_of_freedom is None:
            return None
        margin = float(stats.t.isf((1 - level) / 2, self.degrees_of_freedom)) * self.standard_error
        return self.value - margin, self.value + margin

    def p_value(self) -> float | None:
        """The p-value of the two-sided t test that the true difference is 0. `interval` inverts the same test."""
        if self.standard_error is None or self.degrees_of_freedom is None:
            return None
        return float(2 * stats.t.sf(abs(self.value) / self.standard_error, self.degrees_of_freedom))

    def detectable(self, level: float = 0.95, power: float = 0.8) -> float | None:
        """The smallest true distance from 0 that a two-sided t test at 1 - level detects with probability `power`.

        Assumes that the next experiment has this standard error and these degrees of freedom. The test statistic has
        a noncentral t distribution (e.g. Cohen 1988, Statistical Power Analysis, section 12.7).
        Raises ValueError for a power outside (1 - level, 1): with no true difference the power is 1 - level already.
        """
        _check_power(level, power)
        if self.standard_error is None or self.degrees_of_freedom is None:
            return None
        return _noncentrality(level, power, self.degrees_of_freedom) * self.standard_error


def over_seeds_and_images(values: npt.ArrayLike) -> Estimate:
    """Estimates the mean of `values`, shape (n_images, n_seeds), for other images and other seeds.

    `values` are 0 and 1 (wrong and right) for the accuracy of one configuration, or -1, 0 and 1 for the difference of
    two; the losses of the images, or their differences, are real numbers. Each column is one trained network, each row
    one image that all networks classified.

    The variance of a mean over n images and S seeds is that of Gallas, Pennello & Myers, whose readers are seeds here
    and whose cases are images: "Multireader multicase variance analysis for binary data", J. Opt. Soc. Am. A 24 (2007)
    B70. It uses moment estimates of a two-way random-effects analysis of variance without replication, which no
    distribution of the values is needed for, with Satterthwaite's (1946) degrees of freedom nu. From the mean squares
    of images, seeds and residual:

        V = max(MS_I + MS_S - MS_E, MS_I) / (n S)
        nu = (n S V)^2 / (MS_I^2 / (n - 1) + MS_S^2 / (S - 1) + MS_E^2 / ((n - 1) (S - 1)))

    The max counts a negative estimate of the variance between seeds as 0. With one seed or V = 0 there is no
    standard error: neither shows how much other seeds or images would differ.
    Raises ValueError for a shape other than (at least 2, at least 1) and for values that are not finite.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise ValueError(
            f"values must have shape (n_images, n_seeds) with at least 2 images and 1 seed, got {array.shape}"
        )
    other = np.argwhere(~np.isfinite(array))
    if other.size:
        image, seed = other[0]
        raise ValueError(f"values must be finite, got {array[image, seed]} (image {image}, seed {seed})")
    n, n_seeds = array.shape
    if n_seeds == 1:
        return Estimate(float(array.mean()), None, None)
    # Whole numbers are summed as Python's integers: their sums are exact, so that a lack of variation gives exactly 0.
    # Real ones are taken from the first of them, which gives exactly 0 where all are equal.
    whole = array.dtype.kind in "biu"
    first = 0 if whole else float(array[0, 0])
    kind, exact = (np.int64, int) if whole else (np.float64, float)
    shifted = array.astype(kind) - kind(first)
    total = exact(shifted.sum())
    value = first + total / (n * n_seeds)

    # Sums of squares times n S.
    squared_total = total**2
    images = n * exact((shifted.sum(axis=1) ** 2).sum())
    seeds = n_seeds * exact((shifted.sum(axis=0) ** 2).sum())
    cells = n * n_seeds * exact((shifted**2).sum())
    ms_images = (images - squared_total) / (n * n_seeds * (n - 1))
    ms_seeds = (seeds - squared_total) / (n * n_seeds * (n_seeds - 1))
    ms_residual = (cells - images - seeds + squared_total) / (n * n_seeds * (n - 1) * (n_seeds - 1))
    return from_mean_squares(value, ms_images, ms_seeds, ms_residual, (n, n_seeds))


def from_mean_squares(value: float, images: float, seeds: float, residual: float, shape: tuple[int, int]) -> Estimate:
    """The estimate from the mean squares of images, seeds and residual, as in `over_seeds_and_images`.

    `shape` is (n_images, n_seeds), with at least 2 seeds.
    """
    n, n_seeds = shape
    scaled_variance = max(images + seeds - residual, images)
    if scaled_variance <= 0:
        return Estimate(value, None, None)
    degrees_of_freedom = scaled_variance**2 / (
        images**2 / (n - 1) + seeds**2 / (n_seeds - 1) + residual**2 / ((n - 1) * (n_seeds - 1))
    )
    return Estimate(value, math.sqrt(scaled_variance / (n * n_seeds)), degrees_of_freedom)


def over_images(values: npt.ArrayLike) -> Estimate:
    """Estimates the mean of `values`, shape (n_images,), of fixed networks for other images: the t interval of a mean.

    Without variation there is no standard error. Raises ValueError for fewer than 2 images.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"values must have shape (n_images,) with at least 2 images, got {array.shape}")
    standard_error = float((array - array[0]).std(ddof=1)) / math.sqrt(len(array))
    return Estimate(float(array.mean()), *((standard_error, len(array) - 1.0) if standard_error else (None, None)))


@dataclass(frozen=True)
class PairedTest:
    """Two fixed networks on the same `n` images: only the first is right on `b` of them, only the second on `c`.

    The test covers the sampling of the images, not the seeds. Raises ValueError for counts that do not fit together.
    """

    b: int
    c: int
    n: int

    def __post_init__(self) -> None:
        if min(self.b, self.c) < 0 or self.b + self.c > self.n or self.n == 0:
            raise ValueError(f"b and c must be >= 0 with b + c <= n and n > 0, got b {self.b}, c {self.c}, n {self.n}")

    @property
    def difference(self) -> float:
        """The accuracy of the first network minus that of the second, a share of 1."""
        return (self.b - self.c) / self.n

    def p_value(self) -> float:
        """McNemar's two-sided mid-p: the probability of more extreme counts, plus half that of equally extreme ones.

        Fagerland, Lydersen & Laake, "The McNemar test for binary matched-pairs data", BMC Med. Res. Methodol. 13
        (2013) 91. It is 1 where the networks are right on the same images. `interval` inverts another test of the same
        hypothesis, so the two can disagree near the border of significance.
        """
        n_discordant = self.b + self.c
        if n_discordant == 0:
            return 1.0
        fewer = min(self.b, self.c)
        observed = stats.binom.pmf(fewer, n_discordant, 0.5)
        if self.b == self.c:
            return float(1 - observed / 2)
        return float(2 * stats.binom.cdf(fewer, n_discordant, 0.5) - observed)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Tango's paired score interval for the true difference, within [-1, 1].

        "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
        Stat. Med. 17 (1998) 891: its ends are the solutions d of (b - c - n d)^2 = z^2 n (2 q + d (1 - d)), where q is
        the maximum-likelihood probability, given d, that only the second network is right on an image.
        Raises ValueError for a level outside (0, 1).
        """
        _check_level(level)
        z = float(stats.norm.isf((1 - level) / 2))
        swapped = PairedTest(self.c, self.b, self.n)
        return -swapped._upper_limit(z), self._upper_limit(z)

    def _upper_limit(self, z: float) -> float:
        """The root of Tango's equation above the observed difference."""
        if self.b == self.n:
            return 1.0
        # Where the variance is 0, the observed difference is a root too: the root above it is given in closed form.
        if self.c == self.n:
            return -(self.n - z**2) / (self.n + z**2)
        if self.b + self.c == 0:
            return z**2 / (self.n + z**2)

        def excess(d: float) -> float:
            return (self.b - self.c - self.n * d) ** 2 - z**2 * self._variance(d)

        return float(optimize.brentq(excess, self.difference, 1.0, xtol=1e-14))

    def _variance(self, d: float) -> float:
        """The variance of b - c at a true difference `d`; q is the larger root of 2 n q^2 + linear q + constant."""
        linear = (2 * self.n - self.b + self.c) * d - self.b - self.c
        constant = -self.c * d * (1 - d)
        q = (math.sqrt(max(linear**2 - 8 * self.n * constant, 0.0)) - linear) / (4 * self.n)
        return self.n * (2 * q + d * (1 - d))

    def detectable(self, level: float = 0.95, power: float = 0.8) -> float | None:
        """The smallest true difference that McNemar's test at 1 - level detects in n images with probability `power`.

        Solves Connor's n d^2 = (z_level sqrt(p) + z_power sqrt(p - d^2))^2 ("Sample size for testing differences in
        proportions for the paired-sample design", Biometrics 43 (1987) 207) for d, with p the observed share of
        images that only one network has right. None where p is 0, or where not even d = p is enough.
        Raises ValueError for a power outside (1 - level, 1).
        """
        _check_power(level, power)
        share = (self.b + self.c) / self.n
        z_level, z_power = float(stats.norm.isf((1 - level) / 2)), float(stats.norm.ppf(power))

        def excess(d: float) -> float:
            return math.sqrt(self.n) * d - z_level * math.sqrt(share) - z_power * math.sqrt(share - d**2)

        if share == 0 or excess(share) < 0:
            return None
        return float(optimize.brentq(excess, 0.0, share, xtol=1e-14))


def paired(first_correct: npt.ArrayLike, second_correct: npt.ArrayLike) -> PairedTest:
    """Counts the images on which only one of two networks is right, from boolean arrays (n,) in the same order.

    Raises ValueError for other types, for other or unequal shapes, and for no images.
    """
    first, second = np.asarray(first_correct), np.asarray(second_correct)
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise ValueError(f"both must have the same shape (n,) with n > 0, got {first.shape} and {second.shape}")
    # Predicted classes in place of right and wrong would silently give wrong counts.
    if first.dtype != np.bool_ or second.dtype != np.bool_:
        raise ValueError(f"both must be boolean, got {first.dtype} and {second.dtype}")
    return PairedTest(int((first & ~second).sum()), int((~first & second).sum()), first.size)


def _noncentrality(level: float, power: float, degrees_of_freedom: float) -> float:
    """The noncentrality at which a two-sided t test at 1 - level has this power."""
    critical = float(stats.t.isf((1 - level) / 2, degrees_of_freedom))
    # Where few degrees of freedom push the critical value this far out, only the chi distribution of the standard error
    # matters (relative error about 1 / critical), and scipy's noncentral distributions break down.
    if critical > 1e4:
        return critical * math.sqrt(stats.chi2.ppf(power, degrees_of_freedom) / degrees_of_freedom)
    # An upper bound: at it, numerator and denominator each are extreme enough with probability sqrt(power).
    half = math.sqrt(power)
    upper = critical * math.sqrt(stats.chi2.ppf(half, degrees_of_freedom) / degrees_of_freedom) + stats.norm.ppf(half)

    def excess(noncentrality: float) -> float:
        # The square of a noncentral t is a noncentral F, which covers both tails; scipy's nct has gaps (NaN) at small
        # degrees of freedom.
        return float(stats.ncf.sf(critical**2, 1, degrees_of_freedom, noncentrality**2)) - power

    return float(optimize.brentq(excess, 0.0, upper))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")


def _check_power(level: float, power: float) -> None:
    _check_level(level)
    if not 1 - level < power < 1:
        raise ValueError(f"power must be in (1 - level, 1), got {power} at level {level}")
