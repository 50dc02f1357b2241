"""A sweep with everything faked around the coordinator: the study is in memory, workers answer by a script."""

import optuna

from sweeper.images.preprocessing import Preprocessing
from sweeper.runs.stop import StopRequest
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.spec import StudySpec
from sweeper.sweep.context import Context, Limits
from sweeper.sweep.coordinator import Coordinator
from tests.engine.fakes import FakePool, FakeTracker
from tests.spaces.test_reader import EXAMPLE, parse

SPEC = {
    "dataset": "tiny", "seed": 3, "metric": "accuracy", "sampler": "tpe", "pruner": "none", "epochs": 3,
    "folds": 0, "repeats": 1, "variants_only": False, "pixels": "unit", "mean": [0.0], "std": [1.0],
    "fold_scalings": [[[0.0], [1.0]]], "data_sha256": "0",
}  # fmt: skip
# Two points: the baseline and one more.
TWO_POINTS = (
    "filters=[6,16,120]", "kernel_size=5", "pooling=max,avg", "batch_norm=false", "activation=relu", "dropout=0",
    "optimizer=adam", "lr=0.001", "schedule=constant", "weight_decay=0.0", "batch_size=64", "momentum=0",
)  # fmt: skip


def steady(job, epoch):
    """Every trial has an accuracy of its own, rising with the epochs."""
    return 0.5 + 0.01 * (job.number % 30) + 0.001 * epoch


class Sweep:
    """A study in memory and a coordinator on it, with everything faked around it."""

    def __init__(self, tmp_path, text=EXAMPLE, overrides=(), **spec):
        self.space = parse(text, *overrides)
        self.spec = StudySpec.from_json(SPEC | spec)
        self.store = StoreOptions(tmp_path).resolve({})
        self.storage = optuna.storages.InMemoryStorage()
        self.tracker = FakeTracker()
        self.events = []

    def run(
        self,
        script=steady,
        *,
        n_workers=1,
        stop=None,
        listener=None,
        memory=None,
        prepare=None,
        idle_job=None,
        room=0,
        **limits,
    ):
        study = lifecycle.open_study(self.storage, "study", self.spec, self.space)
        self.pool = FakePool(script, n_workers)
        if prepare:
            prepare(self.pool)
        self.stop = stop or StopRequest()
        context = Context(
            study=study,
            space=self.space,
            spec=self.spec,
            input_shape=(1, 28, 28),
            preprocessing=Preprocessing(),
            classes=("a", "b"),
            limits=Limits(**({"trials": 8, "keep": 5} | limits)),
            store=self.store,
            tracker=self.tracker,
            listener=lambda event: (self.events.append(event), listener and listener(event)),
            stop=self.stop,
            memory=memory,
            idle_job=idle_job,
            room=room,
        )
        Coordinator(context, self.pool).run()
        return trial_records.records(study)

    @property
    def study(self):
        return optuna.load_study(study_name="study", storage=self.storage)
