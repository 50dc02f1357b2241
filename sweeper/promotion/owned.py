"""What a promotion and an ablation do alike: they own the study while they work, and track their trainings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

import optuna

from sweeper.data.training_set import TrainingSet
from sweeper.engine.execution import Execution
from sweeper.events import Listener, Note, Step
from sweeper.runs import run_metadata
from sweeper.runs.stop import StopRequest
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, storage_errors
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_again
from sweeper.tracking import leftovers
from sweeper.tracking.client import check_tracking
from sweeper.tracking.tracker import Tracker

Kind = Literal["promotion", "ablation"]


@contextmanager
def owned(
    store: Store, study: optuna.Study, kind: Kind, listener: Listener, stop: StopRequest
) -> Iterator[optuna.Study]:
    """Gives the study, as it is once no other process can change it. Raises SweeperError if one works on it."""
    lifecycle.check_usable(study, store_arguments(store))
    check_tracking(store, spec_of(study).dataset)
    store.prepare()
    leftovers.sweep(store)
    study_id = id_of(study)
    with ExitStack() as stack:
        stack.enter_context(storage_errors.translated(store))
        stack.enter_context(store.owning(study.study_name, checked=True, activity=kind))
        study = find_again(store, study.study_name, study_id)
        lifecycle.check_usable(study, store_arguments(store))
        stack.enter_context(claimed(store, study, lambda text: listener(Note(text)), stop.check, activity=kind))
        yield study


def tracked(
    store: Store,
    study: optuna.Study,
    kind: Kind,
    training_set: TrainingSet,
    execution: Execution,
    command: Sequence[str],
    choices: Mapping[str, object],
    listener: Listener,
) -> Tracker:
    """The opened runs of the study's promotion or ablation; `choices`, its options by name, become tags."""
    record = run_metadata.data_record(training_set)
    tracker = Tracker(store, record, lambda text: listener(Note(text)), kind=kind)
    tags = run_metadata.tags(command, execution, training_set.sha256)
    tags |= {f"sweeper.{name}": str(value) for name, value in choices.items()}
    listener(Step("Opening MLflow's database"))
    tracker.open(study.study_name, id_of(study), tags, {})
    return tracker
