"""What a search, or a training by itself, is asked for and starts from: data as they are cut, workers, and a spec."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeper.config import Protocol, TimmConfig
from sweeper.data import lookup
from sweeper.data.images.options import DataOptions
from sweeper.data.splits import Split, splits_sha256
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.engine.local.pool import WorkerPool, start_workers
from sweeper.engine.local.resources import Execution, plan_execution
from sweeper.errors import UsageError, plain, refuse
from sweeper.events import Listener, Note
from sweeper.models import families
from sweeper.runs.study_splits import scalings, splits_of
from sweeper.spaces.feasibility import check_decayed_layers
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.studies.spec import scalings_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line says of a search and of a training by itself alike."""

    dataset: str  # a known name, or the path of a folder or .npz file
    data_options: DataOptions
    space: Space
    protocol: Protocol
    seed: int
    subset: int | None
    device: str
    jobs: int | None
    worker_memory: int | None  # bytes; None is an equal share
    jobs_per_gpu: int | None = None
    data_dir: Path | None
    offline: bool
    store: Store
    command: Sequence[str]

    @property
    def data_name(self) -> str:
        """What the data set is called."""
        return lookup.name_of(self.dataset)


@dataclass(frozen=True)
class Plan:
    """What will be done, known before anything is written.

    `spec` is all that the results depend on, as plain data: of a training by itself, beside its configuration.
    """

    training_set: TrainingSet
    splits: Sequence[Split]  # one a fold, or the only one
    execution: Execution
    spec: Mapping[str, Any]

    def start_workers(self, store: Store, owner: str, owner_id: str) -> WorkerPool:
        """Workers that see the train and validation parts; they are `owner`'s, whom `owner_id` tells from namesakes."""
        folds = [(split.train, split.validation) for split in self.splits]
        scalings = scalings_of(self.spec)
        return start_workers(
            self.training_set, folds, scalings, self.execution, store=store, owner=owner, owner_id=owner_id
        )


def make(
    request: Request,
    variants: Sequence[str],
    decisive: Mapping[str, Any],
    listener: Listener,
    most_jobs: int = sys.maxsize,
) -> Plan:
    """Obtains and cuts the data, which the networks of `variants` must be able to take.

    `decisive` is what else the results depend on, for the spec; of more workers than `most_jobs` there is no use.
    Raises SweeperError, and UsageError where the data are too few, or other than the space is for.
    """
    training_set = load_training_set(
        request.dataset,
        options=request.data_options,
        data_dir=request.data_dir,
        offline=request.offline,
        notify=lambda text: listener(Note(text)),
    )
    protocol = {**asdict(request.protocol), "seed": request.seed, "subset": request.subset}
    if training_set.own_validation is not None:
        used = "the folds hold its images, too" if request.protocol.folds else "it is what scores"
        n_images = len(training_set.own_validation)
        listener(Note(f"{training_set.name} has a validation part of its own, of {n_images:,} images: {used}"))
    try:
        splits = splits_of(training_set, protocol)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if request.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # of pretrained weights: the hub's library in this process and the workers'
    _check_fit(request.space, variants, training_set)
    fold_scalings = scalings(training_set, splits, request.protocol.pixels)
    mean, std = fold_scalings[0]
    execution = plan_execution(
        request.device,
        request.jobs,
        training_set.images.nbytes,
        os.environ,
        request.worker_memory,
        request.jobs_per_gpu,
        most_jobs,
    )
    # Where a command differs from the study that it names, the first difference is told: the broadest stands first.
    spec = {
        "dataset": training_set.name,
        **asdict(request.data_options),
        "space_name": request.space.name,
        **decisive,
        **protocol,
        "data_sha256": training_set.sha256,
        "split_sha256": splits_sha256(splits),
        "mean": mean,
        "std": std,
        "fold_scalings": fold_scalings,
        "device": execution.kind,
        "threads": execution.threads,
        "layout": execution.layout,
    }
    return Plan(training_set, splits, execution, json.loads(json.dumps(spec)))


def _check_fit(space: Space, variants: Sequence[str], training_set: TrainingSet) -> None:
    """Raises UsageError for a variant whose network cannot take the images, or is not to be had.

    The file was checked against the data set that it names first, if it names one; these may be others.
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
            check_decayed_layers(configuration, families.trace(configuration.model, *shapes))
        except ValueError as error:
            refuse(
                f"space {plain(space.name)} does not fit {plain(training_set.name)}: {error}", f"variant {plain(name)}"
            )
        if isinstance(configuration.model, TimmConfig) and configuration.model.pretrained:
            try:
                families.build(configuration.model, *shapes)  # every worker would find out for itself
            except ValueError as error:
                refuse(str(error), f"variant {plain(name)}")
