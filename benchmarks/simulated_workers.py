"""An engine of simulated workers, whose trainings take time but no processor, on a clock that skips idle time."""

import heapq
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from sweeper.engine.base import BatchesDone, Died, Lost
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.training.epoch_metrics import EpochMetrics

# How often a training worker says that it lives.
SIGN_SECONDS = 1.0
N_BATCHES, N_CLASSES = 844, 10  # of 54,000 images in batches of 64
# LeNet-5's, as the weights of a finished training.
N_PARAMETERS = 61_706
# The epochs of one space's networks differ by a factor of 3 or so: two standard deviations to each side.
LOG_SPREAD = math.log(3) / 4


class Enough(Exception):
    """The workers have trained enough; it ends the coordinator as a fault of the engine would."""


@dataclass
class Training:
    """A job, its epoch that is being trained, and when that ends."""

    job: TrialJob
    epoch: int = 0
    end: float = 0.0


class SimulatedWorkers:
    """Workers that have a process and a place each. The accuracy of a trial rises with its epochs.

    The clock runs with the machine's while the coordinator works, and jumps to the next message when it waits. `rest`
    is first called with the length of the jump in seconds, and may use so much time for what works beside it.

    `on_full` is called when all workers have a job for the first time. What is counted, is counted since then. `wait`
    raises Enough once `is_enough` says so.
    """

    tunes_concurrency = False
    processor = "simulated"

    def __init__(
        self,
        n_workers: int,
        epoch_seconds: float,
        weights: Path,
        *,
        is_enough: Callable[[], bool],
        on_full: Callable[[], None] = lambda: None,
        rest: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.n_workers, self.epoch_seconds = n_workers, epoch_seconds
        self._weights, self._is_enough, self._on_full, self._rest = weights, is_enough, on_full, rest
        save_file({"weights": np.zeros(N_PARAMETERS, np.float32)}, weights)
        self.sent: Counter[type] = Counter()  # messages by kind
        self.full = 0.0  # when all workers had a job, by the clock
        self._trainings: dict[int, Training] = {}
        self._due: list[tuple[float, int, int]] = []
        self._n_events = 0
        self._jumped, self._started = 0.0, time.perf_counter()

    @property
    def now(self) -> float:
        """The clock, in seconds."""
        return time.perf_counter() - self._started + self._jumped

    def __len__(self) -> int:
        return self.n_workers

    def processes(self) -> list[range]:
        return [range(index, index + 1) for index in range(self.n_workers)]

    def at_once(self, index: int) -> int:
        return 1

    def limit_concurrency(self, index: int, at_once: int) -> None:
        raise AssertionError(f"worker {index} shares its process with nobody")

    def lift_limit(self, index: int) -> None:
        raise AssertionError(f"worker {index} has no limit")

    def renew(self, index: int) -> None:
        raise AssertionError(f"worker {index} has not failed")

    def kill(self, index: int, reason: str) -> Mapping[int, Died | Lost]:
        raise AssertionError(f"worker {index} was taken for dead: {reason}")

    def train(self, index: int, job: TrialJob) -> None:
        self._trainings[index] = Training(job)
        self._begin(index)
        if not self.full and len(self._trainings) == self.n_workers:
            self.full = self.now
            self._on_full()

    def answer(self, index: int, *, proceed: bool) -> None:
        if proceed:
            self._begin(index)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        gap = min(seconds, self._due[0][0] - self.now)
        if gap > 0:
            until = self.now + gap
            self._rest(gap)
            self._jumped += max(0.0, until - self.now)
        messages: dict[int, Any] = {}
        later = []
        while self._due and self._due[0][0] <= self.now:
            event = heapq.heappop(self._due)
            _, _, index = event
            if index in messages:  # one of a worker: the second waits in its pipe
                later.append(event)
            else:
                messages[index] = self._message(event)
        for event in later:
            heapq.heappush(self._due, event)
        if self.full and self._is_enough():
            raise Enough
        self.sent.update(type(message) for message in messages.values() if self.full)
        return list(messages.items())

    def place(self, index: int) -> str:
        return f"node-{index}"

    def waiting(self) -> str:
        return ""

    def log(self, index: int) -> Path:
        return self._weights.with_name(f"worker-{index}.log")

    def close(self) -> None:
        self._trainings.clear()

    def _begin(self, index: int) -> None:
        training = self._trainings[index]
        training.epoch += 1
        drawn = random.Random(f"{training.job.number} {training.epoch}")
        seconds = 0.0  # of the last evaluation, after the last epoch
        if training.epoch <= training.job.epochs:
            seconds = self.epoch_seconds * math.exp(drawn.gauss(0.0, LOG_SPREAD))
        if not self.full:  # they have not all begun at once, and each is somewhere in its epoch
            seconds *= drawn.random()
        training.end = self.now + seconds
        self._put(min(self.now + SIGN_SECONDS, training.end), index)

    def _put(self, when: float, index: int) -> None:
        self._n_events += 1
        heapq.heappush(self._due, (when, self._n_events, index))

    def _message(self, event: tuple[float, int, int]) -> Any:
        when, _, index = event
        training = self._trainings[index]
        job = training.job
        if when < training.end:
            self._put(min(when + SIGN_SECONDS, training.end), index)
            return BatchesDone(training.epoch, 1, N_BATCHES)
        if training.epoch > job.epochs:
            job.folder.mkdir(parents=True, exist_ok=True)
            os.link(self._weights, job.weights)
            return TrialResult(np.full((N_CLASSES, N_CLASSES), 60))
        return _metrics(job.number, training.epoch, self.epoch_seconds)


def _metrics(number: int, epoch: int, seconds: float) -> EpochMetrics:
    """Trials end between 86 and 92 % or so, and lack a third of a point in 0.1 after one epoch."""
    drawn = random.Random(f"{number} {epoch}")
    accuracy = random.Random(number).gauss(0.89, 0.015) - 0.06 / epoch + drawn.gauss(0.0, 0.002)
    return EpochMetrics(
        epoch=epoch,
        train_loss=1.1 - accuracy,
        train_accuracy=accuracy,
        validation_loss=1.1 - accuracy,
        validation_accuracy=accuracy,
        validation_macro_f1=accuracy,
        lr=0.001,
        images_per_second=54_000 / seconds,
        gradient_norm=1.0,
        epoch_seconds=seconds,
        validation_balanced_accuracy=accuracy,
    )
