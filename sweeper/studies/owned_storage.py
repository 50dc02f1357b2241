"""Optuna's storage for the process that owns a study: it reads again only what this process has changed."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.trial import FrozenTrial, TrialState


class OwnedStorage(_CachedStorage):
    """Optuna's cache before a database, without its reading of all running trials each time that one is asked for.

    Optuna must read them because any process may have changed them; with a thousand workers, that takes a second for
    each epoch. Here only the owner changes a study's trials and attributes, through this object. A changed trial is
    read again, and not computed: it is what the database makes of it.
    """

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        # By study: its newest trial that was read, the trials that were changed since they were read, its attributes.
        self._newest: dict[int, int] = {}
        self._changed: defaultdict[int, set[int]] = defaultdict(set)
        self._attributes: dict[int, dict[str, Any]] = {}

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._lock:
            changed = self._changed[study_id]
            if study_id in self._newest and not changed:
                return
            self._studies.setdefault(study_id, _StudyInfo())
            newest = self._newest.get(study_id, -1)
            trials = self._backend._get_trials(study_id, None, changed, newest)
            self._add_trials_to_cache(study_id, trials)
            self._newest[study_id] = max(newest, *(trial._trial_id for trial in trials), -1)
            changed.clear()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._changed[study_id].add(trial_id)
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        self._change(trial_id)
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        self._change(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._change(trial_id)
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._change(trial_id)
        super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._change(trial_id)
        super().set_trial_system_attr(trial_id, key, value)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        if study_id not in self._attributes:
            self._attributes[study_id] = super().get_study_user_attrs(study_id)
        return self._attributes[study_id]

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        known = self._attributes.pop(study_id, None)  # if the write fails, nobody knows what is stored
        super().set_study_user_attr(study_id, key, value)
        if known is not None:
            self._attributes[study_id] = known | {key: json.loads(json.dumps(value))}

    def _change(self, trial_id: int) -> None:
        """Notes that a trial is about to change, even if its write then fails: it may have been stored."""
        study_id, _ = self._trial_id_to_study_id_and_number[trial_id]
        self._changed[study_id].add(trial_id)
