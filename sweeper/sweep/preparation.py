"""Prepares a search, for a run and for a dry run alike: loads the data, and refuses what cannot be searched."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

import optuna

from sweeper.engine.execution import Execution
from sweeper.engine.start import plan_execution
from sweeper.errors import UsageError
from sweeper.events import Listener, Note, State
from sweeper.quantities import counted
from sweeper.runs import plan, precision
from sweeper.runs.study_splits import splits_of
from sweeper.spaces.feasible_points import check_feasible
from sweeper.spaces.space import Space
from sweeper.store.arguments import store_arguments
from sweeper.studies import lifecycle, lost_runs, pruners, storage_errors, trial_records, warm_start
from sweeper.studies.ownership import check_free
from sweeper.studies.samplers import shuffled_grid
from sweeper.studies.spec import LOG_LOSS, RunSpec, StudySpec
from sweeper.studies.spec_comparison import OF_THE_DATA
from sweeper.studies.storage import free_name, open_existing_storage
from sweeper.studies.warm_start import WarmStart
from sweeper.sweep.queue import has_work
from sweeper.sweep.request import SearchRequest
from sweeper.tracking.client import check_tracking

# Enough folds for a trial to train on most images, and few enough to train it on each.
SUGGESTED_FOLDS = 5


@dataclass(frozen=True)
class Prepared:
    """A search that can begin. `name` is the study's; with SearchRequest.new, no study has it yet.

    `space` has the precisions of the study's configurations settled. `resumed` is the study that it resumes, if it
    resumes one.
    `refusal` says why this machine may train no further trial of it; it is empty if it may, and else none is left.
    `pruner_reason` says why no pruner was chosen, and is empty otherwise. `warm` is what it still takes over from
    another study.
    """

    name: str
    planned: plan.Plan
    space: Space
    spec: StudySpec
    resumed: optuna.Study | None
    refusal: str
    pruner_reason: str
    warm: WarmStart | None


def prepare(request: SearchRequest, listener: Listener) -> Prepared:
    """Loads and splits the data, and fixes what the study's results depend on. Writes nothing.

    Raises, as SweeperError and UsageError, all that a run refuses before it trains: no feasible configuration, a study
    of this name that is another or is being run, a store or a server that cannot be used.
    """
    space, options = request.space, request.options
    _check_grid(request)  # before loading the data
    planned = plan.make(
        request.source,
        space,
        request.training,
        request.device,
        listener,
        variants=list(space.variants),
        n_trials=None if options.variants_only else options.trials,
        searched=not options.variants_only,
    )
    n_images, training_set = len(planned.splits[0].validation), planned.training_set
    images = training_set.input_shape, len(training_set.classes)
    settled, spec, name, resumed = _study(request, planned.spec, planned.execution, images, pruners.chosen(n_images))
    space, planned = settled.space, replace(planned, execution=settled.execution)
    if settled.told:
        listener(Note(settled.told))
    if resumed is None or not _has_feasible_trial(resumed):
        warning = check_feasible(
            space,
            training_set.input_shape,
            len(training_set.classes),
            spec.limits,
            variants_only=options.variants_only,
        )
        if warning:
            listener(Note(warning))
    reason = ""
    pruner = spec.pruner
    if options.pruner == pruners.AUTO and pruner == pruners.chosen(n_images) == "none" and spec.n_steps > 1:
        reason = _reason(request, planned, n_images)
    warm = warm_start.planned(request.store, options.warm_start, name, resumed, space, spec)
    if warm is not None:
        listener(Note(warm.told))
    return Prepared(name, planned, space, spec, resumed, settled.refusal, reason, warm)


def dry_run(request: SearchRequest, listener: Listener) -> Prepared:
    """Prepares a search that will not be run. Raises SweeperError and UsageError for all that would be refused."""
    prepared = prepare(request, listener)
    _check_free(request, prepared.resumed)
    return prepared


def dry_run_without_data(request: SearchRequest) -> tuple[str, str]:
    """The name and the pruner of the study of a search that will not be run, whose data are not on this machine.

    Raises SweeperError and UsageError for what would be refused whatever the data.
    """
    _check_grid(request)
    execution = plan_execution(request.device, 0, os.environ)
    spec = plan.spec_without_data(request.source, request.space, request.training, execution)
    unknown = (*OF_THE_DATA, "pretrained")
    _, study_spec, name, resumed = _study(request, spec, execution, None, pruners.AUTO, unknown)
    _check_free(request, resumed)
    return name, study_spec.pruner


def _check_grid(request: SearchRequest) -> None:
    if request.options.sampler == "grid":
        shuffled_grid(request.space, request.training.seed)


def _study(
    request: SearchRequest,
    run_spec: RunSpec,
    execution: Execution,
    images: precision.Images | None,
    usual_pruner: str,
    unknown: Collection[str] = (),
) -> tuple[precision.Settled, StudySpec, str, optuna.Study | None]:
    """The space with its precisions settled, the spec and the name of the study, and the study to resume, if any."""
    options, store = request.options, request.store
    lost_runs.check(store, None if request.new else request.study)
    check_tracking(store, run_spec.dataset)
    store.check_writable()
    with storage_errors.translated(store):
        storage = open_existing_storage(store)
        name = free_name(storage, request.study) if request.new and storage is not None else request.study
        store.refuse_owned(name)
        pruner = options.pruner
        if pruner == pruners.AUTO:
            pruner = (storage and lifecycle.stored_pruner(storage, name)) or usual_pruner
        if storage is not None and lifecycle.has_unnamed_weights(storage, name):
            run_spec = replace(run_spec, pretrained={})
        stored = {} if storage is None else lifecycle.stored_spec(storage, name)
        settled = precision.of_study(request.space, execution, images, stored, name)
        spec = StudySpec(
            **vars(run_spec),
            space=settled.space.describe(),
            precision_rule=settled.rule,
            variants_only=options.variants_only,
            metric=options.metric,
            sampler=options.sampler,
            pruner=pruner,
            max_params=options.max_params,
            max_madds=options.max_madds,
            max_latency=options.max_latency,
            variant_epochs=request.variant_epochs,
            loss=LOG_LOSS,
        )
        if storage is None:
            return settled, spec, name, None
        resumed = lifecycle.find_resumable(storage, name, spec, unknown, store_arguments(store))
        # A study that has all its trials is still shown.
        if settled.refusal and (resumed is None or has_work(resumed, spec.metric, options.trials, options.target)):
            raise UsageError(settled.refusal)
        return settled, spec, name, resumed


def _has_feasible_trial(study: optuna.Study) -> bool:
    return any(
        trial.feasible and trial.state in (State.COMPLETE, State.PRUNED) for trial in trial_records.records(study)
    )


def _check_free(request: SearchRequest, resumed: optuna.Study | None) -> None:
    """Refuses a study that another process has; a run claims the study, and waits for a dead owner."""
    if resumed is not None:
        with storage_errors.translated(request.store):
            check_free(request.store, resumed)


def _reason(request: SearchRequest, planned: plan.Plan, n_images: int) -> str:
    """Why so few validation images need no pruner, and which option scores on more, if the data set allows it."""
    points = 100 * pruners.standard_error(n_images)
    text = f"the standard error of an accuracy on {counted(n_images, 'validation image')} is up to {points:.1f} points"
    if planned.spec.protocol.folds:
        return text
    try:
        folds = splits_of(
            planned.training_set,
            replace(planned.spec.protocol, folds=SUGGESTED_FOLDS),
            seed=request.training.seed_of_splits,
            subset=request.training.subset,
        )
    except ValueError:
        return text
    n_scored = sum(len(split.validation) for split in folds)
    return f"{text}; --folds {SUGGESTED_FOLDS} would score each configuration on {n_scored:,}"
