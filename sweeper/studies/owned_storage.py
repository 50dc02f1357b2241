"""Optuna's storage for the process that owns a study: few reads, and one write of what belongs together."""

import copy
import json
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.trial import FrozenTrial, TrialState

from sweeper.studies.bulk_storage import BulkStorage, Changes, distribution_of

_FIELDS = ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values")


def together(study: optuna.Study) -> AbstractContextManager[None]:
    """Makes the changes to a trial within the block one write at its end, if its storage is an OwnedStorage."""
    storage = study._storage
    return storage.together() if isinstance(storage, OwnedStorage) else nullcontext()


def set_attributes(study: optuna.Study, attributes: Mapping[str, Any]) -> None:
    """Sets attributes of the study, in one transaction if its storage is a database."""
    storage = study._storage
    if isinstance(storage, OwnedStorage):
        storage.set_study_user_attrs(study._study_id, attributes)
    elif isinstance(storage, _CachedStorage) and isinstance(storage._backend, BulkStorage):
        storage._backend.set_study_user_attrs(study._study_id, attributes)  # Optuna's cache has none of a study
    else:
        for key, value in attributes.items():
            study.set_user_attr(key, value)


class OwnedStorage(_CachedStorage):
    """Optuna's cache before a database, without its reading of all running trials each time that one is asked for.

    Optuna must read them because any process may have changed them; with a thousand workers, that takes a second for
    each epoch. Here only the owner changes a study's trials and attributes, through this object and in one thread. A
    change to a trial makes a new object of it, as the database would return it. A trial is read again if its state has
    changed, because the database sets the time, and if a write failed, because nobody knows what is stored.
    """

    _backend: BulkStorage

    def __init__(self, backend: BulkStorage) -> None:
        super().__init__(backend)
        # By study: its newest trial that was read, the trials to read again, those not ended, its attributes.
        self._newest: dict[int, int] = {}
        self._stale: defaultdict[int, set[int]] = defaultdict(set)
        self._open: defaultdict[int, set[int]] = defaultdict(set)
        self._attributes: dict[int, dict[str, Any]] = {}
        self._pending: dict[int, Changes] = {}  # by trial: changes that the trials in memory have already
        self._is_together = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Makes the changes to a trial within the block one write at its end; after an error there is no write.

        Nobody may be told of such a change, or act on it, before the block has ended.
        """
        assert not self._is_together
        self._is_together = True
        try:
            yield
        except BaseException:
            self._distrust(*self._pending)
            self._pending.clear()
            raise
        finally:
            self._is_together = False
        self._write()

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id not in self._trial_id_to_study_id_and_number:
            return super().get_trial(trial_id)
        trial = self._trial(trial_id)
        return trial if trial.state.is_finished() else _copy(trial)  # Optuna changes running ones that it has read

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        self._read_trials_from_remote_storage(study_id)
        trials = self._studies[study_id].trials  # in the order of their numbers
        if states is None:
            found = list(trials.values())
        elif not any(state.is_finished() and state in states for state in TrialState):
            found = [trials[number] for number in sorted(self._open[study_id]) if trials[number].state in states]
        else:
            found = [trial for trial in trials.values() if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._read_trials_from_remote_storage(study_id)  # earlier trials come before it
        trial_id = super().create_new_trial(study_id, template_trial)
        self._newest[study_id] = trial_id
        if template_trial is not None:  # the database may have made something else of it
            self._distrust(trial_id)
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        text, value = distribution_to_json(distribution), float(param_value_internal)
        kept = distribution_of(text)
        if earlier := self._earlier_distribution(trial_id, param_name):
            check_distribution_compatibility(earlier, distribution)
        self._keep(trial_id, "distributions", param_name, kept)
        self._put(trial_id, "params", param_name, kept.to_external_repr(value), (value, text))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        value = float(intermediate_value)
        self._put(trial_id, "intermediate_values", step, value, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        self._put(trial_id, "user_attrs", key, json.loads(text), text)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        self._put(trial_id, "system_attrs", key, json.loads(text), text)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        self._write()  # what an ended trial has must be stored before its end
        self._distrust(trial_id)  # even if this write then fails: it may have been stored
        return super().set_trial_state_values(trial_id, state, values)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        if study_id not in self._attributes:
            self._attributes[study_id] = super().get_study_user_attrs(study_id)
        return self._attributes[study_id]

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        known = self._attributes.pop(study_id, None)  # if the write fails, nobody knows what is stored
        super().set_study_user_attr(study_id, key, value)
        if known is not None:
            self._attributes[study_id] = known | {key: json.loads(json.dumps(value))}

    def set_study_user_attrs(self, study_id: int, attributes: Mapping[str, Any]) -> None:
        """Sets attributes of a study in one transaction."""
        known = self._attributes.pop(study_id, None)  # as above
        self._backend.set_study_user_attrs(study_id, attributes)
        if known is not None:
            self._attributes[study_id] = known | json.loads(json.dumps(attributes))

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        stale = self._stale[study_id]
        if study_id in self._newest and not stale:
            return
        self._studies.setdefault(study_id, _StudyInfo())
        newest = self._newest.get(study_id, -1)
        trials = self._backend._get_trials(study_id, None, stale, newest)
        self._add_trials_to_cache(study_id, trials)
        self._newest[study_id] = max(newest, *(trial._trial_id for trial in trials), -1)
        stale.clear()

    def _add_trials_to_cache(self, study_id: int, trials: list[FrozenTrial]) -> None:
        super()._add_trials_to_cache(study_id, trials)
        for trial in trials:
            (self._open[study_id].discard if trial.state.is_finished() else self._open[study_id].add)(trial.number)

    def _trial(self, trial_id: int) -> FrozenTrial:
        """The trial as it is now."""
        study_id, number = self._trial_id_to_study_id_and_number[trial_id]
        if trial_id in self._stale[study_id]:
            self._read_trials_from_remote_storage(study_id)
        return self._studies[study_id].trials[number]

    def _earlier_distribution(self, trial_id: int, name: str) -> BaseDistribution | None:
        """What the study's trials have had for a parameter; None if it is their first."""
        study = self._studies[self._trial_id_to_study_id_and_number[trial_id][0]]
        if name not in study.param_distribution:
            found = next((t.distributions[name] for t in study.trials.values() if name in t.distributions), None)
            if found is None:
                return None
            study.param_distribution[name] = found
        return study.param_distribution[name]

    def _put(self, trial_id: int, field: str, key: Any, kept: Any, stored: Any) -> None:
        """Changes one value of a running trial, in memory as it is `kept`, and in the database as it is `stored`."""
        self._keep(trial_id, field, key, kept)
        getattr(self._pending.setdefault(trial_id, Changes()), field)[key] = stored
        if not self._is_together:
            self._write()

    def _keep(self, trial_id: int, field: str, key: Any, kept: Any) -> None:
        trial = self._trial(trial_id)
        self.check_trial_is_updatable(trial_id, trial.state)
        changed = copy.copy(trial)
        setattr(changed, field, getattr(trial, field) | {key: kept})
        self._add_trials_to_cache(self._trial_id_to_study_id_and_number[trial_id][0], [changed])

    def _write(self) -> None:
        pending, self._pending = self._pending, {}
        try:
            for trial_id, changes in pending.items():
                self._backend.write_changes(trial_id, changes)
        except BaseException:
            self._distrust(*pending)
            raise

    def _distrust(self, *trial_ids: int) -> None:
        for trial_id in trial_ids:
            self._stale[self._trial_id_to_study_id_and_number[trial_id][0]].add(trial_id)


def _copy(trial: FrozenTrial) -> FrozenTrial:
    """A trial whose fields can be set without changing the other's."""
    copied = copy.copy(trial)
    for field in _FIELDS:
        setattr(copied, field, dict(getattr(trial, field)))
    return copied
