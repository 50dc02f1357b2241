"""The range of values that stored images hold: those that become the bytes 0 and 255. Imports nothing slow."""

import sys
from dataclasses import dataclass
from math import isfinite

OPTION = "--value-range"
# Values above 1 of which none reaches this one are hardly pixels from 0 to 255: they may go to 2 or 16.
LEAST_WHITE = 32
# Values are multiplied by 255, which must stay finite.
WIDEST = sys.float_info.max / 256


@dataclass(frozen=True)
class ValueRange:
    """The values that become the bytes 0 and 255; those between are spread evenly, those outside are clipped.

    Raises ValueError unless both are finite and `low` is below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range of values must be two finite numbers, the lower first, got {self}")
        if self.high - self.low > WIDEST:
            raise ValueError(f"a range of values must not be wider than {WIDEST:g}, got {self}")

    def __str__(self) -> str:
        return f"{_number(self.low)} to {_number(self.high)}"

    @property
    def conversion(self) -> str:
        """What is done to values of this range, as an entry of ImageSet.conversions."""
        return f"values {self} to 8 bits"

    @property
    def margin(self) -> float:
        """How far outside values may lie that still round to the ends: resized images overshoot a little."""
        return (self.high - self.low) / 255 / 2


BYTES = ValueRange(0, 255)
# Ranges below 0 that people scale images to, the narrowest first: of the last, all of int8, only from its lowest value.
USUAL_RANGES = ((-0.5, 0.5), (-1, 1), (-128, 127))


def of_integers(smallest: int, largest: int) -> ValueRange:
    """The range of integers between these two: 0 to 1, or else 0 to the largest value of as many bits, at least 8.

    Raises ValueError for negative values, of which no rule tells the black one, and if the largest is above 1 and far
    below 255.
    """
    if smallest < 0:
        raise ValueError(
            f"integers must not be negative, got {smallest:,} to {largest:,}; {_advice(smallest, largest)}"
        )
    if 1 < largest < LEAST_WHITE:
        raise ValueError(
            f"integers must be 0 and 1, or some must be {LEAST_WHITE} or more, got {smallest:,} to {largest:,}; "
            f"{_advice(smallest, largest)}"
        )
    return ValueRange(0, 1 if largest <= 1 else 2 ** max(8, int(largest).bit_length()) - 1)


def of_floats(smallest: float, largest: float) -> ValueRange:
    """The range of floats between these two, which must be finite: 0 to 1, or else 0 to 255.

    Raises ValueError for values outside of these ranges, and for those that reach neither 1 nor far towards 255.
    """
    for found, least in ((ValueRange(0, 1), 0), (BYTES, LEAST_WHITE)):
        if -found.margin <= smallest and least <= largest <= found.high + found.margin:
            return found
    raise ValueError(
        f"floats must lie in 0 to 1, or in 0 to 255 with some above {LEAST_WHITE}, got {_number(smallest)} to "
        f"{_number(largest)}; {_advice(smallest, largest)}"
    )


def _advice(smallest: float, largest: float) -> str:
    # The option is only an example of how it is written where all values are equal.
    low, high = smallest, largest if largest > smallest else smallest + 1
    for usual in USUAL_RANGES:
        if usual[0] <= low < usual[0] / 2 and high <= usual[1] and (low == usual[0] or usual[1] <= 1):
            low, high = usual
            break
    return f"say which values are black and white, as in {OPTION} {_plain(low)},{_plain(high)}"


def _number(value: float) -> str:
    """A value for people, with commas between thousands."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _plain(value: float) -> str:
    """A value as the option takes it."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"
