"""The names of a registered model's classes in MLflow, so that a stranger can tell what each of its outputs is."""

import json
from collections.abc import Sequence

TAG = "sweeper.classes"
# MLflow takes 100,000 characters in a version's tag, and MySQL's text columns 65,535 bytes.
MOST_TAG_BYTES = 65_535
# MLflow's column for a description holds 5,000 characters, of which the names leave some to other sentences.
MOST_DESCRIBED = 4_000
MOST_IN_SIGNATURE = 200


def tags(classes: Sequence[str]) -> dict[str, str]:
    """The classes in the order of the outputs as a tag, a JSON list; no tag if MLflow could not store it."""
    listed = json.dumps(list(classes), ensure_ascii=False)
    return {TAG: listed} if len(listed.encode()) <= MOST_TAG_BYTES else {}


def metadata(classes: Sequence[str]) -> dict[str, list[str]]:
    """The classes in the order of the outputs, for the file MLmodel."""
    return {"classes": list(classes)}


def output_name(classes: Sequence[str]) -> str:
    """A name for the output in a signature that says what its columns are, at least the first ones."""
    return _cut("logits: ", [f"{column} {name}" for column, name in enumerate(classes)], ", ", MOST_IN_SIGNATURE)


def described(classes: Sequence[str]) -> str:
    """The class of each column in Markdown, in lines that show the names verbatim."""
    width = len(str(len(classes) - 1))
    lines = [f"    {column:>{width}}  {name}" for column, name in enumerate(classes)]
    places = f"tag {TAG}, metadata in MLmodel" if tags(classes) else "metadata in MLmodel"
    return _cut(f"The class of each column of the logits ({places}):\n\n", lines, "\n", MOST_DESCRIBED)


def _cut(head: str, items: Sequence[str], separator: str, most: int) -> str:
    """The items, or only the first ones and how many are left out, so that the text has `most` characters at most."""
    whole = head + separator.join(items)
    if len(whole) <= most:
        return whole
    left = most - len(head) - len(f"{separator}... and {len(items)} more")
    shown = 0
    while left >= len(items[shown]) + len(separator):
        left -= len(items[shown]) + len(separator)
        shown += 1
    return head + separator.join([*items[:shown], f"... and {len(items) - shown} more"])
