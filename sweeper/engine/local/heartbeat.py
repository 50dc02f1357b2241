"""A training worker's signs of life to the coordinator: how many batches of the epoch are done."""

import time
from multiprocessing.connection import Connection

from sweeper.engine.base import BatchesDone

# Often enough for a progress bar; a message costs the worker less than 0.1 ms.
SECONDS = 1.0


class Heartbeat:
    """Sends the batches done, at most once in SECONDS.

    The training thread itself calls it after every batch: a thread of its own would go on while a training hangs.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sent = time.monotonic()

    def __call__(self, epoch: int, done: int, total: int) -> None:
        """Called after a batch: `done` of `total` in the epoch."""
        now = time.monotonic()
        if now - self._sent >= SECONDS:
            self._sent = now
            self._connection.send(BatchesDone(epoch, done, total))
