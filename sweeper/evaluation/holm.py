"""Holm's adjustment of several tests, so that a false decision in any of them stays improbable."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Adjusted:
    """One of several tests after Holm's adjustment.

    `p_value` is to be compared with the alpha of the whole family. An interval at `level` leaves out 0 exactly where
    the test is decided, if the interval inverts the test that gave the p-value.
    """

    p_value: float
    level: float
    decided: bool


def holm(p_values: Sequence[float], alpha: float = 0.05) -> list[Adjusted]:
    """Holm's step-down adjustment, in the order of `p_values`: the probability of any false decision is <= alpha.

    "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979) 65. The k-th smallest of m
    p-values (k from 0) is compared with alpha / (m - k), until one is larger: this one and all after it stay
    undecided, and share its level. Raises ValueError for a p-value outside [0, 1] and an alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")
    for i, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise ValueError(f"p_values must be in [0, 1], got {p} (test {i})")
    m = len(p_values)
    adjusted: dict[int, Adjusted] = {}
    largest, level = 0.0, 1 - alpha
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if largest <= alpha:
            level = 1 - alpha / (m - k)
        largest = max(largest, min((m - k) * p_values[i], 1.0))
        adjusted[i] = Adjusted(largest, level, largest <= alpha)
    return [adjusted[i] for i in range(m)]
