"""Finds a trained network by the name that a person gives it, and loads it with what its images were."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sweeper.config import Configuration
from sweeper.errors import SweeperError, UsageError, joined, plain, refuse, shortened
from sweeper.images import preprocessing
from sweeper.images.preprocessing import Preprocessing
from sweeper.models.predictor import RawPixels, load_network
from sweeper.runs import study_trial
from sweeper.runs.study_trial import StudyTrial
from sweeper.store.layout import Store
from sweeper.store.names import STUDY_NAME, is_id
from sweeper.store.stored_values import from_text
from sweeper.studies import queries, trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.tracking import trained_runs, weights
from sweeper.tracking.run_writer import WEIGHTS
from sweeper.tracking.trained_runs import CONFIG, TrainedRun

TRIAL = re.compile(rf"{STUDY_NAME.pattern}:\d{{1,9}}", re.ASCII)
FORMS = "NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL, or the id of a run"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network, ready to predict on the CPU.

    `name` is for people. `run_id` is its MLflow run, where results about it are logged. `network` takes raw pixels
    uint8 (batch, channels, height, width) and gives logits; `input_shape` is (channels, height, width). `trained_on` is
    "train" (the train part of its study's split), "pool" (a refit: all images of its study), or "unknown" (a training
    by itself, which has no study). `fold`, counted from 0, is the split of a study with folds on whose train part it
    was trained. `data_name` and `data_sha256` are those of the training files. `preprocessing` is how these became what
    `network` takes: as its run has recorded, or else as far as its study tells (then `preprocessing_from` is "study",
    and a range of values is the one that a person gave), or else the default ("nothing").
    """

    name: str
    run_id: str | None
    network: RawPixels
    configuration: Configuration
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    study: str | None
    study_id: str | None
    trial: int | None
    trained_on: str
    seed: int | None
    preprocessing: Preprocessing
    preprocessing_from: Literal["run", "study", "nothing"]
    fold: int = 0
    data_name: str = ""
    data_sha256: str = ""


@dataclass(frozen=True)
class _Pixels:
    mean: Sequence[float]
    std: Sequence[float]
    test_flip: bool = False


@dataclass(frozen=True)
class _Data:
    name: str
    sha256: str


@dataclass(frozen=True)
class _Config:
    """What config.json of a training holds, as far as it is needed here."""

    model: Mapping[str, Any]
    train: Mapping[str, Any]
    seed: int
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    pixels: _Pixels
    data: _Data
    preprocessing: Preprocessing | None = None  # not of an older sweeper's trainings


def find(store: Store, reference: str, option: str) -> TrainedNetwork:
    """The network that a person names: a registered model, a run, or STUDY:TRIAL whose weights are kept.

    Of a trial with several trainings, it is the first training's. Raises UsageError, naming the option and what there
    is, for a name of nothing and for a network without weights, and SweeperError if the store cannot be used.
    """
    if TRIAL.fullmatch(reference):
        return _of_trial(store, study_trial.find(store, reference), option)
    named = weights.MODEL.fullmatch(reference)
    if not (named or is_id(reference)):
        known = trained_runs.registered(store)
        exist = f"; there are {joined(known)}" if known else ""
        refuse(f"a trained network must be named as {FORMS}, got {shortened(repr(reference))}{exist}", option)
    try:
        source = weights.resolve(store, reference, option)
    except UsageError as error:
        known = trained_runs.registered(store)
        raise (UsageError(f"{error}; there are {joined(known)}") if known else error) from error
    name = ""
    if named:
        name = reference.removeprefix("models:/")
        name += f" (version {source.name.rpartition('/')[2]})" if named["alias"] else ""
    return of_run(store, source.run_id, option, name)


def of_run(store: Store, run_id: str, option: str, name: str = "") -> TrainedNetwork:
    """The network that a run has trained; without a `name`, it is called as its run. Errors are those of `find`."""
    with TemporaryDirectory() as folder:
        found = trained_runs.fetch(store, run_id, Path(folder), option)
        study = found.tags.get("sweeper.study")
        name = name or plain(f"{found.name} of {study}" if study else f"{found.name} (run {run_id[:8]})")
        file = found.weights or weights_in_store(store, found.study_id, found.tags)
        if file is None:
            raise UsageError(f"{name} has no weights: {found.why_no_weights} ({option})")
        return _loaded(store, found, name, file)


def weights_in_store(store: Store, study_id: str | None, tags: Mapping[str, str]) -> Path | None:
    """The weights of a promotion's training, which lie in the store and not in MLflow; None if they are gone.

    `tags` are those of the training's run. Raises SweeperError for tags that name another place.
    """
    study, key = tags.get("sweeper.study"), tags.get("sweeper.training")
    if not (study and study_id and key):
        return None
    folder = store.training_folder(study, study_id, key)
    file = store.own_path(study, study_id, str(folder.relative_to(store.root) / weights.FILE))
    return file if file.is_file() else None


def _of_trial(store: Store, trial: StudyTrial, option: str) -> TrainedNetwork:
    name, run_id = f"trial {trial.record.number} of {trial.study_name}", trial.record.run_id
    if run_id is None:
        raise SweeperError(f"{name} has no run in MLflow yet: `sweeper sync` delivers what waits for MLflow")
    if label := trial.spec.trainings[0].label:
        key, name = f"{trial.record.number}, {label}", f"{name}, {label}"
        children = trained_runs.below(store, run_id, option)
        run_id = next((child for child, tags in children if tags.get("sweeper.trial") == key), run_id)
    try:
        return of_run(store, run_id, option, name)
    except UsageError as error:
        if not (kept := _kept(store, trial)):
            raise
        raise UsageError(f"{error}; trials of {trial.study_name} with weights: {kept}") from error


def _kept(store: Store, trial: StudyTrial) -> str:
    """The numbers of the best trials that have weights, best first; of a study with one training for each trial."""
    if trial.spec.trainings[0].label:
        return ""
    study = queries.find_study(store, trial.study_name)
    ranked = trial_records.ranking(trial_records.records(study), trial.spec.metric)
    numbers = {record.run_id: record.number for record in ranked if record.run_id}
    return ", ".join(str(numbers[run_id]) for run_id in trained_runs.with_weights(store, numbers))


def _loaded(store: Store, found: TrainedRun, name: str, file: Path) -> TrainedNetwork:
    try:
        config: _Config = from_text(_Config, found.config, CONFIG)
        configuration = Configuration.from_values({**config.model, **config.train})
        mean, std = config.pixels.mean, config.pixels.std
        if len({*config.classes}) < len(config.classes):
            raise ValueError(f"{CONFIG}.classes must differ from each other, got {joined(config.classes)}")
        network = load_network(
            configuration.model,
            config.input_shape,
            len(config.classes),
            file,
            mean,
            std,
            test_flip=config.pixels.test_flip,
        )
    except (ValueError, RecursionError) as error:
        # What MLflow has is read from a copy, of which nobody knows.
        known = f"{WEIGHTS}/{weights.FILE} of run {found.run_id}"
        said = str(error).replace(str(found.weights), known) if found.weights else str(error)
        raise SweeperError(f"{name} cannot be loaded: {shortened(said)}") from error
    tags, key = found.tags, found.tags.get("sweeper.trial", "")
    number, _, label = key.partition(", ")
    fold = re.match(r"fold (\d{1,9})", label)
    of_study = None if config.preprocessing else _of_study(store, tags.get("sweeper.study"), found.study_id)
    return TrainedNetwork(
        name=name,
        run_id=found.run_id,
        network=network,
        configuration=configuration,
        classes=config.classes,
        input_shape=config.input_shape,
        study=tags.get("sweeper.study"),
        study_id=found.study_id,
        trial=int(number) if number.isdecimal() else None,
        trained_on=_trained_on(tags),
        seed=config.seed,
        fold=int(fold[1]) - 1 if fold else 0,
        data_name=config.data.name,
        data_sha256=config.data.sha256,
        preprocessing=config.preprocessing or of_study or Preprocessing(),
        preprocessing_from="run" if config.preprocessing else "study" if of_study else "nothing",
    )


def _of_study(store: Store, name: str | None, study_id: str | None) -> Preprocessing | None:
    """The preprocessing that the options of the study say, if the store has it."""
    try:
        study = queries.find_study(store, name) if name and study_id else None
    except SweeperError:
        return None
    if study is None or id_of(study) != study_id:
        return None
    options = spec_of(study).data_options
    return preprocessing.of(options, options.value_range)


def _trained_on(tags: Mapping[str, str]) -> str:
    """The part of its study's images that a training has learned from."""
    if "sweeper.study" not in tags:
        return "unknown"
    # Trainings of a promotion or an ablation say it; those of a search learn from the train part of their fold.
    part = tags.get("sweeper.part", "train" if "sweeper.trial" in tags else "")
    return part if part in ("train", "pool") else "unknown"
