"""Prepares a search, for a run and for a dry run alike: loads the data, and refuses what cannot be searched."""

from dataclasses import dataclass, replace

import optuna

from sweeper.events import Listener
from sweeper.runs import plan
from sweeper.runs.study_splits import splits_of
from sweeper.search.request import SearchRequest
from sweeper.spaces.feasible_points import require_feasible
from sweeper.studies import lifecycle, lost_runs, pruners, storage_errors
from sweeper.studies.ownership import check_free
from sweeper.studies.samplers import shuffled_grid
from sweeper.studies.spec import StudySpec
from sweeper.studies.storage import free_name, open_existing_storage
from sweeper.tracking.client import check_tracking

# Enough folds for a trial to train on most images, and few enough to train it on each.
SUGGESTED_FOLDS = 5


@dataclass(frozen=True)
class Prepared:
    """A search that can begin. `name` is the study's; with SearchRequest.new, no study has it yet.

    `resumed` is the study that it resumes, if it resumes one.
    `pruner_reason` says why no pruner was chosen, and is empty otherwise.
    """

    name: str
    planned: plan.Plan
    spec: StudySpec
    resumed: optuna.Study | None
    pruner_reason: str


def prepare(request: SearchRequest, listener: Listener) -> Prepared:
    """Loads and splits the data, and fixes what the study's results depend on. Writes nothing.

    Raises, as SweeperError and UsageError, all that a run refuses before it trains: no feasible configuration, a study
    of this name that is another or is being run, a store or a server that cannot be used.
    """
    space, options, store = request.space, request.options, request.store
    if options.sampler == "grid":
        shuffled_grid(space, request.training.seed)  # refuse a bad grid before loading the data
    planned = plan.make(
        request.source, space, request.training, request.device, listener, variants=list(space.variants)
    )
    training_set = planned.training_set
    require_feasible(
        space,
        training_set.input_shape,
        len(training_set.classes),
        options.max_params,
        variants_only=options.variants_only,
    )
    lost_runs.check(store, None if request.new else request.study)
    check_tracking(store, training_set.name)
    store.check_writable()
    with storage_errors.translated(store):
        storage = open_existing_storage(store)
        name = free_name(storage, request.study) if request.new and storage is not None else request.study
        store.refuse_owned(name)
        stored = None if storage is None else lifecycle.stored_pruner(storage, name)
        n_images = len(planned.splits[0].validation)
        pruner = options.pruner
        if pruner == pruners.AUTO:
            pruner = stored or pruners.chosen(n_images)
        spec = StudySpec(
            **vars(planned.spec),
            space=space.describe(),
            variants_only=options.variants_only,
            metric=options.metric,
            sampler=options.sampler,
            pruner=pruner,
            max_params=options.max_params,
            variant_epochs=request.variant_epochs,
        )
        resumed = None if storage is None else lifecycle.find_resumable(storage, name, spec)
    reason = ""
    if options.pruner == pruners.AUTO and pruner == pruners.chosen(n_images) == "none" and pruners.n_steps(spec) > 1:
        reason = _reason(request, planned, n_images)
    return Prepared(name, planned, spec, resumed, reason)


def dry_run(request: SearchRequest, listener: Listener) -> Prepared:
    """Prepares a search that will not be run. Raises SweeperError and UsageError for all that would be refused."""
    prepared = prepare(request, listener)
    if prepared.resumed is not None:
        with storage_errors.translated(request.store):
            check_free(request.store, prepared.resumed)  # a run claims the study, and waits for a dead owner
    return prepared


def _reason(request: SearchRequest, planned: plan.Plan, n_images: int) -> str:
    """Why so few validation images need no pruner, and which option scores on more, if the data set allows it."""
    points = 100 * pruners.standard_error(n_images)
    text = f"{n_images} validation images tell scores apart only by +-{points:.1f} points"
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
