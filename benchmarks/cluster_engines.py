"""Trainings on the nodes of a Ray cluster beside the same trainings in local workers."""

import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.data.training_set import TrainingSet
from sweeper.engine.base import BatchesDone, Engine
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.options import DeviceOptions
from sweeper.engine.ray import cluster
from sweeper.engine.ray.actor import Reply
from sweeper.engine.start import plan_execution, start_workers
from sweeper.engine.workload import Workload
from sweeper.events import Note
from sweeper.store.options import StoreOptions
from sweeper.training.epoch_metrics import EpochMetrics

N_CLASSES, BATCH_SIZE = 10, 64
# The folds: one to train on, and one of a single batch, whose epochs take hardly longer than their messages.
WHOLE, ONE_BATCH = 0, 1
# Their checkpoints, with Adam's moments, have 0.8, 27 and 132 MB.
NETWORKS = {
    "LeNet-5": ConvNetConfig(padding=(2, 0, 0)),
    "with 2.4 million weights": ConvNetConfig(padding=(2, 0, 0), hidden=(2048, 1000)),
    "with 11 million weights": ConvNetConfig(padding=(2, 0, 0), hidden=(4096, 2600)),
}


@dataclass(frozen=True)
class Trained:
    """Trainings that ran side by side: their seconds from the first job to the last result, and their epochs.

    `epochs` has, by worker, the metrics with the time at which they came, `checkpoint` the bytes of the first's after
    an epoch.
    """

    seconds: float
    checkpoint: int
    epochs: Mapping[int, Sequence[tuple[float, EpochMetrics]]]

    def scores(self) -> list[list[tuple[float, float]]]:
        """What must not depend on where the trainings ran."""
        return [[(m.train_loss, m.validation_accuracy) for _, m in of] for of in self.epochs.values()]

    def epoch_seconds(self) -> float:
        """The mean time from one epoch of the first training to its next."""
        times = [when for when, _ in self.epochs[0]]
        return (times[-1] - times[0]) / (len(times) - 1)


def start(name: str, n_workers: int, folder: Path, n_images: int, address: str | None = None) -> Engine:
    """Starts so many workers of an engine, on random images of 28x28 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (n_images, 1, 28, 28), dtype=np.uint8)
    names = tuple(f"class {number}" for number in range(N_CLASSES))
    training_set = TrainingSet("random", pixels, np.arange(n_images) % N_CLASSES, names, sha256="0" * 64, source="here")
    parts = [(0, n_images * 9 // 10, n_images), (0, BATCH_SIZE, 2 * BATCH_SIZE)]
    folds = [(np.arange(first, middle), np.arange(middle, last)) for first, middle, last in parts]
    options = DeviceOptions(device="cpu", jobs=n_workers, engine=name, ray_address=address)
    execution = plan_execution(options, pixels.nbytes, {})
    scalings = [([0.5], [0.3])] * len(folds)
    workload = Workload(training_set, folds, scalings, StoreOptions(folder).resolve({}), name, "0" * 32)
    return start_workers(workload, execution)


def wait_for_places(pool: Engine) -> None:
    """Waits until every worker may be given a job."""
    while not all(pool.at_once(index) for index in range(len(pool))):
        pool.wait(0.1)


def train(pool: Engine, folder: Path, n_jobs: int, epochs: int, fold: int, network: str = "LeNet-5") -> Trained:
    """Trains the first `n_jobs` of a fixed list of configurations, each in a worker of its own, side by side."""
    found: dict[int, list[tuple[float, EpochMetrics]]] = {index: [] for index in range(n_jobs)}
    running, checkpoint = set(found), 0
    began = time.perf_counter()
    for index in running:
        configuration = Configuration(NETWORKS[network], TrainConfig(lr=1e-3 * (1 + index), batch_size=BATCH_SIZE))
        pool.train(index, TrialJob(index, configuration, epochs, index, folder / str(index), "random", fold))
    while running:
        for index, message in pool.wait(1.0):
            match message:
                case EpochMetrics():
                    if index == 0 and message.epoch == 1:  # the last has no optimizer's moments
                        checkpoint = (folder / "0" / "checkpoint.safetensors").stat().st_size
                    pool.answer(index, proceed=True)
                    found[index].append((time.perf_counter(), message))
                case TrialResult():
                    running.remove(index)
                case BatchesDone() | Note():
                    pass
                case _:
                    raise RuntimeError(f"worker {index}: {message}")
    seconds = time.perf_counter() - began
    for index in found:  # the next training of the list is not to resume from these
        for path in (folder / str(index)).iterdir():
            path.unlink()
    return Trained(seconds, checkpoint, found)


@contextmanager
def bytes_of_epochs() -> Iterator[list[int]]:
    """The size of each message with an epoch that comes from the cluster within the block."""
    sizes: list[int] = []
    result = cluster.result

    def measured(reference: Any, seconds: float | None = None) -> Any:
        reply = result(reference, seconds)
        if isinstance(reply, Reply) and any(isinstance(message, EpochMetrics) for message in reply.messages):
            rest = len(pickle.dumps(replace(reply, new_files={})))
            sizes.append(rest + sum(map(len, reply.new_files.values())))
        return reply

    cluster.result = measured
    try:
        yield sizes
    finally:
        cluster.result = result
