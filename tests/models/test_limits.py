import pytest

from sweeper.models.limits import Excess, NetworkLimits


def test_without_limits_nothing_is_exceeded():
    assert NetworkLimits().exceeded(10**12, 10**12, 1e9) == []
    assert NetworkLimits().options() == ""


def test_every_limit_that_is_exceeded_is_told_with_value_and_limit():
    limits = NetworkLimits(61_000, 400_000, 0.25)
    assert limits.exceeded(61_706, 416_520, 0.351) == [
        Excess("n_parameters", "61,706 parameters, more than 61,000", 706.0),
        Excess("n_multiply_adds", "416,520 multiply-adds, more than 400,000", 16_520.0),
        Excess("latency", "0.351 ms an image, more than 0.25", pytest.approx(0.101)),
    ]
    assert limits.options() == "--max-params 61000 --max-madds 400000 --max-latency 0.25"


def test_a_network_exactly_at_its_limits_may_win():
    assert NetworkLimits(61_706, 416_520, 0.351).exceeded(61_706, 416_520, 0.351) == []


def test_a_latency_that_nobody_has_measured_exceeds_nothing():
    assert NetworkLimits(max_latency=0.1).exceeded(1, 1, None) == []
