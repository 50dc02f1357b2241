"""What of a trial goes to MLflow: its parameters, its tables and figures, its weights while it is among the best."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sweeper import layers, models
from sweeper.config import Configuration
from sweeper.plots import Plot
from sweeper.search import study as studies
from sweeper.search.averages import mean_epochs
from sweeper.search.context import Context
from sweeper.search.proposals import Proposal
from sweeper.search.study import TrialRecord
from sweeper.search.trainings import n_epochs, scalings_of, trainings_of
from sweeper.search.trial import FIGURES, TrialJob, TrialResult
from sweeper.tracking.runs import Tracker, table
from sweeper.tracking.spool import Key
from sweeper.training.checkpoint import CheckpointError, read_history, reading
from sweeper.training.fit import EpochMetrics, epochs_of


class Recorder:
    """Writes a study's trials to its tracker."""

    def __init__(self, context: Context) -> None:
        self.tracker, self.study, self.spec = context.tracker, context.study, context.spec
        self.input_shape, self.classes = context.input_shape, context.classes
        self.keep = context.limits.keep
        self._store = context.store
        self._kept = self._best()

    def jobs(self, trial: Proposal | TrialRecord) -> list[TrialJob]:
        """The trial's trainings as workers get them: one a fold and repeat, the folds of the first repeat first."""
        assert trial.configuration is not None
        spec, number = self._spec(trial), trial.number
        folder = self._store.trial_folder(self.study.study_name, studies.id_of(self.study), number)
        return jobs_of(spec, trial.configuration, number, folder, lambda repeat: self._seed(number, repeat))

    def start(self, trial: Proposal | TrialRecord) -> None:
        """Makes the trial's run, or opens it again."""
        self._start(trial, trial.number, self._seed(trial.number), self._spec(trial))

    def start_training(self, trial: Proposal | TrialRecord, job: TrialJob) -> None:
        """Makes the run of one of a trial's trainings, or opens it again; the only one has the trial's own."""
        if job.label:
            mean, std = scalings_of(self.spec)[job.fold]
            self._start(trial, job.key, job.seed, {**self._spec(trial), "mean": mean, "std": std}, job.label)

    def epoch(self, job: TrialJob, metrics: EpochMetrics) -> None:
        """One epoch of a training; one that MLflow has already is passed over."""
        log_epoch(self.tracker, job.key, metrics)

    def training_ended(self, name: str, job: TrialJob, history: Sequence[EpochMetrics], result: TrialResult) -> None:
        """The figures of a complete training, and the end of its run where it has one of its own."""
        self.tracker.log_figures(job.key, figures_of_training(name, history, result, self.classes))
        if job.label:
            self.tracker.finish(job.key, "complete", metrics=result.figures)

    def figures(
        self, proposal: Proposal, histories: Sequence[Sequence[EpochMetrics]], results: Sequence[TrialResult]
    ) -> None:
        """The figures of a complete trial over its several trainings; the confusion matrix is their sum."""
        self.tracker.log_figures(proposal.number, figures_of_means(proposal.name, histories, results, self.classes))

    def end(self, jobs: Sequence[TrialJob], record: TrialRecord, histories: Sequence[Sequence[EpochMetrics]]) -> None:
        """Ends the run of a trial that has trained, and keeps its weights if it is among the best."""
        if record.state == "complete":
            best = self._best()
            if record.number in best:
                self._log_weights(jobs)
            self._drop_weights(self._kept - best)
            self._kept = best
        self._finish(jobs, record, histories)

    def catch_up(self, record: TrialRecord) -> None:
        """Brings to MLflow what a process that was killed had told the study, but not yet MLflow, of an ended trial."""
        jobs = self.jobs(record)
        self.start(record)
        histories = []
        for job in jobs:
            history = []
            with suppress(CheckpointError), reading(job.checkpoint):
                history = epochs_of(read_history(job.checkpoint))
            if history:
                histories.append(history)
                if not self.tracker.is_ended(job.key):
                    self.start_training(record, job)
            for metrics in history:
                self.epoch(job, metrics)
        if record.number in self._kept and all(job.weights.exists() for job in jobs):
            self._log_weights(jobs)
            self._drop_weights(self._ranked()[self.keep : self.keep + 1])  # the one whose place it has taken
        self._finish(jobs, record, histories)

    def interrupt(self, job: TrialJob, reason: str) -> None:
        """Ends a training's own run as one that is to be gone on with."""
        if job.label and self.tracker.state(job.key) == "running":
            self.tracker.finish(job.key, "interrupted", reason=reason)

    def _start(
        self, trial: Proposal | TrialRecord, key: Key, seed: int, spec: Mapping[str, Any], label: str = ""
    ) -> None:
        assert trial.configuration is not None
        tags = {"sweeper.study": self.study.study_name}
        if trial.variant:
            tags["sweeper.variant"] = trial.variant
        params = {**trial.configuration.values(), "epochs": spec["epochs"], "seed": seed}
        name = f"{trial.name}, {label}" if label else trial.name
        self.tracker.start_child(key, name, params, tags, trial.number if label else None)
        self.tracker.log_text(key, texts(trial.configuration, seed, spec, self.input_shape, self.classes))

    def _spec(self, trial: Proposal | TrialRecord) -> dict[str, Any]:
        """What the trial's trainings are started with: the study's spec, with their own number of epochs."""
        return {**self.spec, "epochs": n_epochs(self.spec, trial.variant)}

    def _log_weights(self, jobs: Sequence[TrialJob]) -> None:
        for job in jobs:
            self.tracker.log_weights(job.key, job.weights)

    def _drop_weights(self, numbers: Iterable[int]) -> None:
        records = {record.number: record for record in studies.records(self.study)}
        for number in numbers:
            for job in self.jobs(records[number]):
                self.tracker.drop_weights(job.key)

    def _finish(
        self, jobs: Sequence[TrialJob], record: TrialRecord, histories: Sequence[Sequence[EpochMetrics]]
    ) -> None:
        number = record.number
        metrics = final_figures(record.metrics, record.n_parameters or 0, record.seconds)
        if len(jobs) > 1:
            log_means(self.tracker, number, histories)
            for job in jobs:
                if self.tracker.state(job.key) in ("running", "interrupted"):
                    self.tracker.finish(job.key, record.state, reason=record.reason)
        self.tracker.finish(number, record.state, reason=record.reason, metrics=metrics)
        # Each under the run that its files are for: they stay where MLflow has refused one of them.
        for job in jobs:
            if self.tracker.is_ended(job.key):  # a training that was not begun has none
                self.tracker.forget(job.key, job.folder)

    def _best(self) -> set[int]:
        return set(self._ranked()[: self.keep])

    def _ranked(self) -> list[int]:
        return [record.number for record in studies.ranking(studies.records(self.study), self.spec["metric"])]

    def _seed(self, number: int, repeat: int = 0) -> int:
        return studies.derive_seed(self.spec["seed"], "trial", number, *([repeat] if repeat else []))


def jobs_of(
    spec: Mapping[str, Any],
    configuration: Configuration,
    number: int,
    folder: Path,
    seed_of: Callable[[int], int],
) -> list[TrialJob]:
    """A configuration's trainings as workers get them: one a fold and repeat, the folds of the first repeat first.

    `seed_of` gives the seed of a repeat, counted from 0; each training has a folder of its own in `folder`.
    """
    decisive = ("data_sha256", "split_sha256", "mean", "std", "device", "threads", "layout")
    data_key = json.dumps([spec.get(name) for name in decisive])
    return [
        TrialJob(
            number=number,
            configuration=configuration,
            epochs=spec["epochs"],
            seed=seed_of(part.repeat),
            folder=folder / part.label,
            data_key=data_key,
            fold=part.fold,
            label=part.label,
        )
        for part in trainings_of(spec)
    ]


def figures_of_training(
    name: str, history: Sequence[EpochMetrics], result: TrialResult, classes: Sequence[str]
) -> dict[str, Plot]:
    """The figures of a complete training by file name; the confusion matrix where there is a validation part."""
    epochs = [metrics.values() for metrics in history]
    figures = {"learning_curves.png": Plot("learning_curves", {"epochs": epochs, "title": f"Learning curves, {name}"})}
    heads = [metrics.values() for metrics in history if metrics.heads]
    if heads:
        title = f"Accuracy of the auxiliary heads, {name}"
        figures["head_accuracies.png"] = Plot("head_accuracies", {"epochs": heads, "title": title})
    return figures | _confusion(name, [result], classes)


def figures_of_means(
    name: str, histories: Sequence[Sequence[EpochMetrics]], results: Sequence[TrialResult], classes: Sequence[str]
) -> dict[str, Plot]:
    """The figures of several complete trainings together, by file name; the confusion matrix is their sum."""
    trainings = [[metrics.values() for metrics in history] for history in histories]
    curves = {"trainings": trainings, "title": f"Learning curves, {name}"}
    return {"learning_curves.png": Plot("mean_learning_curves", curves), **_confusion(name, results, classes)}


def _confusion(name: str, results: Sequence[TrialResult], classes: Sequence[str]) -> dict[str, Plot]:
    matrices = [result.confusion for result in results if result.confusion is not None]
    if not matrices:
        return {}
    title = f"Validation confusion matrix, {name}"
    arguments = {"matrix": np.sum(matrices, axis=0).tolist(), "classes": classes, "title": title}
    return {"validation_confusion_matrix.png": Plot("confusion_matrix", arguments)}


def final_figures(metrics: Mapping[str, float], n_parameters: int, seconds: float) -> dict[str, float]:
    """Of a configuration's figures those that its run's epochs do not hold: the best epoch's, FIGURES, and spreads."""
    known = {
        name: value
        for name, value in metrics.items()
        if (name.startswith("best_") or name in FIGURES or name.endswith("_sd")) and not math.isnan(value)
    }
    return known | {"n_parameters": n_parameters, "seconds": seconds}


def log_means(tracker: Tracker, key: Key | None, histories: Sequence[Sequence[EpochMetrics]]) -> None:
    """The epochs of several trainings together, as mean_epochs has them."""
    for epoch in mean_epochs(histories):
        log_values(tracker, key, int(epoch["epoch"]), epoch)


def log_epoch(tracker: Tracker, key: Key | None, metrics: EpochMetrics) -> None:
    """One epoch of a trial or training; one that MLflow has already is passed over, as are values that are none."""
    log_values(tracker, key, metrics.epoch, metrics.values())


def log_values(tracker: Tracker, key: Key | None, epoch: int, values: Mapping[str, float]) -> None:
    """The values of an epoch of a trial or training; as `log_epoch`."""
    if epoch > tracker.last_epoch(key):
        known = {name: value for name, value in values.items() if name != "epoch" and not math.isnan(value)}
        tracker.log_epoch(key, epoch, known)


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
    if "init_sha256" in spec:
        config["init"] = {"sha256": spec["init_sha256"], "freeze": spec["freeze"]}
    found = {"config.json": json.dumps(config, indent=2)}
    try:
        network = models.trace(configuration.model, input_shape, len(classes))
    except ValueError:
        return found
    rows = [(y.name, y.kind, y.output_shape, y.n_parameters, y.n_multiply_adds) for y in network]
    total = ("total", "", "", layers.n_parameters(network), layers.n_multiply_adds(network))
    columns = ("layer", "kind", "output_shape", "n_parameters", "n_multiply_adds")
    return found | {"layers.csv": table(columns, [*rows, total])}
