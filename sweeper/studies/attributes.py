"""The user attributes in which sweeper keeps what Optuna has no place for: their names, and what every study has."""

import optuna

from sweeper.studies.spec import StudySpec

# Of a study.
SPEC, STUDY_ID, RUN_ID = "spec", "study_id", "run_id"
# Of a trial: its configuration, and how it ended.
TRIAL, RESULT = "trial", "result"


def spec_of(study: optuna.Study) -> StudySpec:
    """What the study was started with."""
    return StudySpec.from_json(study.user_attrs[SPEC])


def id_of(study: optuna.Study) -> str:
    """A random name that no other study has, in whatever storage."""
    study_id: str = study.user_attrs[STUDY_ID]
    return study_id
