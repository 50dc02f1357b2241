"""A pool that really trains, in this process: for tests of what stands around the training."""

from collections import deque
from typing import Any, ClassVar

import torch

from sweeper.engine.base import Failure
from sweeper.engine.job import train_trial
from sweeper.engine.local import shared_images
from sweeper.engine.local.worker import load_fold
from sweeper.training.epoch_metrics import Diverged


class InlinePool:
    """One worker without a process, with WorkerPool's signature; `made` remembers all pools and what they could see."""

    made: ClassVar[list[Any]] = []

    def __init__(self, setup, devices, log_folder, per_process=1, tunes_concurrency=False) -> None:
        self.tunes_concurrency = tunes_concurrency
        InlinePool.made.append(self)
        self.images_folder = setup.images_folder
        self.setup = setup
        self.train_part, self.validation_part = shared_images.read(setup.images_folder, 0)
        self.messages: deque[Any] = deque()
        self.log_folder = log_folder
        self.jobs: list[Any] = []

    def __len__(self) -> int:
        return 1

    def log(self, index: int):
        return self.log_folder / f"worker-{index}.log"

    def train(self, index: int, job) -> None:
        self.jobs.append(job)
        self.training = train_trial(job, load_fold(self.setup, job.fold, torch.device("cpu")))
        self._advance()

    def answer(self, index: int, *, proceed: bool) -> None:
        if proceed:
            self._advance()

    def processes(self) -> list[range]:
        return [range(1)]

    def at_once(self, index: int) -> int:
        return 1

    def renew(self, index: int) -> None:
        raise AssertionError("nothing runs out of memory here")

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        return [(0, self.messages.popleft())] if self.messages else []

    def close(self) -> None:
        shared_images.remove(self.images_folder)

    def _advance(self) -> None:
        try:
            message = next(self.training)
        except Diverged as error:
            message = Failure("diverged", str(error))
        self.messages.append(message)
