"""How many messages a second one coordinator serves, with simulated workers and everything else real."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from simulated_workers import N_CLASSES, Enough, SimulatedWorkers
from stopwatch import Stopwatch

from sweeper.config import Protocol
from sweeper.images.preprocessing import Preprocessing
from sweeper.runs.stop import StopRequest
from sweeper.spaces import reader
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.attributes import TRIAL, id_of
from sweeper.studies.bulk_storage import BulkStorage
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.ownership import Ownership, claimed
from sweeper.studies.patient_storage import PatientStorage
from sweeper.studies.spec import LOG_LOSS, StudySpec
from sweeper.studies.storage import open_storage
from sweeper.sweep.context import Context, Limits
from sweeper.sweep.coordinator import Coordinator
from sweeper.tracking.outbox import Write
from sweeper.tracking.patience import Patience
from sweeper.tracking.run_writer import RunWriter
from sweeper.tracking.tracker import DataRecord, Tracker
from sweeper.training.epoch_metrics import EpochMetrics

STORAGE, CHOICES, OUTBOX, WORKERS, REST = "storage", "choices", "outbox", "workers", "rest"
# Whose time is whose share. Of calls within calls, the innermost counts.
WATCHED: Mapping[str, tuple[type, ...]] = {
    STORAGE: (OwnedStorage, *OwnedStorage.__bases__, BulkStorage, PatientStorage),
    CHOICES: (optuna.Study, optuna.Trial),
    OUTBOX: (Tracker,),
    WORKERS: (SimulatedWorkers,),
}
SHAPE = (1, 28, 28)
MOST_TRIALS, N_KEPT = 1_000_000, 5


@dataclass(frozen=True)
class Case:
    """So many workers, with epochs of so many seconds."""

    n_workers: int
    epoch_seconds: float


@dataclass(frozen=True)
class Measured:
    """What a simulation has shown from the moment on when all workers had a job.

    `work` has the coordinator's seconds by share: Optuna's storage, its sampler and pruner (choices), the outbox, and
    the rest. `clock` is the simulated time in s, `sent` the workers' messages by kind, `n_trials` how many have begun.
    `delivery` has the seconds of MLflow's thread, `delivered` its writes, `n_behind` how many more wait at the end.
    """

    work: Mapping[str, float]
    clock: float
    sent: Counter[type]
    n_trials: int
    delivery: float
    delivered: Counter[str]
    n_behind: int

    @property
    def epochs_a_second(self) -> float:
        """How many epochs, with all else that comes with them, fill the coordinator's time."""
        return self.sent[EpochMetrics] / sum(self.work.values())

    @property
    def busy(self) -> float:
        """The share of the time in which the coordinator worked."""
        return sum(self.work.values()) / self.clock

    @property
    def deliverable(self) -> float:
        """How many epochs a second, with all else that comes with them, fill the time of MLflow's thread.

        0 if it has delivered none, because it was busy with the starts of the first runs.
        """
        return self.delivered["metrics"] / self.delivery

    def milliseconds(self, share: str) -> float:
        """The coordinator's time for a share of the work, by epoch."""
        return 1000 * self.work[share] / self.sent[EpochMetrics]


def simulate(
    case: Case,
    folder: Path,
    *,
    seconds: float,
    epochs: int | None = None,
    storage: str | None = None,
    study: str = "simulated",
) -> Measured:
    """Resumes a search of the space lenet5, with a trial for each worker, for so long or for so many epochs."""
    store = StoreOptions(folder, storage).resolve({})
    store.create()
    space = reader.load("lenet5")
    spec = StudySpec(
        dataset="simulated",
        space_name=space.name,
        space=space.describe(),
        protocol=Protocol(epochs=15),
        data_sha256="0" * 64,
        fold_scalings=[([0.0], [1.0])],
        pruner="halving",
        loss=LOG_LOSS,
    )
    measured: list[Measured] = []
    with ExitStack() as stack:
        opened = lifecycle.open_study(OwnedStorage(open_storage(store)), study, spec, space)
        _plant(opened, space, case.n_workers)
        ownership = stack.enter_context(claimed(store, opened))
        data = DataRecord("simulated", "0" * 64, "nowhere", SHAPE)
        tracker = Tracker(store, data, print, check_owned=ownership.check)
        tracker.open(study, id_of(opened), {}, {})
        stack.callback(tracker.close, Patience(0.0, 0.0))
        delivery = stack.enter_context(_watched_delivery())
        stopwatch = Stopwatch(REST)
        for share, owners in WATCHED.items():
            for owner in owners:
                stack.enter_context(stopwatch.watching(owner, share))
        outbox_worker = tracker._outbox_worker
        full, n_waiting = 0.0, 0

        def on_full() -> None:
            nonlocal full, n_waiting
            full, n_waiting = time.perf_counter(), len(outbox_worker._outbox)
            stopwatch.reset()
            delivery.clear()

        def is_enough() -> bool:
            done = workers.sent[EpochMetrics] >= epochs if epochs else time.perf_counter() - full >= seconds
            if not done:
                return False
            work = {share: spent for share, spent in stopwatch.read().items() if share != WORKERS}
            measured.append(
                Measured(
                    work=work,
                    clock=workers.now - workers.full,
                    sent=workers.sent,
                    n_trials=len(opened.get_trials(deepcopy=False)),
                    delivery=delivery.seconds,
                    delivered=delivery.writes.copy(),
                    n_behind=len(outbox_worker._outbox) - n_waiting,
                )
            )
            return True

        def rest(most: float) -> None:
            """Lets MLflow's thread go on for as long as the workers are waited for."""
            with outbox_worker._changed:
                outbox_worker._changed.wait_for(lambda: outbox_worker._idle, most)

        weights = folder / "weights.safetensors"
        workers = SimulatedWorkers(
            case.n_workers, case.epoch_seconds, weights, is_enough=is_enough, on_full=on_full, rest=rest
        )
        context = context_of(opened, space, spec, tracker, store, ownership, MOST_TRIALS)
        with suppress(Enough):
            Coordinator(context, workers).run()
    return measured[0]


def context_of(
    study: optuna.Study,
    space: Space,
    spec: StudySpec,
    tracker: Tracker,
    store: Store,
    ownership: Ownership,
    n_trials: int,
) -> Context:
    """What a coordinator needs to run a study of so many trials."""
    return Context(
        study=study,
        space=space,
        spec=spec,
        input_shape=SHAPE,
        preprocessing=Preprocessing(),
        classes=tuple(f"class {number}" for number in range(N_CLASSES)),
        limits=Limits(trials=n_trials, keep=N_KEPT),
        store=store,
        tracker=tracker,
        listener=lambda event: None,
        stop=StopRequest(),
        check_owned=ownership.check,
    )


def _plant(study: optuna.Study, space: Space, n_trials: int) -> None:
    """Gives a new study so many running trials, in a fraction of the time in which they would be proposed."""
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(n_trials):
        trial = drawn.ask()
        attributes = {TRIAL: {"configuration": space.suggest(trial).values()}}
        found = drawn.trials[trial.number]
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=found.params,
                distributions=found.distributions,
                user_attrs=attributes,
            )
        )


@dataclass
class _Delivery:
    """What MLflow has got: the writes by action, and the seconds that they took."""

    writes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def clear(self) -> None:
        self.writes.clear()
        self.seconds = 0.0


@contextmanager
def _watched_delivery() -> Iterator[_Delivery]:
    """Counts what is delivered to MLflow within the block."""
    found = _Delivery()
    write = RunWriter.write

    def timed(self: RunWriter, writes: Sequence[Write]) -> None:
        began = time.perf_counter()
        write(self, writes)
        found.writes[writes[0].action] += len(writes)
        found.seconds += time.perf_counter() - began

    RunWriter.write = timed  # type: ignore[method-assign]
    try:
        yield found
    finally:
        RunWriter.write = write  # type: ignore[method-assign]
