"""The command line that resumes a study: as the user typed it, except for what must change."""

import shlex
from collections.abc import Sequence
from pathlib import Path

_STUDY = ("--study", "--study-name")
_TRIALS = ("--trials", "--n-trials")


def resuming(command: Sequence[str], study: str) -> str:
    """The command that resumes this study: without --take-over, and with --new replaced by the new study's name."""
    words = [word for word in command if word not in ("--new", "--take-over")]
    if "--new" in command:
        words = [*_without(words, _STUDY), "--study", study]
    return shlex.join(words)


def in_store(command: str | None, root: Path) -> str | None:
    """The recorded command for a study that now lies in this store: its --store may be the place of the store before.

    It is made anew from the words of the record, quoted for a shell. None if there is no record, or another program has
    put something else there than a search: the user would type it in.
    """
    try:
        words = shlex.split(command or "")
    except ValueError:  # not quoted as a shell wants it
        return None
    commands = [word for word in words[1:] if not word.startswith("-")]
    if [*words[:1], *commands[:1]] != ["sweeper", "search"] or not all(word.isprintable() for word in words):
        return None
    for index, word in enumerate(words):
        if word == "--store" and index + 1 < len(words):
            words[index + 1] = str(root)
        elif word.startswith("--store="):
            words[index] = f"--store={root}"
    return shlex.join(words) or None


def with_trials(command: str, trials: int) -> str:
    """The command with this total number of trials; one with --variants-only has no such number, and stays as it is."""
    if "--variants-only" in shlex.split(command):
        return command
    return shlex.join([*_without(shlex.split(command), _TRIALS), "--trials", str(trials)])


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """The words without these options and their values."""
    left = []
    remaining = iter(words)
    for word in remaining:
        if word in options:
            next(remaining, None)  # the option's value
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            left.append(word)
    return left
