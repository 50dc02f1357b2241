"""What a network may cost at most to be able to win: parameters, multiply-adds, and milliseconds an image."""

from collections.abc import Mapping
from dataclasses import dataclass

# The option of each limit, and what it counts.
OPTIONS = {"max_params": "--max-params", "max_madds": "--max-madds", "max_latency": "--max-latency"}


@dataclass(frozen=True)
class Excess:
    """A limit that a network exceeds: `kind` is what it has too much of, and `by` how much too much."""

    kind: str
    reason: str
    by: float


@dataclass(frozen=True)
class NetworkLimits:
    """The limits of a network that may win; None sets none. `max_latency` is in milliseconds an image."""

    max_params: int | None = None
    max_madds: int | None = None
    max_latency: float | None = None

    def exceeded(self, n_parameters: int, n_multiply_adds: int, milliseconds: float | None = None) -> list[Excess]:
        """The limits that a network exceeds. A latency that is not known exceeds none."""
        found = []
        if self.max_params is not None and n_parameters > self.max_params:
            reason = f"{n_parameters:,} parameters, more than {self.max_params:,}"
            found.append(Excess("n_parameters", reason, float(n_parameters - self.max_params)))
        if self.max_madds is not None and n_multiply_adds > self.max_madds:
            reason = f"{n_multiply_adds:,} multiply-adds, more than {self.max_madds:,}"
            found.append(Excess("n_multiply_adds", reason, float(n_multiply_adds - self.max_madds)))
        if self.max_latency is not None and milliseconds is not None and milliseconds > self.max_latency:
            reason = f"{milliseconds:.3g} ms an image, more than {self.max_latency:g}"
            found.append(Excess("latency", reason, milliseconds - self.max_latency))
        return found

    def given(self) -> Mapping[str, float]:
        """The limits that are set, by option."""
        return {option: value for name, option in OPTIONS.items() if (value := getattr(self, name)) is not None}

    def options(self) -> str:
        """The limits that are set, as on the command line; empty if none is."""
        return " ".join(
            f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}"
            for option, value in self.given().items()
        )
