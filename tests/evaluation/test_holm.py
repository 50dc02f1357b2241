import math

import numpy as np
import pytest
from scipy import stats

from sweeper.evaluation.holm import holm


def test_holm_steps_down_from_the_smallest_p_value():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R.
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert [a.p_value for a in adjusted] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [a.decided for a in adjusted] == [True, False, False, True]
    # The third smallest fails at alpha / 2; the largest would pass at alpha, but comes after it.
    assert [a.level for a in adjusted] == pytest.approx([1 - 0.05 / 3, 0.975, 0.975, 1 - 0.05 / 4])


def test_holm_never_adjusts_beyond_one_and_decides_a_single_test_at_alpha():
    assert [a.p_value for a in holm([0.6, 0.9])] == [1.0, 1.0]
    (alone,) = holm([0.08], alpha=0.1)
    assert (alone.p_value, alone.level, alone.decided) == (0.08, 0.9, True)
    assert holm([]) == []


def test_intervals_at_holms_levels_leave_out_zero_just_where_the_test_is_decided():
    generator = np.random.default_rng(2)
    seen = set()
    for _ in range(500):
        z = generator.normal(generator.choice([0, 2.5]), 1.2, size=generator.integers(1, 7))
        alpha = generator.choice([0.01, 0.05, 0.2])
        adjusted = holm((2 * stats.norm.sf(abs(z))).tolist(), alpha)
        excludes = [abs(z_i) > stats.norm.isf((1 - a.level) / 2) for z_i, a in zip(z, adjusted, strict=True)]
        assert excludes == [a.decided for a in adjusted]
        seen.add((any(excludes), all(excludes)))
    assert len(seen) == 3


def test_holm_does_not_depend_on_the_order():
    generator = np.random.default_rng(3)
    p_values = (generator.random(9) ** 4).tolist()
    order = generator.permutation(9)
    adjusted = holm(p_values)
    assert holm([p_values[i] for i in order]) == [adjusted[i] for i in order]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(ValueError, match=rf"p_values must be in \[0, 1\], got {wrong} \(test 1\)"):
        holm([0.5, wrong])


def test_holm_refuses_an_alpha_that_is_no_share():
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\), got 5"):
        holm([0.5], alpha=5)
