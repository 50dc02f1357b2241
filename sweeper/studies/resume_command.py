"""The command line that goes on with a study, as it was typed but for what must change."""

import shlex
from collections.abc import Sequence

_STUDY = ("--study", "--study-name")
_TRIALS = ("--trials", "--n-trials")


def resuming(command: Sequence[str], study: str) -> str:
    """The command that goes on with this study: the same, but for --new and the name that it led to."""
    words = [word for word in command if word != "--new"]
    if len(words) < len(command):
        words = [*_without(words, _STUDY), "--study", study]
    return shlex.join(words)


def with_trials(command: str, trials: int) -> str:
    """The command with this number of trials in all; one for the named variants alone has no such number."""
    if "--variants-only" in shlex.split(command):
        return command
    return shlex.join([*_without(shlex.split(command), _TRIALS), "--trials", str(trials)])


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """The words without these options and their values."""
    left = []
    waiting = iter(words)
    for word in waiting:
        if word in options:
            next(waiting, None)
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            left.append(word)
    return left
