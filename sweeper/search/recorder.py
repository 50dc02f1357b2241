"""What of a trial goes to MLflow: its parameters, its tables and figures, its weights while it is among the best."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import optuna

from sweeper import layers
from sweeper.config import Configuration
from sweeper.plots import Plot
from sweeper.search import study as studies
from sweeper.search.proposals import Proposal
from sweeper.search.study import TrialRecord
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.store import Store
from sweeper.tracking.runs import Tracker, table
from sweeper.tracking.spool import Key
from sweeper.training.checkpoint import CheckpointError, read_history, reading
from sweeper.training.fit import EpochMetrics, epochs_of


class Recorder:
    """Writes a study's trials to its tracker."""

    def __init__(
        self,
        tracker: Tracker,
        study: optuna.Study,
        spec: Mapping[str, Any],
        input_shape: tuple[int, int, int],
        classes: tuple[str, ...],
        store: Store,
        keep: int,
    ) -> None:
        self.tracker, self.study, self.spec = tracker, study, spec
        self.input_shape, self.classes = input_shape, classes
        self.keep = keep
        self._store = store
        self._kept = self._best()

    def job(self, trial: Proposal | TrialRecord) -> TrialJob:
        """The trial as a worker gets it."""
        assert trial.configuration is not None
        spec = self.spec
        decisive = ("data_sha256", "split_sha256", "mean", "std", "device", "threads", "layout")
        return TrialJob(
            number=trial.number,
            configuration=trial.configuration,
            epochs=spec["epochs"],
            seed=self._seed(trial.number),
            folder=self._store.trial_folder(self.study.study_name, studies.id_of(self.study), trial.number),
            data_key=json.dumps([spec.get(name) for name in decisive]),
        )

    def start(self, trial: Proposal | TrialRecord) -> None:
        """Makes the trial's run, or opens it again."""
        assert trial.configuration is not None
        number, spec = trial.number, self.spec
        tags = {"sweeper.study": self.study.study_name}
        if trial.variant:
            tags["sweeper.variant"] = trial.variant
        params = {**trial.configuration.values(), "epochs": spec["epochs"], "seed": self._seed(number)}
        self.tracker.start_child(number, trial.name, params, tags)
        self.tracker.log_text(
            number, texts(trial.configuration, self._seed(number), spec, self.input_shape, self.classes)
        )

    def epoch(self, number: int, metrics: EpochMetrics) -> None:
        """One epoch of a trial; one that MLflow has already is passed over."""
        log_epoch(self.tracker, number, metrics)

    def figures(self, proposal: Proposal, history: Sequence[EpochMetrics], result: TrialResult) -> None:
        """The learning curves and the validation part's confusion matrix of a complete trial."""
        assert result.confusion is not None  # a search always has a validation part
        confusion = {
            "matrix": result.confusion.tolist(),
            "classes": self.classes,
            "title": f"Validation confusion matrix, {proposal.name}",
        }
        self.tracker.log_figures(
            proposal.number,
            {
                "learning_curves.png": learning_curves(proposal.name, history),
                "validation_confusion_matrix.png": Plot("confusion_matrix", confusion),
            },
        )

    def end(self, job: TrialJob, record: TrialRecord) -> None:
        """Ends the run of a trial that has trained, and keeps its weights if it is among the best."""
        if record.state == "complete":
            best = self._best()
            if job.number in best:
                self.tracker.log_weights(job.number, job.weights)
            for number in self._kept - best:
                self.tracker.drop_weights(number)
            self._kept = best
        self._finish(job, record)

    def catch_up(self, record: TrialRecord) -> None:
        """Brings to MLflow what a process that was killed had told the study, but not yet MLflow, of an ended trial."""
        job = self.job(record)
        self.start(record)
        history = []
        with suppress(CheckpointError), reading(job.checkpoint):
            history = epochs_of(read_history(job.checkpoint))
        for metrics in history:
            self.epoch(job.number, metrics)
        if job.number in self._kept and job.weights.exists():
            self.tracker.log_weights(job.number, job.weights)
            for number in self._ranked()[self.keep : self.keep + 1]:  # the one whose place it has taken
                self.tracker.drop_weights(number)
        self._finish(job, record)

    def _finish(self, job: TrialJob, record: TrialRecord) -> None:
        metrics = {name: value for name, value in record.metrics.items() if name.startswith("best_")}
        metrics |= {"n_parameters": record.n_parameters or 0, "seconds": record.seconds}
        self.tracker.finish(job.number, record.state, reason=record.reason, metrics=metrics)
        self.tracker.forget(job.number, job.folder)

    def _best(self) -> set[int]:
        return set(self._ranked()[: self.keep])

    def _ranked(self) -> list[int]:
        return [record.number for record in studies.ranking(studies.records(self.study), self.spec["metric"])]

    def _seed(self, number: int) -> int:
        return studies.derive_seed(self.spec["seed"], "trial", number)


def learning_curves(name: str, history: Sequence[EpochMetrics]) -> Plot:
    """The learning curves of a trial or training."""
    epochs = [asdict(metrics) for metrics in history]
    return Plot("learning_curves", {"epochs": epochs, "title": f"Learning curves, {name}"})


def log_epoch(tracker: Tracker, key: Key, metrics: EpochMetrics) -> None:
    """One epoch of a trial or training; one that MLflow has already is passed over, as are values that are none."""
    if metrics.epoch > tracker.last_epoch(key):
        values = {name: value for name, value in asdict(metrics).items() if name != "epoch" and not math.isnan(value)}
        tracker.log_epoch(key, metrics.epoch, values)


def texts(
    configuration: Configuration,
    seed: int,
    spec: Mapping[str, Any],
    input_shape: tuple[int, int, int],
    classes: tuple[str, ...],
) -> dict[str, str]:
    """All that a training started from, and its layers where there can be any: artifacts by file name."""
    config = {
        "model": asdict(configuration.model),
        "train": asdict(configuration.train),
        "epochs": spec["epochs"],
        "seed": seed,
        "input_shape": input_shape,
        "classes": classes,
        "pixels": {"scaling": spec["pixels"], "mean": spec["mean"], "std": spec["std"]},
        "data": {"name": spec["dataset"], "sha256": spec["data_sha256"]},
    }
    found = {"config.json": json.dumps(config, indent=2)}
    try:
        network = layers.trace(configuration.model, input_shape, len(classes))
    except ValueError:
        return found
    rows = [(y.name, y.kind, y.output_shape, y.n_parameters, y.n_multiply_adds) for y in network]
    total = ("total", "", "", layers.n_parameters(network), layers.n_multiply_adds(network))
    columns = ("layer", "kind", "output_shape", "n_parameters", "n_multiply_adds")
    return found | {"layers.csv": table(columns, [*rows, total])}
