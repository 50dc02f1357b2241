"""The kind of processor or GPU that trainings other than a study's trials began on, in a file beside them."""

from pathlib import Path

from sweeper.process import processor
from sweeper.store.atomic import whole_file
from sweeper.store.locks import writing


def read(path: Path) -> str:
    """The recorded kind; empty before the first training, and for trainings of an older version."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def record(path: Path, kind: str) -> str:
    """Records that the trainings run on this kind from now on. Returns a note if others ran on another.

    Raises SweeperError if the file cannot be written.
    """
    if not (before := read(path)):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_text(f"{kind}\n", encoding="utf-8")
    return processor.change(before, kind)
