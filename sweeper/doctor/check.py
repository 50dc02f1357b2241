"""The result of a check, also of one that cannot be made."""

from collections.abc import Callable
from dataclasses import dataclass

from sweeper.errors import SweeperError
from sweeper.store.redaction import redact

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Check:
    """The result of one check: its status (ok, warning or error), what was found, and advice on what to do."""

    name: str
    status: str
    found: str
    advice: str = ""


def safely(name: str, check: Callable[[], Check]) -> Check:
    """The result of the check, or an error if it cannot be made."""
    try:
        return check()
    except SweeperError as error:
        return Check(name, ERROR, redact(str(error)))  # the message itself says what to do
    except Exception as error:
        return Check(
            name,
            ERROR,
            redact(f"{type(error).__name__}: {error}"),
            "the check itself has failed: report this as a fault of sweeper",
        )
