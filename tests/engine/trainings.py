"""Small trainings for the workers of an engine, and what comes of them."""

import time

from sweeper.config import Configuration, TrainConfig
from sweeper.engine.base import BatchesDone
from sweeper.engine.job import TrialJob
from sweeper.training.epoch_metrics import EpochMetrics
from tests.commands.processes import DEADLINE
from tests.training.tiny import MODEL


def job(folder, number=0, *, model=MODEL, train=None, epochs=3, fold=0):
    configuration = Configuration(model, train or TrainConfig(lr=1e-2, batch_size=16))
    return TrialJob(number, configuration, epochs, 5, folder, "data", fold)


def receive(pool, index):
    """The next message that is not a sign of life within an epoch: a slow machine has those, too."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        for sender, message in pool.wait(1.0):
            assert sender == index
            if not isinstance(message, BatchesDone):
                return message
    raise AssertionError(f"the worker sent nothing for {DEADLINE} s")


def finish(pool, index, first=None):
    """Lets the trial run to its end: its epochs and its last message."""
    epochs = []
    message = first or receive(pool, index)
    while isinstance(message, EpochMetrics):
        epochs.append(message)
        pool.answer(index, proceed=True)
        message = receive(pool, index)
    return epochs, message


def scores(epochs):
    return [(m.epoch, m.train_loss, m.validation_loss, m.validation_accuracy) for m in epochs]
