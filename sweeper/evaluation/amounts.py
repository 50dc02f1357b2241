"""Metrics as people read them: shares of 1 in percent, losses in nats. Files and options have plain numbers instead."""

from sweeper.quantities import counted


def is_share(metric: str) -> bool:
    """Whether a metric's values are shares of 1; those of a loss, of any part, are in nats."""
    return not metric.endswith("loss")


def amount(metric: str, value: float, decimals: int = 2) -> str:
    """A value with its unit, such as "83.33 %"; a loss has none.

    Two decimals show one image in 10,000: no validation part is so large that more would mean anything.
    """
    return f"{number(metric, value, decimals)}{' %' if is_share(metric) else ''}"


def number(metric: str, value: float, decimals: int = 2) -> str:
    """A value without its unit; losses always have four decimals."""
    return f"{100 * value:.{decimals}f}" if is_share(metric) else f"{value:.4f}"


def signed(metric: str, difference: float, decimals: int = 1) -> str:
    """A difference without its unit; the sign shows its side of 0 even if it rounds to 0."""
    text = number(metric, difference, decimals)
    return f"+{text}" if difference > 0 else text


def with_interval(metric: str, value: float | None, low: float | None, high: float | None, decimals: int = 2) -> str:
    """A value with its unit and its interval, such as "83.33 % [82.59, 84.05]", as far as they are known."""
    if value is None:
        return ""
    text = amount(metric, value, decimals)
    if low is None or high is None:
        return text
    return f"{text} [{number(metric, low, decimals)}, {number(metric, high, decimals)}]"


def signed_with_interval(
    metric: str, difference: float | None, low: float | None, high: float | None, decimals: int = 1
) -> str:
    """A difference with its interval, without their unit, such as "+0.8 [+0.4, +1.2]", as far as they are known."""
    if difference is None:
        return ""
    text = signed(metric, difference, decimals)
    if low is None or high is None:
        return text
    return f"{text} [{signed(metric, low, decimals)}, {signed(metric, high, decimals)}]"


def scale(metric: str) -> str:
    """The unit of values, for the title of a table or the end of a sentence: percent or nats."""
    return "percent" if is_share(metric) else "nats"


def unit(metric: str) -> str:
    """The unit of differences: percentage points or nats."""
    return "points" if is_share(metric) else "nats"


def confusion(true: str, taken: str, n: int) -> str:
    """How often images of one class were taken for another."""
    return f"{true} taken for {taken} {counted(n, 'time')}"
