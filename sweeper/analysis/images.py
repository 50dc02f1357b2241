"""Which images a trained network may be looked at on: a part of its study's data, or a person's own images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray

from sweeper.analysis import given_files
from sweeper.analysis.network import TrainedNetwork, find, of_run, weights_in_store
from sweeper.data.source import NO_DOWNLOAD, USUAL_ACCESS, DataAccess
from sweeper.data.splits import Split
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.errors import SweeperError, UsageError
from sweeper.events import Event, Note
from sweeper.images.reading import Reading
from sweeper.images.value_range import ValueRange
from sweeper.promotion import recorded, study_data
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.quantities import counted
from sweeper.store.layout import Store
from sweeper.studies import data_source
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.queries import find_study
from sweeper.tracking import trained_runs

Notify = Callable[[str], None]
PARTS = ("confirm", "validation", "train")
# What each part was used for, in captions.
USED = {
    "confirm": "which no choice has used",
    "validation": "whose scores ordered the trials",
    "train": "from which networks have learned",
}


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images uint8 (n, channels, height, width) for a network, and labels (n,) as positions in `classes`, if known.

    `files` names the file of each image, None for images without files of their own. `part` is validation, confirm,
    train, test or given; `described` says in words which images these are. `why_unlabelled` says why labels are left
    out that the images have.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    files: tuple[str, ...] | None
    part: str
    described: str
    why_unlabelled: str = ""


@dataclass(frozen=True, eq=False)
class Pool:
    """A network's study, its images, and the split on whose train part the network was trained."""

    study: optuna.Study
    training_set: TrainingSet
    split: Split


def part_of(
    store: Store,
    network: TrainedNetwork,
    part: str | None,
    *,
    data_access: DataAccess = USUAL_ACCESS,
    notify: Notify = lambda note: None,
) -> LabelledImages:
    """A part of the images of the network's study; without a `part`, the one that says most and spoils nothing.

    That is the confirm part of a promoted study, or else the validation part: who chooses finalists by confirm images
    spoils the promotion's estimate, and `notify` says so to whoever names that part before. Opens no test image. Raises
    SweeperError for a network of no study, for a part that the network has learned from unless it is "train", and for
    data that are not those of the search.
    """
    if part not in (None, *PARTS):
        raise UsageError(f"a part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {part!r} (--part)")
    study = study_of(store, network)
    if network.trained_on == "pool" and part != "train":
        raise SweeperError(_seen(store, study, network))
    training_set, split = load_pool(study, network.fold, data_access, notify)
    is_promoted = recorded.find(store, study) is not None
    wanted = part or unspoilt_part(split, is_promoted=is_promoted)
    chosen: NDArray[np.int64] = getattr(split, wanted)
    if not len(chosen):
        raise UsageError(f"study {study.study_name} has no {wanted} part (--part)")
    if wanted == "confirm" and not is_promoted:
        notify(
            f"Study {study.study_name} is not promoted yet: if its finalists are chosen by what these confirm images "
            "show, the promotion's estimate is too good"
        )
    files = training_set.files
    return LabelledImages(
        images=training_set.images[chosen],
        labels=training_set.labels[chosen],
        classes=training_set.classes,
        files=None if files is None else tuple(files[index] for index in chosen),
        part=wanted,
        described=f"{counted(len(chosen), f'{wanted} image')}, {USED[wanted]}",
    )


def unspoilt_part(split: Split, *, is_promoted: bool) -> str:
    """The part of a study's images on which looking at a network says most and spoils nothing."""
    return "confirm" if is_promoted and len(split.confirm) else "validation"


def study_of(store: Store, network: TrainedNetwork) -> optuna.Study:
    """The study that the network comes from. Raises SweeperError if there is none, or the store has another."""
    if network.study is None or network.study_id is None:
        raise SweeperError(
            f"{network.name} belongs to no study, so which images it has not learned from is unknown: give images"
        )
    study = find_study(store, network.study)
    if id_of(study) != network.study_id:
        raise SweeperError(
            f"{network.name} is of another study than the {network.study} in this store, which has its name: give "
            "images, or the store with its study"
        )
    return study


def pool_of(store: Store, network: TrainedNetwork, data_access: DataAccess, notify: Notify) -> Pool:
    """The images of the network's study. Raises SweeperError as `part_of`."""
    study = study_of(store, network)
    return Pool(study, *load_pool(study, network.fold, data_access, notify))


def load_pool(study: optuna.Study, fold: int, data_access: DataAccess, notify: Notify) -> tuple[TrainingSet, Split]:
    """The study's training set, and the split of a fold or the only one. Raises SweeperError as `part_of`."""

    def listener(event: Event) -> None:
        if isinstance(event, Note):
            notify(event.text)

    source = data_source.source_of(study, data_access)
    return study_data.load(study, source, listener, fold=fold)


def fresh_networks(
    store: Store, study: optuna.Study, outcome: PromotionOutcome, notify: Notify = lambda note: None
) -> Mapping[str, TrainedNetwork]:
    """The networks of a promotion by role (champion, challenger, baseline) that have not seen the confirm part.

    Each is that of the first seed of the estimate, trained on the train part alone. A role whose weights are gone is
    left out, and `notify` is told why. Raises SweeperError if MLflow cannot be used.
    """
    promotion = recorded.find(store, study)
    runs = trained_runs.below(store, promotion.run_id, "STUDY") if promotion else []
    found = {}
    for entrant in outcome.entrants:
        role = entrant.alias or ("baseline" if entrant.is_baseline else None)
        if role is None:
            continue
        # The first half of the seeds made the order, on the validation part.
        prefix = f"trial-{entrant.trial}-seed-{entrant.validation['n_seeds'] + 1}-"
        # One for each kind of device that trained it; the last is the one of the last promotion.
        candidates = [
            run_id
            for run_id, tags in runs
            if tags.get("sweeper.training", "").startswith(prefix)
            and weights_in_store(store, id_of(study), tags) is not None
        ]
        if candidates:
            found[role] = of_run(store, candidates[-1], "STUDY")
        else:
            notify(f"The weights of the {role}'s fresh seeds are gone: `sweeper promote --again` trains them anew")
    return found


def fresh_runs(store: Store, study: optuna.Study, network: TrainedNetwork) -> list[str]:
    """The runs of the promotion's fresh seeds of a refit's configuration, as far as their weights are kept.

    They have learned from the train part alone. Raises SweeperError if MLflow cannot be used.
    """
    promotion = recorded.find(store, study)
    runs = trained_runs.below(store, promotion.run_id, "MODEL") if promotion else []
    return [
        run_id
        for run_id, tags in runs
        if tags.get("sweeper.trial") == str(network.trial)
        and tags.get("sweeper.part") == "train"
        and weights_in_store(store, network.study_id, tags) is not None
    ]


def _seen(store: Store, study: optuna.Study, network: TrainedNetwork) -> str:
    """Why a refit is looked at on no part of its study, and what to do."""
    known = _known_by(store, study, network)
    other = f"name one of the same configuration that has seen the train part alone ({known}), or " if known else ""
    return (
        f"{network.name} was refitted on all images of study {study.study_name}, so none but test images are new to "
        f"it: {other}take --part train to look knowingly at images that it has learned from"
    )


def _known_by(store: Store, study: optuna.Study, refit: TrainedNetwork) -> str:
    """The name of a network of the refit's configuration that has seen the train part alone; empty if none is kept."""
    name = f"{study.study_name}:{refit.trial}"
    try:
        find(store, name, "MODEL")
    except SweeperError:  # the weights of few trials are kept
        fresh = fresh_runs(store, study, refit)
        return fresh[-1] if fresh else ""
    return name


def value_range_of(
    store: Store,
    network: TrainedNetwork,
    *,
    data_access: DataAccess = NO_DOWNLOAD,
    notify: Notify = lambda note: None,
) -> ValueRange | None:
    """The stored values that became 0 and 255 for training; None if the training images were stored as pixels.

    An older sweeper recorded them nowhere: then only the training images tell them. Raises SweeperError without these.
    """
    known = network.preprocessing.value_range
    if known is not None or network.preprocessing_from != "study":
        return known
    source = data_source.source_of(study_of(store, network), data_access)
    return load_training_set(source, notify=notify).value_range


def from_paths(
    paths: Sequence[Path],
    network: TrainedNetwork,
    *,
    store: Store,
    resize: bool = False,
    data_access: DataAccess = USUAL_ACCESS,
    notify: Notify = lambda note: None,
) -> LabelledImages:
    """A person's own images, read as those that the network was trained on were: files, or all images of folders.

    Folders in a folder are classes, whose names must be the network's; then the images are labelled. Images of another
    size are refused unless the training images were resized too, or `resize` is given. Raises UsageError for paths and
    classes that do not fit, and SweeperError for files that are no images.
    """
    study = study_of(store, network) if network.study_id else None
    options = spec_of(study).data_options if study else network.preprocessing.options
    value_range = partial(value_range_of, store, network, data_access=data_access, notify=notify)
    found = given_files.read(paths, network, options, resize, value_range, Reading(notify, data_access.max_bytes))
    described = counted(len(found.images), "given image")
    return LabelledImages(found.images, found.labels, network.classes, found.files, "given", described)
