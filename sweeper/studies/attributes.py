"""Names of the user attributes of Optuna's studies and trials, and access to those that every study has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from sweeper.errors import SweeperError, plain, shortened
from sweeper.evaluation.constant import Constant
from sweeper.store.names import is_id
from sweeper.store.stored_values import checked
from sweeper.studies.spec import StudySpec
from sweeper.studies.storage_errors import UNREADABLE, reading

# Attributes of a study.
SPEC, STUDY_ID, RUN_ID, SCHEMA = "spec", "study_id", "run_id", "schema"
# The schema that is written: the meaning of the attributes. A higher one cannot be read, a lower one only shown.
CURRENT_SCHEMA = 3
# Attributes of a trial: its configuration, and how it ended.
TRIAL, RESULT = "trial", "result"
# What its network takes for one image, if the search limits that.
MILLISECONDS = "milliseconds"
# The machines on which a running trial trains, if they are others than that of the command.
PLACE = "place"
# The kind of processor or GPU that the first of the study's trials was trained on (process.processor).
PROCESSOR = "processor"
# The number of the trial whose configuration this one tries again.
RETRY_OF = "retry_of"
# Of a study that started from another: which one, and what it took over. Of a trial: the trial STUDY:NUMBER of the
# other study whose configuration it tries, or whose score it has without having been trained here.
WARM_START, SCORE_OF = "warm_start", "score_of"


@dataclass(frozen=True)
class WarmStartNote:
    """What a study keeps of its warm start: the other study, what was taken over in words, and whether all of it is."""

    study: str
    study_id: str
    told: str
    done: bool


# The kinds of a study's attributes; every trial's MLflow run has one of its own.
_KINDS: Mapping[str, Any] = {
    SCHEMA: int,
    "ended": str | None,
    "command": str,
    "trials": int,
    "seconds": float,
    "data_path": str | None,
    "tracking": str,
    "constant": Constant | None,
    PROCESSOR: str,
    WARM_START: WarmStartNote,
}


def check_attributes(study: optuna.Study) -> Mapping[str, Any]:
    """The study's attributes. Raises SweeperError for one that sweeper does not write, other than the spec."""
    with reading(f"study {plain(study.study_name)}"):
        found = attributes_of(study)
        for name, value in found.items():
            kind = str if name.startswith(f"{RUN_ID}:") else _KINDS.get(name)
            if kind is not None:
                checked(kind, value, name)
    return found


def attributes_of(study: optuna.Study) -> Mapping[str, Any]:
    """The study's attributes, unchecked. Raises SweeperError for one that Optuna cannot read."""
    with reading(f"study {plain(study.study_name)}", study._storage):
        # Not study.user_attrs, which copies each value: there is one for every trial.
        return dict(study._storage.get_study_user_attrs(study._study_id))


def spec_of(study: optuna.Study) -> StudySpec:
    """The spec that the study was started with."""
    return spec_in(study.study_name, attributes_of(study))


def spec_in(name: str, attributes: Mapping[str, Any]) -> StudySpec:
    """The spec among these attributes of the study `name`. Raises SweeperError for one that cannot be read."""
    try:
        complete = attributes.get(SCHEMA, CURRENT_SCHEMA) >= CURRENT_SCHEMA
        return StudySpec.from_json(attributes[SPEC], complete=complete)
    except UNREADABLE as error:
        raise SweeperError(
            f"study {plain(name)} cannot be read: its spec was changed, or another version of sweeper wrote it "
            f"({shortened(f'{type(error).__name__}: {error}')})"
        ) from error


def id_of(study: optuna.Study) -> str:
    """The study's random id, which no other study has in any storage.

    Raises SweeperError for one that sweeper has not made: the names of files and folders are made from it.
    """
    study_id = attributes_of(study).get(STUDY_ID)
    if not is_id(study_id):
        raise SweeperError(
            f"study {plain(study.study_name)} cannot be read: its id must be 32 hexadecimal digits, got "
            f"{shortened(repr(study_id))}; put Optuna's database back from a backup, or take another store"
        )
    return study_id
