"""What a promotion starts from: the study's own data, cut as the search cut them, and what to know beforehand."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import optuna

from sweeper.data.images.options import DataOptions
from sweeper.data.splits import Split, splits_sha256
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.errors import SweeperError
from sweeper.events import Listener, Note
from sweeper.promotion.finalists import Finalist, distinct
from sweeper.runs.study_splits import splits_of
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.trial_records import TrialRecord


@dataclass(frozen=True)
class Data:
    """What a study's data are obtained by: `dataset` is a known name, or the path where they lie now."""

    dataset: str
    options: DataOptions
    data_dir: Path | None
    offline: bool


def data_of(study: optuna.Study, data_dir: Path | None, offline: bool) -> Data:
    """The study's data; `data_dir` says where they are now if they are no longer where the search had them.

    Raises SweeperError where they are in neither place.
    """
    spec = spec_of(study)
    values = {field.name: spec[field.name] for field in fields(DataOptions)}
    options = DataOptions(**{**values, "classes": tuple(values["classes"])})
    path: str | None = study.user_attrs.get(lifecycle.DATA_PATH)
    if path is None:
        return Data(spec["dataset"], options, data_dir, offline)
    if os.path.exists(path):
        return Data(path, options, None, offline)
    if data_dir is None:
        raise SweeperError(
            f"the data of study {study.study_name} must be where they were, got nothing at {path}; "
            "--data-dir says where they are now"
        )
    return Data(os.path.abspath(data_dir), options, None, offline)  # a folder may be called as a known data set is


def load(study: optuna.Study, data: Data, listener: Listener) -> tuple[TrainingSet, Split]:
    """The study's training data, cut as the search cut them, into its first fold where it had several.

    Raises SweeperError where they are others.
    """
    spec = spec_of(study)
    training_set = load_training_set(
        data.dataset,
        options=data.options,
        data_dir=data.data_dir,
        offline=data.offline,
        notify=lambda text: listener(Note(text)),
    )
    splits = splits_of(training_set, spec)
    for name, found in (("data_sha256", training_set.sha256), ("split_sha256", splits_sha256(splits))):
        if found != spec[name]:
            raise SweeperError(f"study {study.study_name} has {name} {spec[name]}, the data here {found}")
    return training_set, splits[0]


def notes(
    study: optuna.Study,
    trials: Sequence[TrialRecord],
    finalists: Sequence[Finalist],
    top: int,
    seeds: int,
    device: str,
) -> Iterator[str]:
    """What the user should know of this promotion before it starts."""
    spec = spec_of(study)
    names = ", ".join(f.name for f in finalists)
    yield (
        f"Study {study.study_name}: {names}; each with {seeds} fresh seeds for the order and {seeds} for the estimate, "
        "then refitted on all the study's images"
    )
    n_found = len(distinct(trials, spec["metric"]))
    if n_found < top:
        yield f"--top {top}: only {n_found} distinct configurations have finished"
    if study.user_attrs.get(lifecycle.ENDED) not in lifecycle.DONE:
        counts = trial_records.counts(trials)
        done = counts["complete"] + counts["pruned"]
        yield f"The search is not done: {done} of {study.user_attrs.get('trials')} trials"
    if spec["metric"] != "accuracy":
        yield f"The search ranked by {spec['metric']}; the final is by accuracy"
    if spec["folds"]:
        yield f"The search scored on {spec['folds']} folds; fresh seeds train on the first one's train part"
    if any(finalist.configuration.train.patience for finalist in finalists):
        yield "Refits have no validation part, so no patience ends them early"
    if device != spec["device"]:
        yield f"The search ran on {spec['device']}, this runs on {device}"
