"""The inline engine in the place of worker processes: for tests of what stands around the training."""

from typing import Any, ClassVar

import torch

from sweeper.engine.inline import InlineEngine
from sweeper.engine.local import pool, shared_images
from sweeper.engine.local.worker import load_fold


class InlinePool(InlineEngine):
    """One worker without a process, with WorkerPool's signature; `made` remembers all pools and what they could see."""

    made: ClassVar[list[Any]] = []

    def __init__(self, setup, devices, log_folder, per_process=1, tunes_concurrency=False) -> None:
        device = torch.device("cpu")
        super().__init__(lambda fold: load_fold(setup, fold, device), "cpu", setup.threads, False, log_folder)
        InlinePool.made.append(self)
        self.images_folder = setup.images_folder
        self.train_part, self.validation_part = shared_images.read(setup.images_folder, 0)
        self.jobs: list[Any] = []

    def train(self, index: int, job) -> None:
        self.jobs.append(job)
        super().train(index, job)

    def _give_back(self) -> None:
        """Does nothing: to look for garbage takes longer than such a training."""

    def close(self) -> None:
        super().close()
        shared_images.remove(self.images_folder)


def required_processors(monkeypatch) -> list[str]:
    """The kinds of processor that commands require from now on of the nodes of a cluster, were they to use one."""
    required = []
    start = pool.start_workers

    def started(workload, execution):
        required.append(execution.required_processor)
        return start(workload, execution)

    monkeypatch.setattr(pool, "start_workers", started)
    return required
