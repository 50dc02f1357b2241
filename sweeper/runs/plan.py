"""Plans a search or a training by itself before anything is written: data, splits, workers, and a spec."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from sweeper.data import lookup
from sweeper.data.source import DataSource
from sweeper.data.splits import Split, raised_parts, splits_sha256
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.engine import device_precision
from sweeper.engine.base import Engine
from sweeper.engine.execution import Execution
from sweeper.engine.options import DeviceOptions
from sweeper.engine.start import plan_execution, start_workers
from sweeper.engine.workload import Workload
from sweeper.errors import UsageError, plain, refuse
from sweeper.evaluation.constant import Constant, best_constant
from sweeper.events import Listener, Note, Step
from sweeper.models import families
from sweeper.quantities import counted
from sweeper.runs import pretrained_weights
from sweeper.runs.options import TrainingOptions
from sweeper.runs.study_splits import scalings, splits_of, whole
from sweeper.spaces import feasibility
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.studies.spec import RunSpec

# A validation part of fewer images is told of: it can show differences of whole points only.
FEW_IMAGES = 100


@dataclass(frozen=True)
class Plan:
    """The plan of a search or a training by itself; `splits` has one split for each fold, or the only one."""

    training_set: TrainingSet
    splits: Sequence[Split]
    execution: Execution
    spec: RunSpec

    def constant(self, metric: str) -> Constant | None:
        """What always saying one class scores on the validation part; with folds, the mean over them."""
        labels = [self.training_set.labels[split.validation] for split in self.splits]
        return best_constant(metric, labels, self.training_set.classes)

    def on(self, kind: str) -> Self:
        """The plan whose workers in a cluster train on this kind of processor or GPU alone (process.processor)."""
        return replace(self, execution=replace(self.execution, required_processor=kind))

    def start_workers(self, store: Store, owner: str, owner_id: str, execution: Execution | None = None) -> Engine:
        """Starts workers that see only the train and validation parts.

        The workers belong to `owner`, a study or a training by itself. `owner_id` distinguishes owners of one name.
        `execution` is the plan's, maybe with fewer processes.
        """
        folds = [(split.train, split.validation) for split in self.splits]
        workload = Workload(self.training_set, folds, self.spec.fold_scalings, store, owner, owner_id)
        return start_workers(workload, execution or self.execution)


def make(
    source: DataSource,
    space: Space,
    training: TrainingOptions,
    device: DeviceOptions,
    listener: Listener,
    *,
    variants: Sequence[str],
    most_jobs: int = sys.maxsize,
    n_trials: int | None = None,
    all_data: bool = False,
    searched: bool = False,
) -> Plan:
    """Loads and splits the data, checks that the networks of `variants` fit, and plans at most `most_jobs` workers.

    `n_trials` are those of a search, which learns from them; None where none waits for another.
    Pretrained weights are had for the variants and, if the space is `searched`, for all networks that it may draw.
    With `all_data`, the only split trains on all images of the parts, and scores on none. Raises SweeperError, and
    UsageError if there are too few images or the space does not fit them.
    """
    listener(Step(f"Reading the images of {plain(source.dataset)}"))
    training_set = load_training_set(source, notify=lambda text: listener(Note(text)))
    if training_set.conversions:
        listener(Note(f"Converted while reading: {'; '.join(training_set.conversions)}"))
    protocol = training.protocol(space.protocol)
    if training_set.own_validation is not None and not all_data:
        used = "the folds include them" if protocol.folds else "the scores are measured on it"
        n_images = len(training_set.own_validation)
        if n_images < FEW_IMAGES and not protocol.folds:
            used += f", and one image is {100 / n_images:.1f} points; --resplit cuts a part from all training images"
        listener(Note(f"{training_set.name} has its own validation part of {counted(n_images, 'image')}: {used}"))
    listener(Step(f"Splitting {counted(len(training_set.labels), 'image')} and looking for duplicates"))
    try:
        splits = splits_of(training_set, protocol, seed=training.seed_of_splits, subset=training.subset)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if all_data:
        splits = [whole(splits[0])]
        listener(Note(f"Trains on all {len(splits[0].train):,} images: no part is left for validation scores"))
    else:
        share = None if protocol.folds or training_set.own_validation is not None else protocol.validation
        for sentence in raised_parts(splits[0], share, protocol.confirm, len(training_set.classes)):
            listener(Note(sentence))
    if source.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the library that loads pretrained weights reads it, in the workers too
    _check_fit(space, variants, training_set)
    pretrained = pretrained_weights.found(
        space.pretrained(variants, searched=searched), training_set, offline=source.offline, listener=listener
    )
    n_trainings = None if n_trials is None else n_trials * protocol.n_trainings
    execution = plan_execution(device, training_set.images.nbytes, os.environ, most_jobs, n_trainings)
    precisions = {space.variant(name).configuration.train.precision for name in variants}
    if searched and "precision" in space.parameters:
        precisions.update(space.parameters["precision"].choices)
    device_precision.check(precisions, execution)
    spec = replace(
        spec_without_data(source, space, training, execution),
        data_sha256=training_set.sha256,
        conversions=training_set.conversions,
        split_sha256=splits_sha256(splits),
        fold_scalings=scalings(training_set, splits, protocol.pixels),
        pretrained=pretrained,
    )
    return Plan(training_set, splits, execution, spec)


def spec_without_data(source: DataSource, space: Space, training: TrainingOptions, execution: Execution) -> RunSpec:
    """The spec as far as it is known without the data: the fields of spec_comparison.OF_THE_DATA are empty."""
    return RunSpec(
        dataset=lookup.name_of(source.dataset),
        data_options=source.options,
        space_name=space.name,
        protocol=training.protocol(space.protocol),
        seed=training.seed,
        # One stored form for each meaning: a study is resumed only with the same stored values.
        split_seed=None if training.split_seed == training.seed else training.split_seed,
        subset=training.subset,
        data_sha256="",
        fold_scalings=[([], [])],
        device=execution.kind,
        threads=execution.threads,
        layout=execution.layout,
    )


def _check_fit(space: Space, variants: Sequence[str], training_set: TrainingSet) -> None:
    """Raises UsageError for a variant whose network cannot take the images, or cannot be built.

    Loading checked the space only against the first data set that it names, if any; this one may be another.
    """
    for model_name in space.model_names:
        try:
            families.check_name(model_name)
        except ValueError as error:
            refuse(str(error), f"space {plain(space.name)}")
    shapes = training_set.input_shape, len(training_set.classes)
    for name in variants:
        configuration = space.variant(name).configuration
        try:
            feasibility.trace(configuration, *shapes)
        except ValueError as error:
            refuse(
                f"space {plain(space.name)} does not fit {plain(training_set.name)}: {error}", f"variant {plain(name)}"
            )
