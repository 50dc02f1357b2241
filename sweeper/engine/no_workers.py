"""An engine without workers, for a study that has nothing left to train: it starts no process and shares no images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from sweeper.engine.base import Died, Lost
from sweeper.engine.job import TrialJob


class NoWorkers:
    """No worker has any index."""

    tunes_concurrency = False
    processor = ""

    def __len__(self) -> int:
        return 0

    def processes(self) -> list[range]:
        return []

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        return []

    def waiting(self) -> str:
        return ""

    def close(self) -> None:
        pass

    def at_once(self, index: int) -> int:
        _refuse(index)

    def limit_concurrency(self, index: int, at_once: int) -> None:
        _refuse(index)

    def lift_limit(self, index: int) -> None:
        _refuse(index)

    def renew(self, index: int) -> None:
        _refuse(index)

    def kill(self, index: int, reason: str) -> Mapping[int, Died | Lost]:
        _refuse(index)

    def train(self, index: int, job: TrialJob) -> None:
        _refuse(index)

    def answer(self, index: int, *, proceed: bool) -> None:
        _refuse(index)

    def place(self, index: int) -> str:
        _refuse(index)

    def log(self, index: int) -> Path:
        _refuse(index)


def _refuse(index: int) -> NoReturn:
    raise IndexError(f"no worker has the index {index}")
