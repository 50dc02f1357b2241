"""Dependencies shared by a sweep's components."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import optuna

from sweeper.engine.job import TrialJob
from sweeper.events import Listener
from sweeper.images.preprocessing import Preprocessing
from sweeper.runs.stop import StopRequest
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_index import TrialIndex
from sweeper.tracking.tracker import Tracker


@dataclass(frozen=True)
class Limits:
    """The limits of a sweep: when it is over, how many seconds a trial may train, and how many keep their weights."""

    trials: int
    keep: int  # the best trials, whose weights are kept
    deadline: float | None = None  # on time.monotonic()
    target: float | None = None
    trial_seconds: float | None = None


@dataclass(frozen=True)
class Context:
    """One sweep: its study and space, its limits, its store and tracker, and the listener for its events.

    `input_shape` is (channels, height, width), and `preprocessing` that of the images. `check_owned` raises StudyLost
    if the study is another process's by now. `memory` is the most that one trial can have, in bytes, None if unknown.
    Once no trial is left to start, `idle_job` gives the next job for a worker that has none, None if there is none; it
    gets the numbers of open trials and of such jobs that run. At most `room` trainings then run at once.
    """

    study: optuna.Study
    space: Space
    spec: StudySpec
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    limits: Limits
    store: Store
    tracker: Tracker
    listener: Listener
    stop: StopRequest
    check_owned: Callable[[], None] = lambda: None
    memory: int | None = None
    idle_job: Callable[[int, int], TrialJob | None] | None = None
    room: int = 0

    @cached_property
    def trials(self) -> TrialIndex:
        """The study's trials."""
        return TrialIndex(self.study)
