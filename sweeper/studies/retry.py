"""Enqueues configurations of a study again: those that failed, and those for which there is more memory now."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial

from sweeper.events import UNTRAINED, State
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, resume_command, storage_errors, trial_records
from sweeper.studies.attributes import RETRY_OF, WARM_START, id_of
from sweeper.studies.ownership import Tell, claimed
from sweeper.studies.queries import find_again
from sweeper.studies.trial_records import TrialRecord

ENDED_BY = "sweeper retry"
# A trial that ran out of memory is tried again with at least this much more: the share of the memory that is available
# at a start differs by some percent from start to start.
MORE_MEMORY = 1.1


@dataclass(frozen=True)
class Retried:
    """The numbers of the retried trials, and the total of trials and the command with which all of them run."""

    study_name: str
    numbers: tuple[int, ...]
    trials: int
    command: str | None


def retry_failed(store: Store, study: optuna.Study, tell: Tell = lambda text: None) -> Retried:
    """Enqueues each configuration whose trials have all failed, once; the next search begins with them.

    Skips configurations that are already waiting or running, or have a result by now. Raises SweeperError for a study
    that no search can resume, and while a process runs it; `tell` gets a line if it must be waited for that to be
    known.
    """
    name, study_id = study.study_name, id_of(study)
    with ExitStack() as stack:
        stack.enter_context(storage_errors.translated(store))
        stack.enter_context(store.owning(name))
        study = find_again(store, name, study_id)
        lifecycle.check_resumable(study, store_arguments(store))
        stack.enter_context(claimed(store, study, tell))
        trials, frozen = trial_records.records(study), study.get_trials(deepcopy=False)
        numbers = _failed(trials, frozen)
        total, command = study.user_attrs.get("trials", 0), lifecycle.resuming_command(study, store.root)
        if numbers:
            begun = sum(trial.state in (State.RUNNING, State.WAITING) for trial in trials)
            needed = trial_records.n_counted(trials) + begun + len(numbers)
            total = max(total, needed)
            command = command and resume_command.with_trials(command, total)
            # Before anything is enqueued, because an enqueued trial would wait for ever in a study marked as finished.
            lifecycle.mark_running(study, total, command or "")
            lifecycle.mark_ended(study, ENDED_BY)
        for number in numbers:
            _enqueue(study, frozen[number])
    return Retried(name, tuple(numbers), total, command)


def retry_out_of_memory(study: optuna.Study, memory: int | None) -> list[str]:
    """Enqueues the trials that ran out of less memory than one trial can have now, in bytes; returns a line for each.

    Only the study's owner may call it. Trials of older versions, which did not record their memory, stay as they are,
    as all do if the present memory is not known.
    """
    lines = []
    frozen = study.get_trials(deepcopy=False)
    for trial in trial_records.records(study):
        if trial.memory is None or memory is None or trial.retried or memory < MORE_MEMORY * trial.memory:
            continue
        _enqueue(study, frozen[trial.number])
        lines.append(
            f"{trial.name} ran out of {trial.memory / (1 << 30):.3g} GiB of memory; there are "
            f"{memory / (1 << 30):.3g} GiB now: it is tried again"
        )
    return lines


def _failed(trials: Sequence[TrialRecord], frozen: Sequence[FrozenTrial]) -> list[int]:
    """The last failed trial of each configuration whose trials have all failed."""
    last, answered = {}, set()
    for trial in trials:
        if trial.configuration is None or trial.state in UNTRAINED or trial.retried:
            continue
        key = trial.configuration.key()
        if trial.state == State.FAILED:
            last[key] = trial.number
        else:
            answered.add(key)
    waiting = [frozen[trial.number] for trial in trials if trial.state == State.WAITING]
    return [
        number
        for key, number in sorted(last.items(), key=lambda item: item[1])
        if key not in answered and not any(_is_retry(w, frozen[number]) for w in waiting)
    ]


def _is_retry(waiting: FrozenTrial, failed: FrozenTrial) -> bool:
    """Whether the waiting trial, which has no configuration yet, will try the failed trial's configuration."""
    variant = waiting.user_attrs.get("variant")
    if variant is not None and variant == failed.user_attrs.get("variant"):
        return True
    return bool(failed.params) and waiting.system_attrs.get("fixed_params") == failed.params


def _enqueue(study: optuna.Study, failed: FrozenTrial) -> None:
    names = ("variant", "comparator", WARM_START)
    attributes = {name: failed.user_attrs[name] for name in names if name in failed.user_attrs}
    # A variant outside the space has no `params`: the sampler does not know its parameters.
    study.enqueue_trial(failed.params, user_attrs={**attributes, RETRY_OF: failed.number})
