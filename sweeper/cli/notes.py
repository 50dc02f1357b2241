"""Lines on stderr, numbers of trials in words, and the command line as it must be typed to find the same store."""

import os
import sys
from collections.abc import Mapping

from sweeper.store.arguments import store_arguments as store_arguments
from sweeper.store.layout import Store
from sweeper.store.redaction import redact


def command_line(store: Store) -> list[str]:
    """The command as it was typed, with the options that it has taken from variables: elsewhere they may not be set."""
    words = ["sweeper", *sys.argv[1:]]
    for option, variable, value in (
        ("--store", "SWEEPER_STORE", str(store.root)),
        ("--storage", "OPTUNA_STORAGE", store.storage),
        ("--tracking-uri", "MLFLOW_TRACKING_URI", store.tracking_uri),
        ("--data-dir", "SWEEPER_DATA_DIR", os.path.abspath(os.environ.get("SWEEPER_DATA_DIR", ""))),
    ):
        typed = any(word == option or word.startswith(f"{option}=") for word in words)
        if os.environ.get(variable) and not typed and redact(value) == value:
            words += [option, value]
    return words


def note_store(store: Store) -> None:
    """Prints on stderr which store is used, and both databases if one of them is not in it."""
    note(f"Store: {store.root}")
    if not store.embedded_storage or not store.embedded_tracking:
        note(f"Optuna: {redact(store.storage)}  MLflow: {redact(store.tracking_uri)}")


def note(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def counted(n_trials: Mapping[str, int]) -> str:
    """The numbers of trials by outcome, in words; infeasible, failed and unfinished ones only if there are any."""
    rare = {"infeasible": "infeasible", "fail": "failed", "running": "unfinished"}
    words = [f"{n_trials['complete']} complete", f"{n_trials['pruned']} pruned"]
    return ", ".join(words + [f"{n_trials[key]} {name}" for key, name in rare.items() if n_trials[key]])


def done_of(done: int, total: int, what: str = "") -> str:
    """How many are done of how many; the last command may have asked for fewer than were done before it."""
    noun = f" {what}" if what else ""
    return f"{done} of {total}{noun}" if done <= total else f"{done}{noun} ({total} asked for)"
