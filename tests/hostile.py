"""Checks for hostile input: the command ends in time, with one printable line that says what is wrong and where."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import settings

from sweeper.cli import main

# Far more than the tenth of a second that an example takes, so that only a hang exceeds it.
SECONDS = 240


def examples(most: int) -> settings:
    """Hypothesis settings: `most` examples with --thorough, a twentieth of them without."""
    share = settings().max_examples / settings.get_profile("thorough").max_examples
    return settings(max_examples=max(1, round(most * share)))


class Hung(BaseException):
    """The time of a block is over. This is a BaseException, so that `except Exception` does not catch it."""


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    """Fails the test if the block takes longer than `seconds`; works in the main thread only."""

    def ring(number, frame):
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Hung:
        raise AssertionError(f"took longer than {seconds} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def refused(*arguments: Any, codes: tuple[int, ...] = (1, 2)) -> str:
    """Runs a command that must be refused; returns its only error line, which may not report a fault of sweeper's."""
    with within():
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code in codes, (result.exit_code, result.output, result.exception)
    return error_line(result)


def error_line(result: Result) -> str:
    """The only error line, which must be the last line on stderr; notes or click's usage may precede it."""
    lines = result.stderr.split("\n")
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert lines[-2:] == [errors[0], ""], result.stderr
    assert errors[0].isprintable(), errors[0]
    assert "this is a bug in sweeper" not in result.stderr
    assert "Traceback" not in result.output
    return errors[0]


def listing(folder: Path) -> list[str]:
    """The relative path of everything under a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def toml(value: Any) -> str:
    """A value in TOML syntax; tables are inline."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{quoted(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return quoted(value)
        case int():
            return str(value)
        case float():
            return repr(value)
        case datetime() | date() | time():
            return value.isoformat()
    raise AssertionError(value)


def quoted(text: str) -> str:
    """A TOML basic string."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'


def document(tables: dict[str, Any]) -> str:
    """A TOML document in which each table has its own header."""
    lines = [f"{quoted(name)} = {toml(value)}" for name, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if not isinstance(table, dict):
            continue
        nested = name == "variants"
        lines.append(f"[{quoted(name)}]")
        lines += [f"{quoted(k)} = {toml(v)}" for k, v in table.items() if not (nested and isinstance(v, dict))]
        for variant, values in table.items():
            if nested and isinstance(values, dict):
                lines.append(f"[{quoted(name)}.{quoted(variant)}]")
                lines += [f"{quoted(k)} = {toml(v)}" for k, v in values.items()]
    return "\n".join(lines) + "\n"
