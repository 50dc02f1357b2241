"""Lines on stderr, numbers of trials in words, and the command line as it must be typed to find the same store."""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from sweeper.data.known.catalog import DATASETS
from sweeper.store.layout import Store
from sweeper.store.redaction import redact


def command_line(store: Store) -> list[str]:
    """The command as it was typed, for any folder and shell.

    Paths are absolute, and the options that the command has taken from variables are added, except RAY_ADDRESS: that
    head may have ended, for example with its Slurm job.
    """
    words = ["sweeper", *_with_absolute_paths(sys.argv[1:])]
    taken = {name for param in click.get_current_context().command.params for name in param.opts}
    for option, variable, value in (
        ("--store", "SWEEPER_STORE", str(store.root)),
        ("--storage", "OPTUNA_STORAGE", store.storage),
        ("--tracking-uri", "MLFLOW_TRACKING_URI", store.tracking_uri),
        ("--data-dir", "SWEEPER_DATA_DIR", os.path.abspath(os.environ.get("SWEEPER_DATA_DIR", ""))),
        ("--engine", "SWEEPER_ENGINE", os.environ.get("SWEEPER_ENGINE", "")),
    ):
        typed = any(word == option or word.startswith(f"{option}=") for word in words)
        if option in taken and os.environ.get(variable) and not typed and redact(value) == value:
            words += [option, value]
    return words


def named_study(store: Store, study: str | None) -> tuple[str, list[str]]:
    """The study, or without a name the latest one, and the command line as `command_line` gives it, with its name."""
    command = command_line(store)
    if study is None:
        from sweeper.studies.queries import find_study

        # The latest study may be another one by the time that a command which is printed here is typed.
        study = find_study(store, None).study_name
        command.append(study)
    return study, command


def _with_absolute_paths(typed: Sequence[str]) -> list[str]:
    """The words of a command line with absolute paths in place of those that are relative to the present folder."""
    context = click.get_current_context()
    options = {name: param for param in context.command.params for name in param.opts}
    dataset = context.params.get("dataset")
    is_path = dataset not in DATASETS and os.path.exists(dataset or "")
    words: list[str] = []
    before: click.Parameter | None = None  # the option whose value comes next
    for word in typed:
        name, is_joined, value = word.partition("=")
        if before is not None:
            words.append(_absolute(before, word))
            before = None
        elif word.startswith("-"):
            option = options.get(name)
            takes_value = option is not None and not getattr(option, "is_flag", False)
            words.append(f"{name}={_absolute(option, value)}" if option and takes_value and is_joined else word)
            before = option if takes_value and not is_joined else None
        elif word == dataset and is_path:
            words.append(os.path.abspath(word))
        else:
            words.append(word)
    return words


def _absolute(option: click.Parameter, value: str) -> str:
    """The value of an option, absolute if it is a path."""
    is_space_file = option.name == "space_name" and value.endswith(".toml") and os.path.isfile(value)
    return os.path.abspath(value) if is_space_file or isinstance(option.type, click.Path) else value


def note_store(store: Store) -> None:
    """Prints on stderr which store is used, and both databases if one of them is not in it."""
    note(f"Store: {store.root}")
    if not store.embedded_storage or not store.embedded_tracking:
        note(f"Optuna: {redact(store.storage)}  MLflow: {redact(store.tracking_uri)}")


def note(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def by_state(n_trials: Mapping[str, int], *, is_searched: bool) -> str:
    """The numbers of trials by outcome, in words; those other than complete and pruned only if there are any.

    Trials that are not ended are running if the study `is_searched` now, else interrupted.
    """
    rare = {"infeasible": "infeasible", "fail": "failed", "running": "running" if is_searched else "interrupted"}
    words = [f"{n_trials['complete']} complete", f"{n_trials['pruned']} pruned"]
    return ", ".join(words + [f"{n_trials[key]} {name}" for key, name in rare.items() if n_trials[key]])
