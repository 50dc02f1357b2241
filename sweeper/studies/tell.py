"""Ends trials in Optuna's storage."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from sweeper.events import State
from sweeper.studies.attributes import RESULT
from sweeper.studies.optuna_warnings import quiet
from sweeper.studies.owned_storage import together
from sweeper.studies.proposer import Proposal
from sweeper.studies.trial_records import TrialRecord


def tell(
    study: optuna.Study,
    proposal: Proposal,
    state: State,
    result: Mapping[str, Any],
    violated: Mapping[str, float] | None = None,
) -> None:
    """Ends a trial in the storage: `state` is complete, pruned or failed, `result` is stored for its TrialRecord.

    `violated` gives, for each violated constraint, by how much; the sampler learns from it to avoid such trials.
    """
    with together(study):
        proposal.trial.set_user_attr(RESULT, {**result, "state": state, "violated": dict(violated or {})})
        _end(study, proposal.trial)


def end_trials_with_results(study: optuna.Study) -> None:
    """Ends trials whose result was stored, but whose end was not: a process was killed, or the storage failed.

    The stored result holds: a pruned trial must not be trained further.
    """
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if RESULT in frozen.user_attrs:
            with quiet():
                _end(study, Trial(study, frozen._trial_id))


def _end(study: optuna.Study, trial: Trial) -> None:
    """Ends a trial as its stored result says."""
    result = trial.user_attrs[RESULT]
    for name, by in result.get("violated", {}).items():
        if name not in trial.constraints:
            trial.set_constraint(name, by)
    if trial.user_attrs.get("comparator", False) or result["state"] == State.FAILED:
        # Optuna's samplers and pruners skip failed trials, so they never see a variant outside the space.
        study.tell(trial, state=TrialState.FAIL)
    elif result["state"] == State.PRUNED:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, result["value"])


def tell_duplicate(study: optuna.Study, proposal: Proposal, original: TrialRecord) -> None:
    """Ends a duplicate of a finished trial with that trial's result: the sampler learns from it; it is not counted."""
    with together(study):
        _tell_duplicate(study, proposal, original)


def _tell_duplicate(study: optuna.Study, proposal: Proposal, original: TrialRecord) -> None:
    trial = proposal.trial
    trial.set_user_attr("duplicate_of", original.number)
    if proposal.outside_space:
        study.tell(trial, state=TrialState.FAIL)  # the sampler never sees a variant outside the space
        return
    last_step = proposal.last_step  # a killed process may have reported the first ones
    for step, value in sorted(original.values.items()):
        if step > last_step:
            trial.report(value, step)
    if not original.feasible:
        trial.set_constraint("duplicate", 1.0)
    if original.state == State.COMPLETE:
        assert original.value is not None
        study.tell(trial, original.value)
    else:
        study.tell(trial, state=TrialState.PRUNED)
