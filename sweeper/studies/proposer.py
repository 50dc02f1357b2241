"""Proposes what a study tries next: enqueued variants, then the sampler's proposals or a grid's points."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from sweeper.config import Configuration
from sweeper.errors import SweeperError, plain
from sweeper.spaces.space import Space
from sweeper.studies.attributes import TRIAL, WARM_START
from sweeper.studies.optuna_warnings import quiet
from sweeper.studies.owned_storage import together
from sweeper.studies.pruners import make_pruner
from sweeper.studies.replay import finish_draw
from sweeper.studies.samplers import make_sampler, shuffled_grid
from sweeper.studies.seeds import derive_seed
from sweeper.studies.spec import StudySpec
from sweeper.studies.storage_errors import REMEDY
from sweeper.studies.trial_records import trial_name

# The space counts as exhausted after this many proposals in a row without a new configuration.
MOST_DUPLICATES = 100
# The coordinator's part of the sampler's seed; a study has only one coordinator.
COORDINATOR = 0


@dataclass(frozen=True)
class Proposal:
    """A configuration to train, with its Optuna trial.

    A variant outside the space is trained and ranked, but neither the sampler nor the pruner sees it.
    """

    trial: Trial
    configuration: Configuration
    variant: str | None
    outside_space: bool

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def name(self) -> str:
        return trial_name(self.number, self.variant)

    @property
    def warm_start(self) -> str | None:
        """The trial of another study whose configuration it tries, as STUDY:NUMBER."""
        found: str | None = self.trial.user_attrs.get(WARM_START)
        return found

    @property
    def last_step(self) -> int:
        """The last step that the pruner has seen of the trial; 0 before the first."""
        return self.trial.study._storage.get_trial(self.trial._trial_id).last_step or 0


class Proposer:
    """Proposes what a study tries next: enqueued variants, then the sampler's proposals or a grid's points."""

    def __init__(self, study: optuna.Study, space: Space, spec: StudySpec) -> None:
        self.study, self.space = study, space
        self._seed, self._sampler = spec.seed, spec.sampler
        study.pruner = make_pruner(spec.pruner, spec.n_steps)
        self._variants_only = spec.variants_only
        self._grid: dict[str, dict[str, Any]] | None = None  # the points that none of the first n_seen trials has
        self._n_seen = 0
        if self._sampler == "grid":
            self._grid = {_key(point): point for point in shuffled_grid(space, self._seed)}

    def unfinished(self) -> list[Proposal]:
        """Trials that a process left running, to be resumed with the same number and seed."""
        proposals = []
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if TRIAL not in frozen.user_attrs and not frozen.user_attrs.get("comparator", False):
                finish_draw(self.study, frozen._trial_id, self.space, self._new_sampler(frozen.number))
            self.study.sampler = self._new_sampler(frozen.number)
            with quiet(), together(self.study):
                proposals.append(self._proposal(Trial(self.study, frozen._trial_id)))
        return proposals

    def has_waiting(self) -> bool:
        """Whether a variant or a retried trial is enqueued."""
        return bool(self._waiting())

    def _waiting(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def ask(self) -> Proposal | None:
        """The next proposal, recorded as running; None if a grid, or a study of only variants, is at its end."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = self._waiting()
        if self._variants_only and not waiting:
            return None
        if self._grid is not None and not waiting:
            for trial in trials[self._n_seen :]:
                self._grid.pop(_key(trial.params), None)
            self._n_seen = len(trials)
            point = next(iter(self._grid.values()), None)
            if point is None:
                return None
            self.study.enqueue_trial(point)
        # Every proposal gets a new sampler with its own seed: otherwise a resumed study would restart the sampler's
        # sequence, and propose its first trials a second time.
        self.study.sampler = self._new_sampler(len(trials) - len(waiting))
        with quiet(), together(self.study):
            return self._proposal(self.study.ask())

    def _new_sampler(self, n_asked: int) -> BaseSampler:
        with quiet():
            return make_sampler(self._sampler, self.space, derive_seed(self._seed, "sampler", n_asked, COORDINATOR))

    def _proposal(self, trial: Trial) -> Proposal:
        variant = trial.user_attrs.get("variant")
        outside_space = trial.user_attrs.get("comparator", False)
        if outside_space and variant not in self.space.variants:
            raise SweeperError(
                f"trial {trial.number} of study {self.study.study_name} cannot be trained: the space has no variant "
                f"{plain(str(variant))}; {REMEDY}"
            )
        with quiet():
            configuration = (
                self.space.variants[str(variant)].configuration if outside_space else self.space.suggest(trial)
            )
        if TRIAL not in trial.user_attrs:
            trial.set_user_attr(TRIAL, {"configuration": configuration.values()})
        return Proposal(trial, configuration, variant, outside_space)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
