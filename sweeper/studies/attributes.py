"""Names of the user attributes of Optuna's studies and trials, and access to those that every study has."""

import optuna

from sweeper.studies.spec import StudySpec

# Attributes of a study.
SPEC, STUDY_ID, RUN_ID = "spec", "study_id", "run_id"
# Attributes of a trial: its configuration, and how it ended.
TRIAL, RESULT = "trial", "result"


def spec_of(study: optuna.Study) -> StudySpec:
    """The spec that the study was started with."""
    return StudySpec.from_json(study.user_attrs[SPEC])


def id_of(study: optuna.Study) -> str:
    """The study's random id, which no other study has in any storage."""
    study_id: str = study.user_attrs[STUDY_ID]
    return study_id
