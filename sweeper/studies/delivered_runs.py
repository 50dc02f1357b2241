"""Records in a study the MLflow runs that were created after their trials had ended."""

from collections.abc import Mapping

import optuna

from sweeper.store.layout import Store
from sweeper.studies import storage_errors, trial_records
from sweeper.studies.attributes import id_of
from sweeper.studies.ownership import check_free
from sweeper.studies.queries import studies_in


def record_runs(study: optuna.Study, run_ids: Mapping[int, str]) -> None:
    """Records the runs, given by trial number, that the study lacks."""
    if new := _unknown(study, run_ids):
        trial_records.set_run_ids(study, new)


def record_after_sync(store: Store, name: str, study_id: str, run_ids: Mapping[int, str]) -> None:
    """The same after `sweeper sync`, which has the study's lock; does nothing if the study is gone.

    Raises SweeperError if its storage cannot be used, or a process with another store runs the study: it records them.
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
