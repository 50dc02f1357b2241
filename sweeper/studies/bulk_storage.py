"""Optuna's storage with few statements: trials are read table by table, and a trial's changes written as one."""

import json
from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Table, delete, insert, or_, select
from sqlalchemy.orm import Session

# Databases limit the values of a statement, SQLite to 32,766 at least. More trials than this are all read, and chosen.
MOST_NAMED = 500

_STUDY_ATTRIBUTES: Table = models.StudyUserAttributeModel.__table__
_TRIALS: Table = models.TrialModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_PARAMS: Table = models.TrialParamModel.__table__
_USER_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_SYSTEM_ATTRIBUTES: Table = models.TrialSystemAttributeModel.__table__
_STEPS: Table = models.TrialIntermediateValueModel.__table__
_to_step = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
_from_step = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value


@dataclass
class Changes:
    """What is to be written of a running trial, by name or step, in the form in which it is stored.

    Parameters have their value and the JSON text of their distribution, attributes are JSON text.
    """

    params: dict[str, tuple[float, str]] = field(default_factory=dict)
    user_attrs: dict[str, str] = field(default_factory=dict)
    system_attrs: dict[str, str] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)


@lru_cache(maxsize=1024)
def distribution_of(text: str) -> BaseDistribution:
    """The distribution in its stored form. A study has few, which its trials share: nobody changes one."""
    return json_to_distribution(text)


class BulkStorage(RDBStorage):
    """Optuna's storage, which reads many trials and writes many changes with few statements.

    Optuna's own makes an object of every row that it reads, and a transaction of each change.
    """

    def write_changes(self, trial_id: int, changes: Changes) -> None:
        """Writes a running trial's changes in one transaction. It may be done twice."""
        rows: list[tuple[Table, str, list[dict[str, Any]]]] = [
            (
                _PARAMS,
                "param_name",
                [
                    {"param_name": name, "param_value": value, "distribution_json": text}
                    for name, (value, text) in changes.params.items()
                ],
            ),
            (_USER_ATTRIBUTES, "key", _texts(changes.user_attrs)),
            (_SYSTEM_ATTRIBUTES, "key", _texts(changes.system_attrs)),
            (_STEPS, "step", [_step(step, value) for step, value in changes.intermediate_values.items()]),
        ]
        with _create_scoped_session(self.scoped_session) as session:
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            self.check_trial_is_updatable(trial_id, trial.state)  # type: ignore[arg-type]
            for table, key, written in rows:
                if written:
                    keys = [row[key] for row in written]
                    session.execute(delete(table).where(table.c.trial_id == trial_id, table.c[key].in_(keys)))
                    session.execute(insert(table), [{"trial_id": trial_id, **row} for row in written])

    def set_study_user_attrs(self, study_id: int, attributes: Mapping[str, Any]) -> None:
        """Sets attributes of a study in one transaction. It may be done twice."""
        rows = _texts({key: json.dumps(value) for key, value in attributes.items()})
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            for part in (rows[start : start + MOST_NAMED] for start in range(0, len(rows), MOST_NAMED)):
                known = _STUDY_ATTRIBUTES.c.key.in_([row["key"] for row in part])
                session.execute(delete(_STUDY_ATTRIBUTES).where(_STUDY_ATTRIBUTES.c.study_id == study_id, known))
                session.execute(insert(_STUDY_ATTRIBUTES), [{"study_id": study_id, **row} for row in part])

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        of_study = _STUDY_ATTRIBUTES.c.study_id == study_id
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session)
            rows = session.execute(select(_STUDY_ATTRIBUTES.c.key, _STUDY_ATTRIBUTES.c.value_json).where(of_study))
            return {key: json.loads(text) for key, text in rows}

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        named = {trial_id for trial_id in included_trial_ids if trial_id <= trial_id_greater_than}
        chosen: list[ColumnElement[bool]] = [_TRIALS.c.study_id == study_id]
        if trial_id_greater_than > -1 and len(named) <= MOST_NAMED:
            chosen.append(or_(_TRIALS.c.trial_id.in_(named), _TRIALS.c.trial_id > trial_id_greater_than))
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session)
            columns = ("trial_id", "number", "state", "datetime_start", "datetime_complete")
            trials = session.execute(
                select(*(_TRIALS.c[name] for name in columns)).where(*chosen).order_by(_TRIALS.c.trial_id)
            ).all()
            # In Optuna's order: what is written meanwhile belongs to trials that were read as not ended. Of these, one
            # may end meanwhile, so that its state must not choose the rows.
            read = [
                _rows(session, _PARAMS, "param_id", ("param_name", "param_value", "distribution_json"), chosen),
                _rows(session, _VALUES, "objective", ("value", "value_type"), chosen),
                _rows(session, _USER_ATTRIBUTES, "trial_user_attribute_id", ("key", "value_json"), chosen),
                _rows(session, _SYSTEM_ATTRIBUTES, "trial_system_attribute_id", ("key", "value_json"), chosen),
                _rows(
                    session,
                    _STEPS,
                    "trial_intermediate_value_id",
                    ("step", "intermediate_value", "intermediate_value_type"),
                    chosen,
                ),
            ]
        return [
            _frozen(trial, *(rows.get(trial.trial_id, ()) for rows in read))
            for trial in trials
            if (trial.trial_id > trial_id_greater_than or trial.trial_id in named)
            and (states is None or trial.state in states)
        ]


def _texts(attributes: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": text} for key, text in attributes.items()]


def _step(step: int, value: float) -> dict[str, Any]:
    stored, kind = _to_step(value)
    return {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _rows(
    session: Session, table: Table, order: str, columns: Sequence[str], chosen: Collection[ColumnElement[bool]]
) -> dict[int, list[Any]]:
    """The table's rows of the chosen trials, by trial."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    query = select(table.c.trial_id, *(table.c[name] for name in columns)).join(
        _TRIALS, _TRIALS.c.trial_id == table.c.trial_id
    )
    for row in session.execute(query.where(*chosen).order_by(table.c[order])):
        found[row[0]].append(row)
    return found


def _frozen(
    trial: Any,
    params: Sequence[Any],
    values: Sequence[Any],
    user_attributes: Sequence[Any],
    system_attributes: Sequence[Any],
    steps: Sequence[Any],
) -> FrozenTrial:
    kept = [(name, value, distribution_of(text)) for _, name, value, text in params]
    return FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=None,
        values=[models.TrialValueModel.stored_repr_to_value(value, kind) for _, value, kind in values] or None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params={name: distribution.to_external_repr(value) for name, value, distribution in kept},
        distributions={name: distribution for name, _, distribution in kept},
        user_attrs={key: json.loads(text) for _, key, text in user_attributes},
        system_attrs={key: json.loads(text) for _, key, text in system_attributes},
        intermediate_values={step: _from_step(value, kind) for _, step, value, kind in steps},
        trial_id=trial.trial_id,
    )
