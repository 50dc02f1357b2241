"""Views as files: a picture of each, and one file with the numbers behind them."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeper.analysis.view import View
from sweeper.errors import SweeperError
from sweeper.store.atomic import check_writable

NUMBERS = "explain.json"
# Dots an inch of a PNG file.
DOTS = 120


def write(views: Sequence[View], folder: Path, form: str, about: Mapping[str, Any]) -> list[Path]:
    """Writes each view's picture as `form` (png or svg), and their numbers with what they are `about`; the paths.

    All is drawn before the first file is put into the folder, which is made if needed; files of these names are
    replaced. Raises SweeperError if the folder cannot be written to.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In the folder itself, which may be a file system of its own.
        with TemporaryDirectory(prefix=".explain-", dir=folder) as draft:
            for view in views:
                if view.plot is not None:
                    view.plot.draw().savefig(Path(draft, f"{view.name}.{form}"), format=form, dpi=DOTS)
            numbers = {**about, "looks": [view.as_json() for view in views]}
            Path(draft, NUMBERS).write_text(json.dumps(numbers, allow_nan=False), encoding="utf-8")
            names = sorted(os.listdir(draft))
            for name in names:
                os.replace(Path(draft, name), folder / name)
    except OSError as error:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise _unwritable(folder, error) from error
    return [folder / name for name in names]


def check_place(folder: Path) -> None:
    """Raises SweeperError, before anything is computed, for a folder that could not be made or written to."""
    try:
        check_writable(next(path for path in (folder, *folder.parents) if path.exists()) / NUMBERS)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> SweeperError:
    return SweeperError(f"{folder} cannot be written to: {error.strerror or error} (--output)")
