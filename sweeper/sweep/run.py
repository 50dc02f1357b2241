"""Runs one sweep from its request to its outcome: data, study, workers, tracking, and the final ranking."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from sweeper.data import lookup
from sweeper.engine import backfill
from sweeper.engine.base import Engine
from sweeper.engine.job import TrialJob
from sweeper.engine.no_workers import NoWorkers
from sweeper.errors import UsageError
from sweeper.evaluation.constant import Constant
from sweeper.events import Listener, Note, State, Step
from sweeper.runs import run_metadata
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.plan import Plan
from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.runs.variant_result import VariantResult
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies import (
    delivered_runs,
    lifecycle,
    lost_runs,
    network_input,
    processor,
    resume_command,
    storage_errors,
    trial_records,
    warm_start,
)
from sweeper.studies.attributes import id_of
from sweeper.studies.findings import findings
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.ownership import Ownership, claimed
from sweeper.studies.retry import retry_out_of_memory
from sweeper.studies.storage import open_storage
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep import study_report, variant_results
from sweeper.sweep.context import Context, Limits
from sweeper.sweep.coordinator import Coordinator
from sweeper.sweep.preparation import prepare
from sweeper.sweep.queue import has_work
from sweeper.sweep.request import SearchRequest
from sweeper.tracking import leftovers
from sweeper.tracking.tracker import Tracker


@dataclass(frozen=True)
class SearchOutcome:
    """How a sweep ended. `stopped` is "" if it is done; otherwise timeout, target, sweeper stop, or a signal's name.

    `seconds` is the time of this command, `total_seconds` that of all commands that have worked on the study.
    `n_trainings` is the number of trainings of a trial. `variants` holds the results of a comparison of named variants;
    None after a search. `constant` is what always saying one class scores, and `findings` are sentences on results that
    would mislead by themselves. `undelivered` says why writes to MLflow were not delivered; the study in Optuna's
    storage is complete without them.
    """

    study_name: str
    study_id: str
    experiment_id: str
    run_id: str
    trials: Sequence[TrialRecord]
    metric: str
    stopped: str
    seconds: float
    total_seconds: float
    undelivered: Sequence[str]
    n_trainings: int
    variants: Sequence[VariantResult] | None
    constant: Constant | None
    findings: Sequence[str]

    def summary(self) -> dict[str, Any]:
        """The object that `sweeper search --json` prints; only a comparison of named variants has `variants`."""
        best = trial_records.best(self.trials, self.metric)
        variants = {} if self.variants is None else {"variants": [result.as_json() for result in self.variants]}
        return {
            "schema_version": 1,
            "study_name": self.study_name,
            "experiment_id": self.experiment_id,
            "run_id": self.run_id,
            "n_trials": trial_records.counts(self.trials),
            "best_trial": best
            and {
                "number": best.number,
                "value": best.value,
                "params": dict(best.params),
                "run_id": best.run_id,
                "constant": list(best.constant),
            },
            "constant_predictor": self.constant and asdict(self.constant),
            "findings": list(self.findings),
            "seconds": round(self.seconds, 1),
            **variants,
        }


# Gives Context.idle_job for a study, by its plan and the kind of processor or GPU that trains.
IdleJobs = Callable[[optuna.Study, Plan, Store, str, Listener], Callable[[int, int], TrialJob | None]]


def run(
    request: SearchRequest, listener: Listener, stop: StopRequest, idle_jobs: IdleJobs | None = None
) -> SearchOutcome:
    """Runs the search to its end, or until `stop` is requested. Raises SweeperError and UsageError.

    `idle_jobs` makes the jobs for workers that have no trial left to train.
    """
    started = time.monotonic()
    prepared = prepare(request, listener)
    stop.check()
    planned, space, spec, name = prepared.planned, prepared.space, prepared.spec, prepared.name
    training_set, options, store = planned.training_set, request.options, request.store
    if prepared.pruner_reason:
        listener(Note(f"Pruner: {spec.pruner}: {prepared.pruner_reason}"))
    store.create()
    leftovers.sweep(store)
    listener(Step("Opening Optuna's database"))

    def tell(text: str) -> None:
        listener(Note(text))

    storage = open_storage(store, tell)
    stop.check()
    with ExitStack() as stack:
        stack.enter_context(storage_errors.translated(store))
        stack.enter_context(store.owning(name, checked=True))
        study = lifecycle.find_or_create(storage, name, spec)
        ownership = stack.enter_context(claimed(store, study, tell, stop.check, take_over=options.take_over))
        required = planned.execution.required_processor
        study = lifecycle.open_study(OwnedStorage(storage), name, spec, space, required)
        stack.enter_context(_marks_ended_on_failure(study, stop, ownership))
        if prepared.warm is not None:
            warm_start.apply(study, space, prepared.warm)
        lifecycle.mark_running(study, options.trials, resume_command.resuming(request.command, name))
        path = lookup.path_of(request.source.dataset)
        where = lost_runs.IN_STORE if store.embedded_tracking else redact(store.tracking_uri)
        study.set_user_attr(lost_runs.TRACKING, where)
        study.set_user_attr(lifecycle.DATA_PATH, None if path is None else os.path.abspath(path))
        n_images = sum(len(split.validation) for split in planned.splits)
        network_input.record(study, NetworkInput(training_set.input_shape, len(training_set.classes), n_images))
        constant = planned.constant(spec.metric)
        study.set_user_attr(lifecycle.CONSTANT, constant and asdict(constant))
        study_id = id_of(study)
        memory = None if prepared.refusal else planned.execution.trial_memory
        for text in retry_out_of_memory(study, memory):
            listener(Note(text))
        workers: Engine = NoWorkers()
        working = stack.enter_context(ExitStack())
        if has_work(study, spec.metric, options.trials, options.target):
            if prepared.refusal:  # another command has added trials since
                raise UsageError(prepared.refusal)
            listener(Step("Starting the workers"))
            workers = planned.on(processor.of(study)).start_workers(store, name, study_id)
            working.callback(workers.close)
            stop.check()
        # The workers start first: they import torch while MLflow creates or opens its tables.
        tracker = Tracker(
            store,
            run_metadata.data_record(training_set),
            tell,
            check_owned=ownership.check,
        )
        stop.check()
        listener(Step("Opening MLflow's database"))
        tracker.open(
            name,
            study_id,
            run_metadata.tags(request.command, planned.execution, training_set.sha256) | _warm_start_tag(study),
            run_metadata.params(spec, planned.splits[0]),
            recorded={trial.number: trial.run_id for trial in trial_records.records(study) if trial.run_id},
            elsewhere=request.new,
        )

        def end(state: State, reason: str) -> None:
            if not ownership.is_lost():
                tracker.finish(None, state, reason=reason)
            tracker.close(closing_patience(reason))

        # A signal before the first training may end the process at once: there is nothing to save.
        with ends_on_failure(end, stop, on_signal=False):
            environment = run_metadata.environment(planned.execution)
            tracker.log_text(None, {**run_metadata.space_texts(space), "environment.json": environment})
            limits = Limits(
                trials=options.trials,
                deadline=None if options.timeout is None else started + options.timeout,
                target=options.target,
                keep=options.keep,
                trial_seconds=options.trial_timeout,
            )
            timed = options.timeout is not None or options.trial_timeout is not None
            context = Context(
                study=study,
                space=space,
                spec=spec,
                input_shape=training_set.input_shape,
                preprocessing=training_set.preprocessing(spec.data_options),
                classes=training_set.classes,
                limits=limits,
                store=store,
                tracker=tracker,
                listener=listener,
                stop=stop,
                check_owned=ownership.check,
                memory=memory,
                idle_job=idle_jobs and idle_jobs(study, planned, store, workers.processor, listener),
                # Where time ends trials or the search, nothing more may run beside them than must.
                room=0 if timed else backfill.room(planned.execution, os.environ),
            )
            Coordinator(context, workers).run()
            working.close()  # what idle workers train goes on in another command
            ownership.check()
            stopped = stop.reason  # a later signal no longer changes how the sweep ended
            earlier = study.user_attrs.get("seconds", 0.0)
            total = earlier + time.monotonic() - started
            study.set_user_attr("seconds", total)
            compared = None
            if options.variants_only:
                compared = variant_results.results(study, space, training_set.input_shape, len(training_set.classes))
                study_report.log_variants(tracker, study, compared, space, len(planned.splits[0].train))
            study_report.log_end(tracker, study, spec.metric, stopped, total)
        ownership.check()
        # Before the wait for MLflow, which a second signal may end.
        lifecycle.mark_ended(study, stopped)
        undelivered = tracker.close(closing_patience(stopped))
        ownership.check()
        trials = _with_run_ids(study, tracker)
        seconds = time.monotonic() - started
        return SearchOutcome(
            study_name=name,
            study_id=study_id,
            experiment_id=tracker.experiment_id,
            run_id=tracker.run_id,
            trials=trials,
            metric=spec.metric,
            stopped=stopped,
            seconds=seconds,
            total_seconds=earlier + seconds,
            undelivered=undelivered,
            n_trainings=len(spec.trainings),
            variants=compared,
            constant=constant,
            findings=findings(study, trials),
        )


@contextmanager
def _marks_ended_on_failure(study: optuna.Study, stop: StopRequest, ownership: Ownership) -> Iterator[None]:
    """Records in the study what ended the command early; a killed process, or one that has lost it, records nothing."""
    try:
        yield
    except BaseException as error:
        if ownership.is_lost():
            raise
        # A stop raises SystemExit. The error may make the storage fail as well: the first error is the one to raise.
        with suppress(Exception):
            lifecycle.mark_ended(
                study, f"error: {error}" if isinstance(error, Exception) else stop.reason or "a signal"
            )
        raise


def _warm_start_tag(study: optuna.Study) -> dict[str, str]:
    told = warm_start.told(study)
    return {"sweeper.warm_start": told} if told else {}


def _with_run_ids(study: optuna.Study, tracker: Tracker) -> list[TrialRecord]:
    """Records the MLflow runs that were created only after their trials had ended; returns all trials."""
    numbers = [trial.number for trial in trial_records.records(study)]
    delivered_runs.record_runs(
        study, {number: run_id for number in numbers if (run_id := tracker.child_run_id(number))}
    )
    return trial_records.records(study)
