"""Stand-ins for the workers and for MLflow, so that whoever trains with them is tested in milliseconds."""

import inspect
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from sweeper.engine.base import Died
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.plots import FUNCTIONS, Plot
from sweeper.tracking.outbox import Key
from sweeper.training.epoch_metrics import EpochMetrics

Script = Callable[[TrialJob, int], Any]


def metrics(epoch: int, accuracy: float, loss: float = 1.0) -> EpochMetrics:
    return EpochMetrics(epoch, 1.0, 0.5, loss, accuracy, accuracy, 0.1, 1000.0, 1.0, 0.1, accuracy)


class FakePool:
    """Workers that answer by a script: `script(job, epoch)` gives an accuracy or another message to send.

    They leave the files that real ones leave: a checkpoint after every epoch, at last the weights. With `per_process`,
    so many share a process. A finished training has the confusion matrix `confusion`.
    """

    confusion = np.eye(2, dtype=np.int64)

    def __init__(
        self, script: Script, n_workers: int = 1, per_process: int = 1, tunes_concurrency: bool = False
    ) -> None:
        self.tunes_concurrency = tunes_concurrency
        self.processor = "x"
        self.script, self.n_workers, self.per_process = script, n_workers, per_process
        self.limits = [per_process] * (n_workers // per_process)
        self.jobs: list[TrialJob] = []
        self.current: dict[int, TrialJob] = {}
        self.epochs: dict[int, int] = {}  # finished ones by trial: what a checkpoint would hold
        self.sent: dict[int, int] = {}
        self.messages: deque[tuple[int, Any]] = deque()
        self.renewed: list[int] = []
        self.killed: list[tuple[int, str]] = []
        self.closed = False
        self.silent = 0  # how many times a wait is in vain
        self.placeless: set[int] = set()  # workers whose process has no place
        self.reason = ""  # what these wait for
        self.places: dict[int, str] = {}
        self.on_wait: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return self.n_workers

    def log(self, index: int) -> Path:
        return Path(f"worker-{index}.log")

    def train(self, index: int, job: TrialJob) -> None:
        assert self.at_once(index), "a worker without a place takes no job"
        self.jobs.append(job)
        self.current[index] = job
        self.sent[index] = 0
        self._advance(index)

    def answer(self, index: int, *, proceed: bool) -> None:
        if proceed:
            self._advance(index)

    def processes(self) -> list[range]:
        return [range(first, first + self.per_process) for first in range(0, self.n_workers, self.per_process)]

    def at_once(self, index: int) -> int:
        return 0 if index in self.placeless else self.limits[index // self.per_process]

    def limit_concurrency(self, index: int, at_once: int) -> None:
        self.limits[index // self.per_process] = max(1, min(self.limits[index // self.per_process], at_once))

    def lift_limit(self, index: int) -> None:
        self.limits[index // self.per_process] = self.per_process

    def renew(self, index: int) -> None:
        self.renewed.append(index)

    def kill(self, index: int, reason: str) -> dict[int, Died]:
        self.killed.append((index, reason))
        process = next(workers for workers in self.processes() if index in workers)
        return {worker: Died(-9, hung=reason) for worker in process}

    def lack_places(self, workers: Iterable[int], reasons: Iterable[str]) -> None:
        """These workers have no place during as many waits as there are reasons."""
        self.placeless, left = set(workers), list(reasons)

        def pass_time() -> None:
            if self.placeless:
                self.reason, self.silent = left.pop(0), 1
                if not left:
                    self.placeless.clear()

        self.on_wait = pass_time

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """All that has come: as with real workers, of several at once."""
        self.on_wait()
        if self.silent > 0:
            self.silent -= 1
            return []
        assert self.messages, "whoever waits now waits for ever"
        came, self.messages = [*self.messages], deque()
        return came

    def place(self, index: int) -> str:
        return self.places.get(index, "")

    def waiting(self) -> str:
        return self.reason if self.placeless else ""

    def close(self) -> None:
        self.closed = True

    def _advance(self, index: int) -> None:
        job = self.current[index]
        epoch = self.sent[index] + 1
        job.folder.mkdir(parents=True, exist_ok=True)
        if epoch > job.epochs:
            save_file({"weight": np.zeros(1)}, job.weights, {"identity": job.identity})
            self.messages.append((index, TrialResult(self.confusion)))
            return
        message = self.script(job, epoch)
        if isinstance(message, float):
            message = metrics(epoch, message, loss=1 - message)
        if isinstance(message, EpochMetrics):
            self.sent[index] = epoch
            job.checkpoint.touch()
        self.messages.append((index, message))


class FakeTracker:
    """Remembers what it is asked to write. Figures are drawn, which takes most of a test's time, only with `draws`."""

    def __init__(self) -> None:
        self.run_id = "run"
        self.draws = False
        self.children: dict[Key, tuple[str, dict[str, Any], dict[str, str]]] = {}  # name, parameters, tags
        self.forgotten: list[tuple[Key, str]] = []
        self.under: dict[Key, Key | None] = {}
        self.states: dict[Key, list[tuple[str, str]]] = {}
        self.epochs: dict[Key, list[int]] = {}
        self.values: dict[Key, list[dict[str, float]]] = {}  # by epoch
        self.texts: dict[Key, dict[str, str]] = {}
        self.figures: dict[Key, list[str]] = {}
        self.weights: set[Key] = set()
        self.summaries: dict[Key, dict[str, float]] = {}  # what a run ends with
        self.tags: dict[Key, dict[str, str]] = {}

    def child_run_id(self, key: Key) -> str | None:
        return f"run-{key}"

    def start_child(self, key: Key, name: str, params: Any, tags: Any, under: Key | None = None) -> None:
        assert under is None or under in self.children, "MLflow cannot put a run under one that it has not"
        self.children[key] = (name, dict(params), dict(tags))
        self.under[key] = under
        self.states.setdefault(key, []).append(("running", ""))

    def log_epoch(self, key: Key, epoch: int, values: dict[str, float]) -> None:
        self.epochs.setdefault(key, []).append(epoch)
        self.values.setdefault(key, []).append(values)

    def log_text(self, key: Key, texts: dict[str, str]) -> None:
        self.texts.setdefault(key, {}).update(texts)

    def log_plots(self, key: Key, figures: dict[str, Plot]) -> None:
        for plot in figures.values():
            read = Plot(**json.loads(json.dumps(asdict(plot))))
            inspect.signature(FUNCTIONS[read.function]).bind(**read.arguments)
            if self.draws:
                read.draw()
        self.figures.setdefault(key, []).extend(figures)

    def log_weights(self, key: Key, path: Path) -> None:
        assert load_file(path)
        self.weights.add(key)

    def drop_weights(self, key: Key) -> None:
        self.weights.discard(key)

    def forget(self, key: Key, path: Path) -> None:
        assert self.is_ended(key), "what has not ended is gone on with from its files"
        self.forgotten.append((key, path.name))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def state(self, key: Key) -> str | None:
        return self.states[key][-1][0] if key in self.states else None

    def is_ended(self, key: Key) -> bool:
        return self.state(key) in ("complete", "pruned", "failed")

    def last_epoch(self, key: Key) -> int:
        return max(self.epochs.get(key, []), default=0)

    def finish(self, key: Key, state: str, *, reason: str = "", metrics: Any = None, tags: Any = None) -> None:
        self.states[key].append((state, reason))
        self.summaries[key] = dict(metrics or {})
        self.tags[key] = dict(tags or {})
