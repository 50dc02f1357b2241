"""Option types that click lacks."""

import re
from typing import Any

import click

from sweeper import quantities
from sweeper.images import class_names
from sweeper.images.value_range import ValueRange
from sweeper.validators import MOST_FOLDS, MOST_PER_GPU


class Duration(click.ParamType):
    """Seconds, from 90, 90s, 45m, 2h, 1d or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return quantities.seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


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
        try:
            return quantities.pixels(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType):
    """Bytes, from 800MB, 4GB or 1.5GiB, or auto (None)."""

    name = "auto|size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto" or isinstance(value, int):
            return value if isinstance(value, int) else None
        try:
            return quantities.size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
