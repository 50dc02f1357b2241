"""Option types that click lacks."""

import re
from typing import Any

import click

from sweeper.images import class_names
from sweeper.images.value_range import ValueRange
from sweeper.validators import MOST_FOLDS, MOST_PER_GPU

SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Duration(click.ParamType):
    """Seconds, from 90, 90s, 45m, 2h, 1d or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
        else:
            self.fail(f"must be a duration such as 90s, 45m, 2h or 1h30m, got {value!r}", param, ctx)
        if seconds <= 0:
            self.fail(f"must be longer than 0 seconds, got {value!r}", param, ctx)
        return seconds


class Jobs(click.ParamType):
    """A number of workers, or auto (None)."""

    name = "auto|integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        if not re.fullmatch("0*[1-9][0-9]{0,3}", str(value)):
            self.fail(f"must be auto or an integer of at least 1 and at most 9999, got {value!r}", param, ctx)
        return int(value)


class JobsPerGpu(click.ParamType):
    """A number of trainings on a GPU, or auto (0)."""

    name = "auto|integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            return 0
        if not re.fullmatch("[0-9]{1,3}", str(value)) or not 1 <= int(value) <= MOST_PER_GPU:
            self.fail(f"must be auto or an integer of at least 1 and at most {MOST_PER_GPU}, got {value!r}", param, ctx)
        return int(value)


class Folds(click.ParamType):
    """A number of folds: 0 for none, or at least 2."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if not re.fullmatch("[0-9]{1,4}", str(value)) or int(value) == 1 or int(value) > MOST_FOLDS:
            text = f"must be 0 for none, or an integer of at least 2 and at most {MOST_FOLDS}, got {value!r}"
            self.fail(text, param, ctx)
        return int(value)


class Names(click.ParamType):
    """Names with commas between them, as a row of CSV."""

    name = "name,name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return class_names.parsed(str(value))
        except ValueError as error:
            text = "must be names with commas between them, in quotation marks if they hold commas themselves"
            self.fail(f"{text}, got {value!r}: {error}", param, ctx)


class Range(click.ParamType):
    """Two finite numbers, the lower first."""

    name = "low,high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ValueRange:
        if isinstance(value, ValueRange):
            return value
        try:
            low, high = map(float, str(value).split(","))
            return ValueRange(low, high)
        except ValueError:
            self.fail(
                f"must be two finite numbers with a comma between them, the lower first, got {value!r}", param, ctx
            )


class Pixels(click.ParamType):
    """A positive number, from 64000000, 108M or 500K."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        parts = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([KM]?)", str(value), re.ASCII | re.IGNORECASE)
        found = round(float(parts[1]) * {"": 1, "K": 1000, "M": 1_000_000}[parts[2].upper()]) if parts else 0
        if found < 1:
            self.fail(f"must be a positive number such as 108M, got {value!r}", param, ctx)
        return found


class Size(click.ParamType):
    """Bytes, from 800MB, 4GB or 1.5GiB, or auto (None)."""

    name = "auto|size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto" or isinstance(value, int):
            return value if isinstance(value, int) else None
        parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([MG])(i?)B", str(value), re.ASCII | re.IGNORECASE)
        if not parts:
            self.fail(f"must be auto or a size such as 4GB or 1.5GiB, got {value!r}", param, ctx)
        base = 1024 if parts[3] else 1000
        return round(float(parts[1]) * base ** (2 if parts[2].upper() == "M" else 3))
