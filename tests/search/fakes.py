"""Stand-ins for the workers and for MLflow, so that the coordinator is tested in milliseconds."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sweeper.search.trial import TrialJob, TrialResult
from sweeper.training.fit import EpochMetrics

Script = Callable[[TrialJob, int], Any]


def metrics(epoch: int, accuracy: float, loss: float = 1.0) -> EpochMetrics:
    return EpochMetrics(epoch, 1.0, 0.5, loss, accuracy, accuracy, 0.1, 1000.0, 1.0, 0.1)


class FakePool:
    """Workers that answer by a script: `script(job, epoch)` gives an accuracy or another message to send."""

    def __init__(self, script: Script, n_workers: int = 1) -> None:
        self.script, self.n_workers = script, n_workers
        self.jobs: list[TrialJob] = []
        self.current: dict[int, TrialJob] = {}
        self.epochs: dict[int, int] = {}  # finished ones by trial: what a checkpoint would hold
        self.sent: dict[int, int] = {}
        self.messages: deque[tuple[int, Any]] = deque()

    def __len__(self) -> int:
        return self.n_workers

    def log(self, index: int) -> Path:
        return Path(f"worker-{index}.log")

    def train(self, index: int, job: TrialJob) -> None:
        self.jobs.append(job)
        self.current[index] = job
        self.sent[index] = 0
        self._advance(index)

    def answer(self, index: int, *, go_on: bool) -> None:
        if go_on:
            self._advance(index)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        return [self.messages.popleft()] if self.messages else []

    def _advance(self, index: int) -> None:
        job = self.current[index]
        epoch = self.sent[index] + 1
        if epoch > job.epochs:
            job.folder.mkdir(parents=True, exist_ok=True)
            job.weights.write_bytes(b"weights")
            self.messages.append((index, TrialResult(np.eye(2, dtype=np.int64))))
            return
        message = self.script(job, epoch)
        if isinstance(message, float):
            self.sent[index] = epoch
            message = metrics(epoch, message, loss=1 - message)
        self.messages.append((index, message))


class FakeTracker:
    """Remembers what it is asked to write."""

    def __init__(self) -> None:
        self.states: dict[int, list[tuple[str, str]]] = {}
        self.epochs: dict[int, list[int]] = {}
        self.texts: dict[int, dict[str, str]] = {}
        self.weights: set[int] = set()

    def child_run_id(self, number: int) -> str | None:
        return f"run-{number}"

    def start_child(self, number: int, name: str, params: Any, tags: Any) -> None:
        self.states.setdefault(number, []).append(("running", ""))

    def log_epoch(self, number: int, epoch: int, values: dict[str, float]) -> None:
        self.epochs.setdefault(number, []).append(epoch)

    def log_text(self, number: int, texts: dict[str, str]) -> None:
        self.texts.setdefault(number, {}).update(texts)

    def log_figures(self, number: int, figures: dict[str, Callable[[], Any]]) -> None:
        for draw in figures.values():
            draw()

    def log_weights(self, number: int, path: Path) -> None:
        assert path.read_bytes() == b"weights"
        self.weights.add(number)

    def drop_weights(self, number: int) -> None:
        self.weights.remove(number)

    def forget(self, number: int, folder: Path) -> None:
        pass

    def is_ended(self, number: int) -> bool:
        return self.states.get(number, [("", "")])[-1][0] in ("complete", "pruned", "failed")

    def last_epoch(self, number: int) -> int:
        return max(self.epochs.get(number, []), default=0)

    def finish(self, number: int, state: str, *, reason: str = "", metrics: Any = None) -> None:
        self.states[number].append((state, reason))
