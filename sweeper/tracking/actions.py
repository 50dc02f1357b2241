"""What an outbox may ask for: the actions on MLflow's runs and their arguments, checked when they are read back."""

from collections.abc import Mapping
from typing import Any

from sweeper.errors import shortened
from sweeper.events import State
from sweeper.store.stored_values import checked
from sweeper.tracking.outbox import Key, Write

# The type of each argument, by action; the tags of an end are None in writes of older versions.
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    "start": {"name": str, "time": int, "params": dict[str, Any], "tags": dict[str, str], "under": Key | None},
    "metrics": {"epoch": int, "time": int, "values": dict[str, float]},
    "reopen": {"params": dict[str, Any], "tags": dict[str, str]},
    "texts": {"texts": dict[str, str]},
    "figures": {"figures": dict[str, dict[str, Any]]},
    "weights": {"path": str},
    "drop_weights": {},
    "forget": {"path": str},
    "finish": {"state": State, "time": int, "reason": str, "metrics": dict[str, float], "tags": dict[str, str] | None},
}


def check_write(write: Write) -> None:
    """Raises ValueError, with the write's number, rule and value, for a write that sweeper does not make."""
    if write.action not in ACTIONS:
        raise ValueError(
            f"write {write.number} should be one of {', '.join(ACTIONS)}, got {shortened(repr(write.action))}"
        )
    name, kinds = f"write {write.number}, {write.action}", ACTIONS[write.action]
    for argument, kind in kinds.items():
        checked(kind, write.arguments.get(argument), f"{name}.{argument}")
    for file in [*write.arguments.get("texts", ()), *write.arguments.get("figures", ())]:
        # MLflow refuses these too, but as an error that may go away: the write would be tried for half a minute.
        if not file.isprintable() or not file.strip("./") or {"..", ""} & set(file.split("/")):
            raise ValueError(f"{name} should write files of the run, got {shortened(repr(file))}")
    if unknown := write.arguments.keys() - kinds:
        raise ValueError(f"{name} should not have {shortened(', '.join(map(repr, sorted(unknown))))}")
