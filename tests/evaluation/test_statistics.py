import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from sweeper.evaluation.statistics import Estimate, PairedTest, over_images, over_seeds_and_images, paired, wilson


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_worked_examples(n_correct, n, low, high):
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998) 857, table I.
    assert wilson(n_correct, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_ends_lie_z_null_standard_errors_from_the_share():
    for p in wilson(30, 40, level=0.9):
        assert abs(30 / 40 - p) / math.sqrt(p * (1 - p) / 40) == pytest.approx(stats.norm.ppf(0.95))


@pytest.mark.parametrize(("n_correct", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_wilson_refuses_impossible_counts(n_correct, n):
    with pytest.raises(ValueError, match=rf"n_correct must be in \[0, n\] with n > 0, got {n_correct} of {n}"):
        wilson(n_correct, n)


def test_a_t_interval_and_its_p_value_agree():
    estimate = Estimate(0.02, 0.01, 10.0)
    # Two-sided 5 % point of t with 10 degrees of freedom, from any table: 2.228.
    assert estimate.interval() == pytest.approx((0.02 - 0.02228, 0.02 + 0.02228), abs=1e-5)
    p = estimate.p_value()
    assert p == pytest.approx(0.0734, abs=5e-5)
    assert estimate.interval(1 - p) == pytest.approx((0.0, 0.04))
    assert Estimate(-0.02, 0.01, 10.0).p_value() == p


def test_without_a_standard_error_there_is_nothing_else():
    estimate = Estimate(0.9, None, None)
    assert (estimate.interval(), estimate.p_value(), estimate.detectable()) == (None, None, None)


def test_detectable_gives_the_tabulated_size_of_a_one_sample_t_test():
    # A standardised mean of 0.5 takes n = 33.36713 for a power of 0.8 (pwr.t.test of the R package pwr, 2020).
    n = 33.36713
    assert Estimate(0.0, 1 / math.sqrt(n), n - 1).detectable() == pytest.approx(0.5, rel=1e-6)


def test_detectable_with_many_degrees_of_freedom_is_the_sum_of_normal_quantiles():
    assert Estimate(0.3, 2.0, 1e6).detectable() == pytest.approx(2 * (1.959964 + 0.841621), rel=1e-5)


@pytest.mark.parametrize("degrees_of_freedom", [0.3, 0.5, 1, 1.4, 2, 2.7, 7, 60])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_detectable_has_the_power_that_integration_gives(degrees_of_freedom, level, power):
    detectable = Estimate(0.0, 1.0, degrees_of_freedom).detectable(level, power)
    critical = stats.t.isf((1 - level) / 2, degrees_of_freedom)

    def reached_at(z):
        # The standard error's chi-square must be small enough for (z + detectable) to pass the critical value.
        chi_square = degrees_of_freedom * ((z + detectable) / critical) ** 2
        return stats.norm.pdf(z) * stats.chi2.cdf(chi_square, degrees_of_freedom)

    assert integrate.quad(reached_at, -9, 9, limit=200)[0] == pytest.approx(power, abs=2e-5)


def test_detectable_refuses_a_power_that_chance_alone_has():
    for refusing in (Estimate(0.0, 1.0, 5.0), PairedTest(3, 4, 100)):
        with pytest.raises(ValueError, match=r"power must be in \(1 - level, 1\), got 0.05 at level 0.9"):
            refusing.detectable(0.9, 0.05)


@pytest.mark.parametrize("level", [0, 1, 95])
@pytest.mark.parametrize("interval", [lambda level: wilson(1, 2, level), Estimate(0, 1, 1).interval])
def test_a_level_that_is_no_share_is_refused(interval, level):
    with pytest.raises(ValueError, match=rf"level must be in \(0, 1\), got {level}"):
        interval(level)


def test_seeds_that_agree_on_every_image_leave_the_t_test_over_images():
    images = np.array([1, 1, -1, 0, 1, 0, 0, 1])
    estimate = over_seeds_and_images(np.repeat(images[:, None], 3, axis=1))
    expected = stats.ttest_1samp(images, 0)
    assert estimate.degrees_of_freedom == pytest.approx(7)
    assert estimate.p_value() == pytest.approx(expected.pvalue)
    assert estimate.interval(0.9) == pytest.approx(tuple(expected.confidence_interval(0.9)))


def test_images_that_all_say_the_same_leave_the_t_test_over_seeds():
    seeds = np.array([1, 0, 1, 1, -1])
    estimate = over_seeds_and_images(np.repeat(seeds[None], 7, axis=0))
    expected = stats.ttest_1samp(seeds, 0)
    assert estimate.degrees_of_freedom == pytest.approx(4)
    assert estimate.p_value() == pytest.approx(expected.pvalue)
    assert estimate.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))


def by_least_squares(values):
    """Mean squares of images, seeds and residual, as drops in the squared error of nested linear models."""
    n, n_seeds = values.shape
    image = np.eye(n)[np.repeat(np.arange(n), n_seeds)]
    seed = np.eye(n_seeds)[np.tile(np.arange(n_seeds), n)]

    def squared_error(*columns):
        design = np.column_stack([np.ones(n * n_seeds), *columns])
        return np.sum((values.ravel() - design @ np.linalg.lstsq(design, values.ravel())[0]) ** 2)

    residual = squared_error(image, seed)
    return (
        (squared_error(seed) - residual) / (n - 1),
        (squared_error(image) - residual) / (n_seeds - 1),
        residual / ((n - 1) * (n_seeds - 1)),
    )


@pytest.mark.parametrize("lowest", [0, -1])
def test_standard_error_and_degrees_of_freedom_follow_from_the_mean_squares_of_a_least_squares_fit(lowest):
    generator = np.random.default_rng(0)
    clipped = 0
    for _ in range(40):
        n, n_seeds = generator.integers(3, 9), generator.integers(2, 6)
        values = generator.integers(lowest, 2, size=(n, n_seeds))
        images, seeds, residual = by_least_squares(values)
        clipped += seeds < residual
        variance = max(images + seeds - residual, images) / (n * n_seeds)
        degrees_of_freedom = (n * n_seeds * variance) ** 2 / (
            images**2 / (n - 1) + seeds**2 / (n_seeds - 1) + residual**2 / ((n - 1) * (n_seeds - 1))
        )
        estimate = over_seeds_and_images(values)
        assert estimate.value == pytest.approx(values.mean())
        assert estimate.standard_error == pytest.approx(math.sqrt(variance))
        assert estimate.degrees_of_freedom == pytest.approx(degrees_of_freedom)
    assert 0 < clipped < 40


def test_less_variation_between_seeds_than_chance_gives_counts_as_none():
    # By hand: mean 7/10; MS_I = 0.15, MS_S = 0.1, MS_E = 0.35, so 0.15 + 0.1 - 0.35 would be negative.
    estimate = over_seeds_and_images([[1, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    assert estimate.value == 0.7
    assert estimate.standard_error == pytest.approx(math.sqrt(0.15 / 10))
    assert estimate.degrees_of_freedom == pytest.approx(0.15**2 / (0.15**2 / 4 + 0.1**2 + 0.35**2 / 4))


@pytest.mark.parametrize(
    "values",
    [
        [[1], [0], [1]],
        np.ones((5, 3), dtype=bool),
        -np.ones((5, 3)),
        # Every network has half right, and every image is right in half of them.
        [[1, 0], [0, 1]],
    ],
)
def test_one_seed_or_no_variation_gives_a_value_alone(values):
    estimate = over_seeds_and_images(values)
    assert estimate.value == pytest.approx(np.mean(values))
    assert (estimate.standard_error, estimate.degrees_of_freedom) == (None, None)


@pytest.mark.parametrize("shape", [(5,), (1, 3), (0, 3), (5, 0), (2, 2, 2)])
def test_arrays_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"at least 2 images and 1 seed, got \(" + str(shape)[1:-1]):
        over_seeds_and_images(np.zeros(shape))


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
def test_values_that_are_not_finite_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"values must be finite, got {wrong} \(image 1, seed 2\)"):
        over_seeds_and_images([[0, 1, 1], [0, 1, wrong]])


def test_losses_are_estimated_as_shares_are_and_in_any_unit():
    values = np.random.default_rng(3).integers(0, 2, size=(40, 3))
    whole, real = over_seeds_and_images(values), over_seeds_and_images(2.5 * values + 7.0)
    assert real.value == pytest.approx(2.5 * whole.value + 7.0)
    assert real.standard_error == pytest.approx(2.5 * whole.standard_error)
    assert real.degrees_of_freedom == pytest.approx(whole.degrees_of_freedom)


def test_equal_losses_give_a_value_alone():
    estimate = over_seeds_and_images(np.full((7, 3), 0.1))
    assert (estimate.value, estimate.standard_error) == (pytest.approx(0.1), None)


def test_mean_of_fixed_networks_has_the_t_interval_over_images():
    values = np.array([0.5, 0.25, 1.5, 0.75])
    estimate = over_images(values)
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert estimate.interval() == pytest.approx(expected)
    assert over_images([0.3, 0.3, 0.3]).standard_error is None
    with pytest.raises(ValueError, match="at least 2 images"):
        over_images([0.3])


def test_the_interval_covers_other_seeds_and_images_as_often_as_it_says():
    generator = np.random.default_rng(1)
    n, n_seeds, repeats = 80, 5, 2000
    image, seed, noise = (
        generator.normal(0, sd, (repeats, *shape))
        for sd, shape in ((1.0, (n, 1)), (0.4, (1, n_seeds)), (1.0, (n, n_seeds)))
    )
    true_mean = stats.norm.cdf(0.8 / math.sqrt(1 + 0.4**2 + 1))
    covered = images_alone = 0
    for values in 0.8 + image + seed + noise > 0:
        low, high = over_seeds_and_images(values).interval()
        covered += low <= true_mean <= high
        images_alone += abs(values.mean() - true_mean) <= 1.96 * values.mean(axis=1).std(ddof=1) / math.sqrt(n)
    assert 0.94 <= covered / repeats <= 0.975
    # Else the toy could not tell an interval that knows of seeds from one that does not.
    assert images_alone / repeats < 0.89


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        # Fagerland, Lydersen & Laake (2013): Bentur et al. and Cavo et al.
        (1, 7, 0.0391),
        (6, 16, 0.0347),
        # By hand: 1 - C(4, 2) / 2^4 / 2, then 2 (1 / 2^5) - 1 / 2^5.
        (2, 2, 0.8125),
        (0, 5, 0.03125),
        (0, 0, 1.0),
    ],
)
def test_mid_p_gives_the_published_values(b, c, p):
    assert PairedTest(b, c, 200).p_value() == pytest.approx(p, abs=5e-5)
    assert PairedTest(c, b, 200).p_value() == PairedTest(b, c, 200).p_value()


@pytest.mark.parametrize(("b", "c"), [(3, 9), (5, 5), (4, 5), (0, 3)])
def test_mid_p_is_half_way_between_more_extreme_and_as_extreme(b, c):
    probabilities = stats.binom.pmf(np.arange(b + c + 1), b + c, 0.5)
    distance = abs(np.arange(b + c + 1) - (b + c) / 2)
    more, as_much = (distance > abs(b - c) / 2), (distance >= abs(b - c) / 2)
    assert PairedTest(b, c, 50).p_value() == pytest.approx(
        (probabilities[more].sum() + probabilities[as_much].sum()) / 2
    )


@pytest.mark.parametrize(
    ("b", "c", "n", "low", "high"),
    [
        # Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables (2017), chapter 8.
        (1, 7, 21, -0.517, -0.026),
        (6, 16, 161, -0.1240, -0.0054),
    ],
)
def test_tangos_interval_gives_the_published_examples(b, c, n, low, high):
    digits = 5e-4 if n == 21 else 5e-5
    assert PairedTest(b, c, n).interval() == pytest.approx((low, high), abs=digits)
    assert PairedTest(c, b, n).interval() == pytest.approx((-high, -low), abs=digits)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(
    ("b", "c", "n"),
    [
        (1, 7, 21),
        (0, 7, 21),
        (7, 0, 7000),
        (10, 11, 21),
        (0, 0, 30),
        (30, 0, 30),
        (0, 30, 30),
        (1, 0, 1),
        (290, 250, 6000),
    ],
)
def test_tangos_limits_are_where_the_score_statistic_reaches_z(b, c, n, level):
    low, high = PairedTest(b, c, n).interval(level)
    assert -1 <= low <= (b - c) / n <= high <= 1
    z = stats.norm.isf((1 - level) / 2)
    for d in (low, high):
        if abs(d) == 1:
            # Only where the images leave no other limit: all of them favour that network.
            assert d == (b - c) / n
            continue

        # The likeliest probability of an image that only the second has right, found without Tango's quadratic.
        def unlikelihood(q, d=d):
            probabilities, counts = np.array([q + d, q, 1 - 2 * q - d]), np.array([b, c, n - b - c])
            return -np.sum(counts[counts > 0] * np.log(probabilities[counts > 0]))

        inside = (max(0.0, -d), (1 - d) / 2)
        q = optimize.minimize_scalar(unlikelihood, bounds=inside, method="bounded", options={"xatol": 1e-13}).x
        assert abs(b - c - n * d) / math.sqrt(n * (2 * q + d * (1 - d))) == pytest.approx(z, rel=1e-4)


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_tangos_interval_is_wilsons_where_the_counts_leave_one_binomial(level):
    z2 = stats.norm.isf((1 - level) / 2) ** 2
    # No image tells the networks apart: what bounds d is Wilson's upper limit for 0 of n, in either direction.
    upper = wilson(0, 50, level)[1]
    assert PairedTest(0, 0, 50).interval(level) == pytest.approx((-upper, upper))
    # Every image favours the first: n (1 - d)^2 = z^2 (1 - d^2), so (n - z^2) / (n + z^2) and 1.
    low = (50 - z2) / (50 + z2)
    assert PairedTest(50, 0, 50).interval(level) == pytest.approx((low, 1))
    assert PairedTest(0, 50, 50).interval(level) == pytest.approx((-1, -low))


def test_detectable_difference_has_the_power_that_enumeration_gives():
    n, share = 3000, 0.09
    d = PairedTest(150, 120, n).detectable()
    power = 0.0
    for n_discordant in range(180, 361):
        b = np.arange(n_discordant + 1)
        rejected = abs(2 * b - n_discordant) / math.sqrt(n_discordant) > stats.norm.ppf(0.975)
        chances = stats.binom.pmf(b, n_discordant, (1 + d / share) / 2)
        power += stats.binom.pmf(n_discordant, n, share) * chances[rejected].sum()
    assert power == pytest.approx(0.8, abs=0.005)


def test_detectable_difference_solves_connors_equation():
    d, p, n = PairedTest(40, 60, 500).detectable(0.99, 0.9), 0.2, 500
    z_level, z_power = 2.575829, 1.281552
    assert n * d**2 == pytest.approx((z_level * math.sqrt(p) + z_power * math.sqrt(p - d**2)) ** 2, rel=1e-6)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 2)])
def test_too_few_discordant_images_detect_nothing(b, c):
    assert PairedTest(b, c, 6000).detectable() is None


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_do_not_fit_together_are_refused(b, c, n):
    with pytest.raises(ValueError, match=rf"b \+ c <= n and n > 0, got b {b}, c {c}, n {n}"):
        PairedTest(b, c, n)


def test_paired_counts_what_only_one_network_has_right():
    first = [True, True, True, False, False, True]
    second = [True, False, False, True, False, True]
    test = paired(first, second)
    assert test == PairedTest(2, 1, 6)
    assert test.difference == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([True], [True, False], r"same shape \(n,\) with n > 0, got \(1,\) and \(2,\)"),
        ([], [], r"got \(0,\) and \(0,\)"),
        ([[True]], [[True]], r"got \(1, 1\) and \(1, 1\)"),
        ([3, 1], [True, False], r"both must be boolean, got int64 and bool"),
    ],
)
def test_paired_refuses_what_is_not_right_or_wrong_on_the_same_images(first, second, message):
    with pytest.raises(ValueError, match=message):
        paired(first, second)


@pytest.mark.parametrize(("standard_error", "degrees_of_freedom"), [(None, None), (0.1, None), (None, 4.0)])
def test_value_without_an_uncertainty_has_nothing_that_follows_from_one(standard_error, degrees_of_freedom):
    estimate = Estimate(0.5, standard_error, degrees_of_freedom)
    assert estimate.interval() is None
    assert estimate.p_value() is None
    assert estimate.detectable() is None
