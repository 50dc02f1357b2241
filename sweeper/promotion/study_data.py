"""The data of a promotion (the study's data and split), and the notes that are shown before it starts."""

from collections.abc import Iterator, Sequence

import optuna

from sweeper.data.source import DataSource
from sweeper.data.splits import Split, splits_sha256
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.engine.start import processor_of
from sweeper.errors import SweeperError
from sweeper.evaluation.constant import Constant, best_constant
from sweeper.events import Listener, Note
from sweeper.promotion import cost, head_start
from sweeper.promotion.cost import Planned
from sweeper.promotion.finalists import Finalist, distinct
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.options import PromotionOptions
from sweeper.quantities import counted
from sweeper.runs import pretrained_weights
from sweeper.runs.batch import Training
from sweeper.runs.study_splits import splits_of
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.conversions import other_images, other_reading
from sweeper.studies.trial_records import TrialRecord


def load(
    study: optuna.Study, source: DataSource, listener: Listener, *, fold: int = 0, purpose: str = "looked at"
) -> tuple[TrainingSet, Split]:
    """Loads the study's training set and its split; that of a fold, counted from 0, if the study has folds.

    Raises SweeperError if these are not the data of the search: then the study cannot be `purpose`.
    """
    spec = spec_of(study)
    training_set = load_training_set(source, notify=lambda text: listener(Note(text)))
    splits = splits_of(training_set, spec.protocol, seed=spec.seed_of_splits, subset=spec.subset)
    reading = other_reading(spec.conversions, training_set.conversions)
    if reading and training_set.sha256 == spec.data_sha256:
        raise SweeperError(f"study {study.study_name} cannot be {purpose}: {reading}; search them anew with --new")
    for name, expected, found in (
        ("data_sha256", spec.data_sha256, training_set.sha256),
        ("split_sha256", spec.split_sha256, splits_sha256(splits)),
    ):
        if found != expected:
            difference = f"study {study.study_name} has {name} {expected}, but the data here have {found}"
            reason = other_images(name, spec.data_options.skip_bad)
            raise SweeperError(f"{difference}: {reason}" if reason else difference)
    return training_set, splits[fold]


def load_to_train(
    study: optuna.Study, source: DataSource, listener: Listener, purpose: str
) -> tuple[TrainingSet, Split]:
    """As `load`, for networks that are trained anew. Raises SweeperError if their pretrained weights have changed."""
    loaded = load(study, source, listener, purpose=purpose)
    pretrained_weights.check_unchanged(spec_of(study), f"study {study.study_name}", offline=source.offline)
    return loaded


def constants(training_set: TrainingSet, split: Split, metric: str) -> dict[str, Constant]:
    """What always saying one class scores, on the validation part and on the confirm part, if there is one."""
    found = {
        part: best_constant(metric, [training_set.labels[getattr(split, part)]], training_set.classes)
        for part in ("validation", "confirm")
    }
    return {part: constant for part, constant in found.items() if constant is not None}


def notes(
    study: optuna.Study,
    trials: Sequence[TrialRecord],
    finalists: Sequence[Finalist],
    options: PromotionOptions,
    device: str,
    trainings: str,
) -> Iterator[str]:
    """Notes for the user before the promotion starts; `trainings` says how many there are and how long they take."""
    spec, seeds = spec_of(study), options.seeds
    *others, last = (f.name for f in finalists)
    names = f"{', '.join(others)} and {last}, each" if others else f"{last},"
    yield (
        f"Study {study.study_name}: {names} trained with {counted(seeds, 'fresh seed')} for the order and "
        f"{counted(seeds, 'other')} for the estimate, then refitted on all images of the study. {trainings}."
    )
    n_found = len(distinct(trials, spec.metric))
    if not options.trials and n_found < options.top:
        found = counted(n_found, "distinct configuration has", "distinct configurations have")
        yield f"--top {options.top}: only {found} finished"
    if study.user_attrs.get(lifecycle.ENDED) not in lifecycle.DONE:
        done = trial_records.n_counted(trials)
        yield f"The search is not done: {done} of {counted(study.user_attrs.get('trials', 0), 'trial')}"
    if spec.protocol.folds:
        yield f"The search scored on {spec.protocol.folds} folds; fresh seeds train on the train part of the first fold"
    if any(finalist.configuration.train.patience for finalist in finalists):
        yield "Refits have no validation part, so `patience` cannot end them early"
    if device != spec.device:
        yield f"The search ran on {spec.device}, the promotion runs on {device}"


def announced(
    jobs: PromotionJobs, trials: Sequence[TrialRecord], trainings: Sequence[Training], refit_size: float
) -> str:
    """The trainings in words, with the time that the search's own times per epoch make likely.

    A refit has `refit_size` times the images of another training.
    """
    # In a cluster, the kind is known only once workers run: until then, nothing of the search's counts as done.
    kind = "" if jobs.execution.engine == "ray" else processor_of(jobs.execution)
    left = [training for training in trainings if not head_start.is_trained(jobs, training, kind)]
    planned = [
        Planned(one.job.configuration, one.job.epochs, size=refit_size if one.tags["sweeper.part"] == "pool" else 1.0)
        for one in left
    ]
    workers = len(jobs.execution.workers)
    n_seconds = cost.seconds(jobs.spec, trials, planned, workers)
    return cost.announced(len(trainings), len(left), n_seconds, workers)


def nothing_to_compare(store: Store, study: optuna.Study, finalist: Finalist) -> str:
    """Why a test of the only finalist is refused, and what to do."""
    command = lifecycle.resuming_command(study, store.root)
    search_on = f"search on (`{command}` with more --trials), or " if command else ""
    return (
        f"only {finalist.name} has finished: a test would compare nothing, and it is the study's only one; {search_on}"
        "give --top 1 to test it alone"
    )
