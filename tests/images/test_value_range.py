import math
import re

import pytest

from sweeper.images import value_range
from sweeper.images.value_range import ValueRange


@pytest.mark.parametrize(
    ("largest", "high"),
    [(0, 1), (1, 1), (32, 255), (255, 255), (256, 511), (4095, 4095), (4096, 8191), (65535, 65535), (2**63, 2**64 - 1)],
)
def test_integers_go_from_0_to_the_largest_of_their_bits_at_least_8(largest, high):
    assert value_range.of_integers(0, largest) == ValueRange(0, high)


@pytest.mark.parametrize(
    ("smallest", "largest", "high"),
    [(0, 1, 1), (0.2, 0.4, 1), (0, 0, 1), (-0.001, 1.001, 1), (0, 255, 255), (12.5, 32, 255), (-0.4, 255.4, 255)],
)
def test_floats_go_from_0_to_1_or_to_255_with_the_overshoot_of_a_resize(smallest, largest, high):
    assert value_range.of_floats(smallest, largest) == ValueRange(0, high)


@pytest.mark.parametrize(
    ("smallest", "largest", "option"),
    [(-1, 1, "-1,1"), (0, 1.3, "0,1.3"), (0, 16, "0,16"), (0, 256, "0,256"), (-2.1179, 2.64, "-2.118,2.64")],
)
def test_floats_of_another_range_are_asked_for_with_the_option(smallest, largest, option):
    with pytest.raises(ValueError, match=rf"^floats must lie in 0 to 1, or in 0 to 255 .* --value-range {option}$"):
        value_range.of_floats(smallest, largest)


@pytest.mark.parametrize("largest", [2, 16, 31])
def test_integers_above_1_and_far_below_255_are_asked_for_as_floats_are(largest):
    for rule in (value_range.of_integers, value_range.of_floats):
        with pytest.raises(ValueError, match=rf"got 0 to {largest}; say .* --value-range 0,{largest}$"):
            rule(0, largest)


def test_negative_integers_are_asked_for_with_the_option():
    with pytest.raises(ValueError, match=r"^integers must not be negative, got -1,024 to 3,071; .* -1024,3071$"):
        value_range.of_integers(-1024, 3071)
    with pytest.raises(ValueError, match=r"--value-range -5,-4$"):  # an option that would be accepted
        value_range.of_integers(-5, -5)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, math.nan), (-math.inf, 0), (-1e308, 1e308)])
def test_a_range_is_two_finite_numbers_the_lower_first(low, high):
    with pytest.raises(ValueError, match="a range of values must"):
        ValueRange(low, high)


def test_a_conversion_names_the_values():
    assert ValueRange(0, 4095).conversion == "values 0 to 4,095 to 8 bits"
    assert ValueRange(-0.5, 1.25).conversion == "values -0.5 to 1.25 to 8 bits"


@pytest.mark.parametrize(
    ("smallest", "largest", "option"),
    [
        (-1, 0.6784, "-1,1"),
        (-0.97, 0.99, "-1,1"),
        (-0.5, 0.42, "-0.5,0.5"),
        (-2.1, 2.6, "-2.1,2.6"),
        (-0.1, 0.9, "-0.1,0.9"),
    ],
)
def test_range_that_is_suggested_is_a_usual_one_if_the_values_fit_it(smallest, largest, option):
    with pytest.raises(ValueError, match=rf"--value-range {re.escape(option)}$"):
        value_range.of_floats(smallest, largest)


@pytest.mark.parametrize(("smallest", "largest", "option"), [(-128, 86, "-128,127"), (-1024, 3071, "-1024,3071")])
def test_range_that_is_suggested_for_int8_is_all_of_it(smallest, largest, option):
    with pytest.raises(ValueError, match=rf"--value-range {re.escape(option)}$"):
        value_range.of_integers(smallest, largest)
