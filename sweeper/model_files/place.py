"""Where an exported file goes: only in place of what sweeper has exported before."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from sweeper.errors import SweeperError, plain
from sweeper.model_files.program import ABOUT
from sweeper.store.atomic import check_writable

# The formats, each with the end of its file's usual name.
FORMATS: Mapping[str, str] = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors"}
# What an exported file begins with, after the version of ONNX or the length of the header.
MARKS: Mapping[str, bytes] = {"onnx": b"\x12\x07sweeper", "safetensors": b'{"__metadata__":{"sweeper":"'}
HEAD = 64


def check_place(path: Path, form: str) -> None:
    """Raises SweeperError, before anything is computed, for a place to which the file cannot be written."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise SweeperError(f"{plain(path)}: the name of an exported file must be UTF-8 (--output)") from error
    if not path.parent.is_dir():
        raise SweeperError(f"{path} cannot be written: {path.parent} is no folder (--output)")
    if path.exists() and not (path.is_file() and _is_export(path, form)):
        raise SweeperError(f"{path} exists and is no {form} export of sweeper's: give another name (--output)")
    try:
        check_writable(path)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> SweeperError:
    """The error of a file that cannot be written, for the system's reason."""
    return SweeperError(f"{path} cannot be written: {error.strerror or error} (--output)")


def _is_export(path: Path, form: str) -> bool:
    """Whether sweeper has exported this file in this format, or it is empty."""
    try:
        if not path.stat().st_size:
            return True
        if form == "pt2":
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(f"/extra/{ABOUT}") for name in archive.namelist())
        with open(path, "rb") as file:
            return MARKS[form] in file.read(HEAD)
    except (OSError, zipfile.BadZipFile):
        return False
