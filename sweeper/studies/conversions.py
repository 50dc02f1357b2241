"""Whether a study's images are read today as they were when it began, although the files are the same."""

from collections.abc import Sequence


def other_reading(before: Sequence[str], now: Sequence[str]) -> str | None:
    """How the reading differs, in words; None if it does not. Both are as RunSpec.conversions."""
    if tuple(before) == tuple(now):
        return None
    then, today = (f"with {'; '.join(phrases)}" if phrases else "as stored" for phrases in (before, now))
    return f"the same files were read {then} when it began, and are read {today} now, which may give other pixels"


def other_images(field: str, skip_bad: bool) -> str:
    """Why the same files may be split otherwise, in words; empty for a field that says nothing of it.

    `field` is the first of RunSpec that differs.
    """
    if field != "split_sha256" or not skip_bad:
        return ""
    return "--skip-bad left out other files when it began, since sweeper reads more of them now, or fewer"
