"""Records a study's trials in MLflow: parameters, tables, plots, and the weights of the best trials."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from sweeper.engine.job import TrialJob, TrialResult
from sweeper.events import State
from sweeper.runs.jobs import jobs_of
from sweeper.runs.record import final_metrics, final_tags, log_epoch, log_means, mean_plots, texts, training_plots
from sweeper.studies.attributes import id_of
from sweeper.studies.proposer import Proposal
from sweeper.studies.seeds import trial_seed
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep.context import Context
from sweeper.tracking.outbox import Key
from sweeper.training.checkpoint import CheckpointError, read_history, reading
from sweeper.training.epoch_metrics import EpochMetrics, epochs_of


class Recorder:
    """Writes a study's trials to its tracker."""

    def __init__(self, context: Context) -> None:
        self.tracker, self.study, self.spec = context.tracker, context.study, context.spec
        self.input_shape, self.classes = context.input_shape, context.classes
        self.preprocessing = context.preprocessing
        self.keep = context.limits.keep
        self._store, self._trials = context.store, context.trials
        self._with_weights = self._best()

    def jobs(self, trial: Proposal | TrialRecord) -> list[TrialJob]:
        """The trial's jobs for workers: one for each fold and repeat, the folds of the first repeat first."""
        assert trial.configuration is not None
        number = trial.number
        return jobs_of(
            self.spec,
            trial.configuration,
            number=number,
            epochs=self.spec.n_epochs(trial.variant),
            folder=self._store.trial_folder(self.study.study_name, id_of(self.study), number),
            seed_of=lambda repeat: trial_seed(self.spec.seed, number, repeat),
        )

    def start(self, trial: Proposal | TrialRecord) -> None:
        """Creates or reopens the trial's run."""
        self._start(trial, trial.number, trial_seed(self.spec.seed, trial.number))

    def start_training(self, trial: Proposal | TrialRecord, job: TrialJob) -> None:
        """Creates or reopens a training's own run; the training of a trial that has only one uses the trial's run."""
        if job.label:
            self._start(trial, job.key, job.seed, job.fold, job.label)

    def record_epoch(self, job: TrialJob, metrics: EpochMetrics) -> None:
        """Logs one epoch of a training; skips an epoch that MLflow already has."""
        log_epoch(self.tracker, job.key, metrics)

    def end_training(self, name: str, job: TrialJob, history: Sequence[EpochMetrics], result: TrialResult) -> None:
        """Logs the plots of a complete training, and ends its run if it has its own."""
        self.tracker.log_plots(job.key, training_plots(name, history, result, self.classes))
        if job.label:
            self.tracker.finish(job.key, State.COMPLETE, metrics=result.metrics)

    def log_mean_plots(
        self, proposal: Proposal, histories: Sequence[Sequence[EpochMetrics]], results: Sequence[TrialResult]
    ) -> None:
        """Logs the plots of a complete trial over its several trainings; their confusion matrices are summed."""
        self.tracker.log_plots(proposal.number, mean_plots(proposal.name, histories, results, self.classes))

    def end(self, jobs: Sequence[TrialJob], record: TrialRecord, histories: Sequence[Sequence[EpochMetrics]]) -> None:
        """Ends the run of a trial that was trained, and logs the trial's weights if it is among the best."""
        if record.state == State.COMPLETE:
            best = self._best()
            if record.number in best:
                self._log_weights(jobs)
            self._drop_weights(self._with_weights - best)
            self._with_weights = best
        self._finish(jobs, record, histories)

    def catch_up(self, record: TrialRecord) -> None:
        """Completes the MLflow run of a trial that had ended in the study when its process was killed."""
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
                self.record_epoch(job, metrics)
        if record.number in self._with_weights and all(job.weights.exists() for job in jobs):
            self._log_weights(jobs)
            self._drop_weights(self._trials.best(self.keep + 1)[self.keep :])  # the trial that this one displaces
        self._finish(jobs, record, histories)

    def interrupt(self, job: TrialJob, reason: str) -> None:
        """Marks a training's own run as interrupted, to be resumed."""
        if job.label and self.tracker.state(job.key) == State.RUNNING:
            self.tracker.finish(job.key, State.INTERRUPTED, reason=reason)

    def _start(self, trial: Proposal | TrialRecord, key: Key, seed: int, fold: int = 0, label: str = "") -> None:
        assert trial.configuration is not None
        params, tags = params_and_tags(trial, self.spec, self.study.study_name, seed)
        name = f"{trial.name}, {label}" if label else trial.name
        self.tracker.start_child(key, name, params, tags, trial.number if label else None)
        artifacts = texts(
            self.spec,
            trial.configuration,
            epochs=params["epochs"],
            seed=seed,
            fold=fold,
            input_shape=self.input_shape,
            preprocessing=self.preprocessing,
            classes=self.classes,
        )
        self.tracker.log_text(key, artifacts)

    def _log_weights(self, jobs: Sequence[TrialJob]) -> None:
        for job in jobs:
            self.tracker.log_weights(job.key, job.weights)

    def _drop_weights(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            for job in self.jobs(self._trials.record(number)):
                self.tracker.drop_weights(job.key)

    def _finish(
        self, jobs: Sequence[TrialJob], record: TrialRecord, histories: Sequence[Sequence[EpochMetrics]]
    ) -> None:
        number = record.number
        metrics = final_metrics(record.metrics, record.n_parameters or 0)
        tags = final_tags(record.metrics, record.seconds)
        if len(jobs) > 1:
            log_means(self.tracker, number, histories)
            for job in jobs:
                if self.tracker.state(job.key) in (State.RUNNING, State.INTERRUPTED):
                    self.tracker.finish(job.key, record.state, reason=record.reason)
        self.tracker.finish(number, record.state, reason=record.reason, metrics=metrics, tags=tags)
        # By each training's own run: if MLflow has refused a write of that run, its files stay.
        for job in jobs:
            if self.tracker.is_ended(job.key):  # a training that never started has no files
                self.tracker.forget(job.key, job.folder)

    def _best(self) -> set[int]:
        return set(self._trials.best(self.keep))


def params_and_tags(
    trial: Proposal | TrialRecord, spec: StudySpec, study_name: str, seed: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters and tags of a run in MLflow for a training of the trial with this seed."""
    assert trial.configuration is not None
    tags = {"sweeper.study": study_name} | ({"sweeper.variant": trial.variant} if trial.variant else {})
    tags |= {"sweeper.warm_start": trial.warm_start} if trial.warm_start else {}
    return {**trial.configuration.values(), "epochs": spec.n_epochs(trial.variant), "seed": seed}, tags
