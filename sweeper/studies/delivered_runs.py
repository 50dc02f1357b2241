"""Records in a study the runs of its trials that MLflow made only after they had ended."""

from collections.abc import Mapping

import optuna

from sweeper.store.layout import Store
from sweeper.studies import storage_errors, trial_records
from sweeper.studies.attributes import id_of
from sweeper.studies.ownership import check_free
from sweeper.studies.queries import studies_in


def add(study: optuna.Study, run_ids: Mapping[int, str]) -> None:
    """Records those of these runs, by trial, that the study does not know."""
    if new := _unknown(study, run_ids):
        trial_records.set_run_ids(study, new)


def record(store: Store, name: str, study_id: str, run_ids: Mapping[int, str]) -> None:
    """As `add`, for a study of which this process has the lock; does nothing if there is no such study any more.

    Raises SweeperError if its storage cannot be used, or a process with another store runs it and will record them.
    """
    with storage_errors.translated(store):
        for study in studies_in(store):
            if study.study_name != name or id_of(study) != study_id:
                continue
            if new := _unknown(study, run_ids):
                check_free(store, study)
                trial_records.set_run_ids(study, new)


def _unknown(study: optuna.Study, run_ids: Mapping[int, str]) -> dict[int, str]:
    recorded = {trial.number: trial.run_id for trial in trial_records.records(study)}
    return {number: run_ids[number] for number in recorded if run_ids.get(number, recorded[number]) != recorded[number]}
