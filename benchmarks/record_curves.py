"""Trains random configurations of a search space and records their validation accuracies: the input of replay.py.

    python benchmarks/record_curves.py record fashion_mnist CIFAR10 CIFAR100 \
        --set filters=[6,16,120] --out curves.jsonl
    python benchmarks/record_curves.py pack curves.jsonl --out benchmarks/curves.npz

Configuration 0 of each data set is the space's baseline; the others are drawn at random. Each trains in one thread with
sweeper's own loop, schedules included. Its accuracy is measured after every third of the first two epochs, and after
every epoch. Lines are appended as configurations finish. Started again, the command leaves out what the file holds
already; `--part 1/2` and `--part 2/2` share the work between two processes.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from sweeper.config import Configuration
from sweeper.data.lookup import name_of
from sweeper.data.source import DataSource
from sweeper.data.splits import split_once
from sweeper.data.training_set import load_training_set
from sweeper.models.families import build
from sweeper.spaces import reader
from sweeper.spaces.space import Space
from sweeper.training.device_data import TrainingData, on_device
from sweeper.training.epoch_metrics import Diverged
from sweeper.training.loop import batch_bounds, fit
from sweeper.training.validation import evaluate

# Few enough that a configuration takes seconds of one core: 600 of them are needed.
EPOCHS, N_TRAIN, N_VALIDATION = 9, 2_500, 1_000
# Epochs at whose thirds the accuracy is measured: factor 4 from a third of an epoch decides after 4/3 epochs.
EPOCHS_IN_THIRDS = 2
# All times in a curve at which the accuracy is measured, in thirds of an epoch.
TIMES = (*range(1, 3 * EPOCHS_IN_THIRDS), *range(3 * EPOCHS_IN_THIRDS, 3 * EPOCHS + 1, 3))


@dataclass(frozen=True)
class Curve:
    """How many validation images a configuration classified correctly at each of TIMES, until it diverged."""

    dataset: str
    number: int
    params: dict[str, Any]
    correct: list[int]


def configurations(space: Space, seed: int) -> Iterator[tuple[dict[str, Any], Configuration]]:
    """The space's baseline, then random configurations without end, each with its parameters as Optuna stores them."""
    baseline = space.variant("baseline").configuration
    yield space.point(baseline) or {}, baseline
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    while True:
        trial = study.ask()
        configuration = space.suggest(trial)
        yield trial.params, configuration


def load(dataset: str, seed: int = 0) -> TrainingData:
    """A stratified part of the data set, scaled by its own mean and deviation as protocol `standard` does."""
    training_set = load_training_set(DataSource(dataset))
    images, labels = training_set.images, training_set.labels
    split = split_once(images, labels, validation=N_VALIDATION, confirm=0, seed=seed, subset=N_TRAIN + N_VALIDATION)
    pixels = images[split.train] / np.float32(255)
    return on_device(
        (images[split.train], labels[split.train]),
        (images[split.validation], labels[split.validation]),
        n_classes=len(training_set.classes),
        mean=pixels.mean(axis=(0, 2, 3)).tolist(),
        std=pixels.std(axis=(0, 2, 3)).tolist(),
        device=torch.device("cpu"),
        layout=torch.channels_last,
    )


def train(data: TrainingData, configuration: Configuration, seed: int, epochs: int = EPOCHS) -> list[int]:
    """Trains the configuration; the number of correct validation images at each of TIMES until it diverges."""
    torch.manual_seed(seed)
    network = build(configuration.model, data.input_shape, data.n_classes).to(memory_format=data.layout)
    n_batches = len(batch_bounds(len(data.train), configuration.train.batch_size))
    thirds = {-(-n_batches // 3), -(-2 * n_batches // 3)}
    counts: list[int] = []

    def on_batch(epoch: int, done: int, total: int) -> None:
        if epoch <= EPOCHS_IN_THIRDS and done in thirds and network.training:
            _, outputs = evaluate(network, data, data.validation)
            counts.append(int((outputs.argmax(1) == data.validation.labels.numpy()).sum()))
            network.train()

    try:
        for metrics in fit(network, data, configuration.train, epochs=epochs, seed=seed, on_batch=on_batch):
            counts.append(round(metrics.validation_accuracy * len(data.validation)))
    except Diverged:
        pass
    return counts


def record(datasets: list[str], space: Space, n: int, out: Path, part: tuple[int, int]) -> None:
    """Appends the curves of n configurations a data set to the file."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.touch()
    done = {(curve.dataset, curve.number) for curve in read(out)}
    loaded = {name_of(dataset): load(dataset) for dataset in datasets}
    drawn = {name: configurations(space, seed) for seed, name in enumerate(loaded)}
    for number in range(n):
        for name, data in loaded.items():
            params, configuration = next(drawn[name])
            if (name, number) in done or number % part[1] != part[0] - 1:
                continue
            started = time.process_time()
            correct = train(data, configuration, seed=number)
            line = {"dataset": name, "number": number, "params": params, "correct": correct}
            line["processor_seconds"] = round(time.process_time() - started, 2)
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")


def read(path: Path) -> list[Curve]:
    """The curves of a file that `record` wrote; a last line that was cut off is left out."""
    curves = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            values = json.loads(line)
            curves.append(Curve(values["dataset"], values["number"], values["params"], values["correct"]))
    return curves


def pack(path: Path, out: Path) -> None:
    """Writes the curves, those of each data set in one array of counts: -1 where a configuration had diverged."""
    curves = sorted(read(path), key=lambda curve: curve.number)
    arrays: dict[str, np.ndarray] = {"times": np.array(TIMES, np.int8), "n_validation": np.array(N_VALIDATION)}
    for name in dict.fromkeys(curve.dataset for curve in curves):
        of_set = [curve for curve in curves if curve.dataset == name]
        counts = np.full((len(of_set), len(TIMES)), -1, np.int16)
        for row, curve in zip(counts, of_set, strict=True):
            row[: len(curve.correct)] = curve.correct
        arrays[f"correct_{name.removesuffix('-folder')}"] = counts
        arrays[f"params_{name.removesuffix('-folder')}"] = np.array([json.dumps(curve.params) for curve in of_set])
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]


def _part(text: str) -> tuple[int, int]:
    index, _, of = text.partition("/")
    if not (index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
        raise argparse.ArgumentTypeError(f"must be I/N with 1 <= I <= N, got {text!r}")
    return int(index), int(of)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record")
    recorder.add_argument("datasets", nargs="+")
    recorder.add_argument("--space", default="lenet5")
    recorder.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    recorder.add_argument("--configurations", type=int, default=210)
    recorder.add_argument("--part", type=_part, default=(1, 1), metavar="I/N")
    packer = commands.add_parser("pack")
    packer.add_argument("curves", type=Path)
    for command in (recorder, packer):
        command.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack(arguments.curves, arguments.out)
        return
    space = reader.load(arguments.space, arguments.overrides)
    record(arguments.datasets, space, arguments.configurations, arguments.out, arguments.part)


if __name__ == "__main__":
    main()
