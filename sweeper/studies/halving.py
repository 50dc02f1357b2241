"""Successive halving as Optuna's pruner does it, whose decision does not look through all trials of the study."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from weakref import WeakKeyDictionary

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

# The rungs are after 1, 3, 9 and so on steps, and the best third goes on from each.
FACTOR = 3
# Optuna's attribute of a trial that has entered a rung: its name before the rung's number, and as value the score.
RUNG = "completed_rung_"


class HalvingPruner(SuccessiveHalvingPruner):
    """Optuna's pruner with its decisions and stored attributes, which keeps the scores of each rung in order.

    It reads the trials of a study once. Later only its own answers may enter trials into rungs: one process owns a
    study, with one pruner, and ends after a failed write, when nobody knows what is stored.
    """

    def __init__(self) -> None:
        super().__init__(min_resource=1, reduction_factor=FACTOR)
        self._known: WeakKeyDictionary[optuna.Study, defaultdict[str, list[float]]] = WeakKeyDictionary()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        step = trial.last_step
        if step is None:
            return False
        value, entered, rung = trial.intermediate_values[step], trial.system_attrs, 0
        while f"{RUNG}{rung}" in entered:
            rung += 1
        while step >= FACTOR**rung:
            if math.isnan(value) or not self._goes_on(study, trial._trial_id, f"{RUNG}{rung}", value):
                return True
            rung += 1
        return False

    def _goes_on(self, study: optuna.Study, trial_id: int, rung: str, value: float) -> bool:
        """Enters a trial into a rung; whether its score is among the rung's best third, or at first the best."""
        if (scores := self._known.get(study)) is None:
            scores = self._known[study] = _scores(study)
        found = scores[rung]
        study._storage.set_trial_system_attr(trial_id, rung, value)
        insort(found, value)
        maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        n_better = len(found) - bisect_right(found, value) if maximize else bisect_left(found, value)
        return n_better < max(len(found) // FACTOR, 1)


def _scores(study: optuna.Study) -> defaultdict[str, list[float]]:
    """The scores in each rung in order, those of failed trials too, as Optuna counts them."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for trial in study.get_trials(deepcopy=False):
        for name, value in trial.system_attrs.items():
            if name.startswith(RUNG):
                found[name].append(value)
    for values in found.values():
        values.sort()
    return found
