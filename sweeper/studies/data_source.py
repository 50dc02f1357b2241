"""Where a study's data are, for commands that use them again."""

import os

import optuna

from sweeper.data.source import DataAccess, DataSource
from sweeper.errors import SweeperError
from sweeper.studies import lifecycle
from sweeper.studies.attributes import spec_of


def source_of(study: optuna.Study, access: DataAccess) -> DataSource:
    """The source of the study's data: the path from the search or, if the data were moved, the folder in `access`.

    Raises SweeperError if there is nothing at the path and no such folder is given.
    """
    spec = spec_of(study)
    path: str | None = study.user_attrs.get(lifecycle.DATA_PATH)
    if path is None:
        return DataSource(spec.dataset, spec.data_options, access.data_dir, access.offline, access.max_bytes)
    if os.path.exists(path):
        return DataSource(path, spec.data_options, None, access.offline, access.max_bytes)
    if access.data_dir is None:
        raise SweeperError(
            f"the data of study {study.study_name} must be where the search read them, got nothing at {path}; "
            "if they were moved, give their new path with --data-dir"
        )
    # The path is absolute because a folder may have the name of a known data set.
    return DataSource(os.path.abspath(access.data_dir), spec.data_options, None, access.offline, access.max_bytes)
