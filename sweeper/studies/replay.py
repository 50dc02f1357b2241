"""Repeats what a killed process had begun to draw or to ask, so that with one worker a kill changes no decision."""

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import Trial, TrialState

from sweeper.spaces.space import Space
from sweeper.studies.optuna_warnings import quiet

# Optuna's attribute of a trial whose parameters are given.
FIXED = "fixed_params"


def finish_draw(study: optuna.Study, trial_id: int, space: Space, sampler: BaseSampler) -> None:
    """Fixes the parameters of a running trial whose drawing was cut short, as the sampler would have drawn them.

    `sampler` must be made anew, with the trial's seed. Drawing only the missing parameters would give other values,
    because its random numbers come in a sequence.
    """
    frozen = study._storage.get_trial(trial_id)
    if FIXED in frozen.system_attrs:
        return
    with quiet():
        replica = optuna.create_study(direction=study.direction, sampler=sampler)
        earlier = study.get_trials(deepcopy=False)[: frozen.number]
        replica.add_trials([trial for trial in earlier if trial.state != TrialState.WAITING])
        space.suggest(replica.ask())
    study._storage.set_trial_system_attr(trial_id, FIXED, replica.trials[-1].params)


def should_prune(study: optuna.Study, trial: Trial) -> bool:
    """The pruner's answer about a resumed trial's last step, whether or not the killed process had asked already.

    Halving enters a trial into a rung when it is asked, and never prunes the trial in that rung later. With other
    trials running, the answer would depend on them: it is repeated only where none is.
    """
    if trial.should_prune():
        return True
    if len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))) > 1:
        return False
    frozen = study._storage.get_trial(trial._trial_id)
    with quiet():
        replica = optuna.create_study(
            study_name=study.study_name, direction=study.direction, sampler=RandomSampler(), pruner=study.pruner
        )
        begun = optuna.create_trial(state=TrialState.RUNNING)
        replica.add_trials(begun if t.number == trial.number else t for t in study.get_trials(deepcopy=False))
        again = Trial(replica, replica.trials[trial.number]._trial_id)
        answers = []
        for step, value in sorted(frozen.intermediate_values.items()):
            again.report(value, step)
            answers.append(again.should_prune())
    return answers[-1]
