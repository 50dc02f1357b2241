"""Makes a report on a study: collected, written, and copied to the study's run in MLflow."""

import os
from collections.abc import Callable
from pathlib import Path

from sweeper.data.source import DataAccess
from sweeper.errors import SweeperError
from sweeper.process.resources import usable_cores
from sweeper.report.collect import collect
from sweeper.report.writing import FORMS, check_place, write
from sweeper.store.layout import Store
from sweeper.studies.queries import find_study
from sweeper.tracking.study_run import StudyRun, add_file

Tell = Callable[[str], None]


def make(
    store: Store, study: str | None, output: Path | None, form: str, access: DataAccess, notify: Tell, *, warn: Tell
) -> Path:
    """The path of the report on a study (None is the latest) in one of FORMS; `output` None means its usual name.

    `notify` gets what is done and what cannot be read; `warn` gets why MLflow has no copy. Raises SweeperError.
    """
    name = find_study(store, study).study_name
    path = output or Path(f"{name}{FORMS[form]}")
    check_place(path, form)
    found, run = collect(store, name, access, usable_cores(os.environ), notify)
    notify("Drawing the figures")
    write(found, path, form)
    if form == "html":
        _log(store, run, path, warn, is_snapshot=found.study["is_snapshot"])
    return path


def _log(store: Store, run: StudyRun | None, path: Path, warn: Tell, *, is_snapshot: bool) -> None:
    """Puts the page into the study's run; a study that is still running has not its report yet."""
    if run is None or is_snapshot:
        why = "the study is still running" if is_snapshot else "it has no run of this study that could be read"
        warn(f"MLflow gets no copy of the page: {why}")
        return
    try:
        add_file(store, run.run_id, path, "report")
    except SweeperError as error:
        warn(f"Warning: MLflow has no copy of the page: {error}")
