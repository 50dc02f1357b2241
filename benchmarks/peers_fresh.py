"""The data of peers.py with their split, and fresh trainings of the best configurations, by sweeper's loop for all."""

import json
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sweeper.config import Configuration
from sweeper.data.known import catalog, locate
from sweeper.data.source import DataSource
from sweeper.data.splits import Split
from sweeper.data.training_set import load_training_set
from sweeper.models.families import build
from sweeper.runs.study_splits import scalings, splits_of
from sweeper.spaces import reader
from sweeper.training.device_data import TrainingData, on_device
from sweeper.training.loop import fit

# Of `sweeper search`, whose split the others take.
SEED = 0


def prepare(folder: Path, dataset: str, space: str, subset: int | None) -> None:
    """Writes the data set as torchvision expects it, and the split of sweeper's search of this space."""
    known = catalog.get(dataset)
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for file, content in zip(known.files, locate.read(known, known.files, notify=print).contents, strict=True):
        (raw / file.name).write_bytes(content)
    training_set, protocol = load_training_set(DataSource(dataset)), reader.load(space).protocol
    (split,) = splits_of(training_set, protocol, seed=SEED, subset=subset)
    parts = {"train": split.train.tolist(), "validation": split.validation.tolist(), "confirm": split.confirm.tolist()}
    (folder / "split.json").write_text(json.dumps(parts))


def fresh_accuracies(
    folder: Path,
    dataset: str,
    space: str,
    chosen: Mapping[str, tuple[Mapping[str, Any], int]],
    seeds: Sequence[int],
) -> None:
    """Trains each way's configuration for its epochs with each seed; keeps the validation accuracies in fresh.json."""
    path = folder / "fresh.json"
    done: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    jobs = [
        (way, configuration_of(params, space), epochs, seed)
        for way, (params, epochs) in chosen.items()
        for seed in seeds
        if str(seed) not in done.get(way, {})
    ]
    with get_context("spawn").Pool(2, _start, (folder, dataset, space)) as pool:
        for way, seed, accuracy in pool.imap_unordered(_train, jobs):
            done.setdefault(way, {})[str(seed)] = accuracy
            path.write_text(json.dumps(done))
            print(f"{way}, seed {seed}: {accuracy:.4f}", flush=True)


def configuration_of(params: Mapping[str, Any], space: str) -> Configuration:
    """A configuration of the space from the parameters that are searched, as Optuna stores them."""
    loaded = reader.load(space)
    return Configuration.from_values({**loaded.fixed, **loaded.decode(params)})


_data: TrainingData  # of a process of the pool


def _start(folder: Path, dataset: str, space: str) -> None:
    """Loads the parts once for each process."""
    global _data
    torch.set_num_threads(1)
    training_set, parts = load_training_set(DataSource(dataset)), json.loads((folder / "split.json").read_text())
    split = Split(**{name: np.array(indices) for name, indices in parts.items()})
    ((mean, std),) = scalings(training_set, [split], reader.load(space).protocol.pixels)
    images, labels = training_set.images, training_set.labels
    _data = on_device(
        (images[split.train], labels[split.train]),
        (images[split.validation], labels[split.validation]),
        n_classes=len(training_set.classes),
        mean=mean,
        std=std,
        device=torch.device("cpu"),
        layout=torch.channels_last,
    )


def _train(job: tuple[str, Configuration, int, int]) -> tuple[str, int, float]:
    """The way, the seed and the last epoch's validation accuracy of a job."""
    way, configuration, epochs, seed = job
    torch.manual_seed(seed)
    network = build(configuration.model, _data.input_shape, _data.n_classes).to(memory_format=_data.layout)
    *_, last = fit(network, _data, configuration.train, epochs=epochs, seed=seed)
    return way, seed, last.validation_accuracy
