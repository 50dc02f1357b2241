"""Writes a report in one of its forms, whole or not at all; replaces only what `sweeper report` has written."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.report.content import GENERATOR, Report
from sweeper.report.markdown import markdown
from sweeper.report.page import page
from sweeper.store.atomic import check_writable, whole_file, whole_folder
from sweeper.store.shown import shown

# The forms, each with the end of its usual name; Markdown is a folder.
FORMS: Mapping[str, str] = {"html": "-report.html", "md": "-report", "json": "-report.json"}
MARKDOWN = "report.md"
# What only a report has, and has within so many bytes from its beginning.
MARKS: Mapping[str, str] = {
    "html": f'<meta name="generator" content="{GENERATOR}">',
    "md": f"<!-- {GENERATOR} -->",
    "json": f'"generator": "{GENERATOR}"',
}
HEAD = 4096


def check_place(path: Path, form: str) -> None:
    """Raises SweeperError, before anything is computed, for a place that no report can be written to."""
    if not path.exists() and not path.parent.is_dir():
        raise SweeperError(f"{path} cannot be written: {path.parent} is no folder (--output)")
    if path.exists():
        _check_is_report(path, form)
    try:
        check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_is_report(path: Path, form: str) -> None:
    """Raises SweeperError for a file or folder that `sweeper report` has not written, unless it is empty."""
    if form == "md" and path.is_dir() and not any(path.iterdir()):
        return
    if path.is_dir() != (form == "md") or not _is_report(path / MARKDOWN if form == "md" else path, form):
        raise SweeperError(f"{path} exists and is no {form} report of sweeper's: give another name (--output)")
    if form == "md" and (
        other := [file.name for file in path.iterdir() if file.name != MARKDOWN and file.suffix != ".png"]
    ):
        raise SweeperError(f"{path} holds {other[0]}, which is no part of a report: give another name (--output)")


def write(report: Report, path: Path, form: str) -> None:
    """Writes the report in one of FORMS. Raises SweeperError if it cannot be written, or as check_place does."""
    check_place(path, form)
    write_form: Mapping[str, Callable[[Report, Path], None]] = {"html": _html, "md": _markdown, "json": _json}
    try:
        write_form[form](report, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> SweeperError:
    return SweeperError(f"{path} cannot be written: {error.strerror or error} (--output)")


def _html(report: Report, path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(page(report), encoding="utf-8")


def _json(report: Report, path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(shown(json.dumps(report.as_json(), indent=2) + "\n"), encoding="utf-8")


def _markdown(report: Report, path: Path) -> None:
    with whole_folder(path) as temporary:
        (temporary / MARKDOWN).write_text(markdown(report, temporary), encoding="utf-8")


def _is_report(path: Path, form: str) -> bool:
    """Whether `sweeper report` has written this file in this form, or it is empty."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return not head or MARKS[form].encode() in head
