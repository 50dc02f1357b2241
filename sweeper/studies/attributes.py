"""Names of the user attributes of Optuna's studies and trials, and access to those that every study has."""

from collections.abc import Mapping
from typing import Any

import optuna

from sweeper.errors import SweeperError, shortened
from sweeper.store.names import is_id
from sweeper.studies.spec import StudySpec

# Attributes of a study.
SPEC, STUDY_ID, RUN_ID, SCHEMA = "spec", "study_id", "run_id", "schema"
# The schema that is written: the meaning of the attributes. A higher one cannot be read, a lower one only shown.
CURRENT_SCHEMA = 3
# Attributes of a trial: its configuration, and how it ended.
TRIAL, RESULT = "trial", "result"
# The number of the trial whose configuration this one tries again.
RETRY_OF = "retry_of"


def spec_of(study: optuna.Study) -> StudySpec:
    """The spec that the study was started with."""
    return spec_in(study.study_name, study.user_attrs)


def spec_in(name: str, attributes: Mapping[str, Any]) -> StudySpec:
    """The spec among these attributes of the study `name`. Raises SweeperError for one that cannot be read."""
    try:
        complete = attributes.get(SCHEMA, CURRENT_SCHEMA) >= CURRENT_SCHEMA
        return StudySpec.from_json(attributes[SPEC], complete=complete)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SweeperError(
            f"study {name} cannot be read: its spec was changed, or another version of sweeper wrote it "
            f"({type(error).__name__}: {error})"
        ) from error


def id_of(study: optuna.Study) -> str:
    """The study's random id, which no other study has in any storage.

    Raises SweeperError for one that sweeper has not made: the names of files and folders are made from it.
    """
    study_id = study.user_attrs.get(STUDY_ID)
    if not is_id(study_id):
        raise SweeperError(
            f"study {study.study_name} cannot be read: its id must be 32 hexadecimal digits, got "
            f"{shortened(repr(study_id))}"
        )
    return study_id
