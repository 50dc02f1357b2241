"""Trains one configuration by itself, without a study: from the request to the outcome."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from sweeper.config import Configuration
from sweeper.data import lookup
from sweeper.engine.job import TrialJob
from sweeper.errors import SweeperError, UsageError
from sweeper.events import Listener, Note, State, Step
from sweeper.models import families, layers
from sweeper.plots import Plot
from sweeper.runs import initial_weights, plan, precision, processor_file, run_metadata, training_name
from sweeper.runs.batch import BatchRunner, Training
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.fold_means import metrics_of
from sweeper.runs.jobs import jobs_of
from sweeper.runs.outcome import TrainingOutcome
from sweeper.runs.record import CURVES, final_metrics, final_tags, log_means, mean_plots, texts
from sweeper.runs.repetition import repetition_of
from sweeper.runs.request import TrainingRequest
from sweeper.runs.result_file import CompletedTraining
from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.runs.variant_result import VariantResult
from sweeper.studies import lost_runs, storage_errors
from sweeper.studies.objective import METRICS
from sweeper.studies.seeds import derive_seed
from sweeper.tracking import leftovers
from sweeper.tracking.client import check_tracking
from sweeper.tracking.learning_curves import INIT, Curves, curves_of
from sweeper.tracking.tracker import Tracker

# The plot of a training's learning curves beside those of other runs.
COMPARISON = f"{CURVES}/comparison.png"
# The best epoch is the one with the highest validation accuracy.
METRIC = METRICS["accuracy"]


def run(request: TrainingRequest, listener: Listener, stop: StopRequest) -> TrainingOutcome:
    """Trains to the end, or until `stop` is requested; resumes where an earlier command was interrupted.

    Raises SweeperError and UsageError.
    """
    # Find the weights before loading the data, which may have to be downloaded.
    found = initial_weights.find(request.init, request.store) if request.init is not None else None
    planned = plan.make(
        request.source,
        request.space,
        request.training_options,
        request.device,
        listener,
        variants=[request.variant.name],
        most_jobs=request.protocol.n_trainings,  # more workers than trainings are of no use
        all_data=request.all_data,
    )
    if found:
        planned = replace(planned, spec=replace(planned.spec, init_sha256=found.sha256, freeze=request.freeze))
    trial = request.trial
    if trial and not trial.spec.pretrained and trial.configuration.model == request.variant.configuration.model:
        # A trial of an older sweeper: its pixels were scaled by the data's mean and std.
        planned = replace(planned, spec=replace(planned.spec, pretrained={}))
    request, planned = _with_precision(request, planned, listener)
    repetition = repetition_of(trial, planned.spec, request.variant.configuration) if trial else None
    if repetition:
        for sentence in repetition.notes(planned.spec):
            listener(Note(sentence))
    init = _match_weights(found, request, planned, listener) if found else None
    lost_runs.check(request.store, None)
    check_tracking(request.store, planned.training_set.name)
    others = [curves_of(request.store, run_id, planned.training_set.sha256, "--compare") for run_id in request.compare]
    request.store.prepare()
    leftovers.sweep(request.store)
    stop.check()
    single = _Single(request, planned, init, others, listener, stop)
    with storage_errors.translated(request.store), request.store.owning(single.name, checked=True):
        single.open()
        with ends_on_failure(single.end, stop):
            result = single.train()
        state = State.COMPLETE if result else State.INTERRUPTED
        stopped = "" if result else stop.reason
        undelivered = single.end(state, stopped)
        constant, tracker = planned.constant("accuracy"), single.tracker
        return TrainingOutcome(
            request, tracker.experiment_id, tracker.run_id, init, result, stopped, undelivered, constant, repetition
        )


def _with_precision(
    request: TrainingRequest, planned: plan.Plan, listener: Listener
) -> tuple[TrainingRequest, plan.Plan]:
    """The request with its precision settled, and the plan with the processors that it is settled for."""
    variant, spec = request.variant, planned.spec

    def state_of(configuration: Configuration) -> State | None:
        _, name = training_name.name_of(spec, replace(variant, configuration=configuration))
        return training_name.state_of(request.store.single_folder(name), len(spec.trainings))

    images = planned.training_set.input_shape, len(planned.training_set.classes)
    settled = precision.of_training(variant.configuration, planned.execution, images, state_of)
    if settled.told:
        listener(Note(settled.told))
    request = replace(request, variant=replace(variant, configuration=settled.configuration))
    return request, replace(planned, execution=settled.execution)


def _match_weights(
    found: initial_weights.StoredWeights, request: TrainingRequest, planned: plan.Plan, listener: Listener
) -> initial_weights.MatchedWeights:
    """Matches the weights with the network, and reports to the listener which are taken."""
    config, training_set = request.variant.configuration.model, planned.training_set
    init = initial_weights.match(
        found, config, training_set.input_shape, len(training_set.classes), freeze=request.freeze
    )
    if request.freeze and request.variant.configuration.train.freeze_epochs:
        trained_first = families.classifier(config, training_set.input_shape, len(training_set.classes))
        if trained_first <= set(init.match.taken):
            raise UsageError(
                "freeze_epochs trains the classifier alone, which is in the weights and so frozen: nothing is left to "
                "train (--freeze, --set freeze_epochs=0)"
            )
    for line in init.lines():
        listener(Note(line))
    return init


class _Single:
    """The trainings of one configuration, and their runs in MLflow.

    A hash of all that decides the metrics names the run and the folder, so that the same command finds both again.
    """

    def __init__(
        self,
        request: TrainingRequest,
        planned: plan.Plan,
        init: initial_weights.MatchedWeights | None,
        others: Sequence[Curves],
        listener: Listener,
        stop: StopRequest,
    ) -> None:
        self.request, self.planned = request, planned
        self.training_set, self.spec = planned.training_set, planned.spec
        self.init, self.others = init, others
        self.listener, self.stop = listener, stop
        self.title = f"{request.space.name} {request.variant.name}" + ", all data" * request.all_data
        self.tags = {"sweeper.variant": request.variant.name}
        if init:
            self.title += f" from {init.found.source.short}" + ", frozen" * init.freeze
            self.tags[INIT] = init.found.source.name
        self.id, self.name = training_name.name_of(self.spec, request.variant)
        data = run_metadata.data_record(self.training_set)
        self.tracker = Tracker(request.store, data, lambda text: listener(Note(text)), kind="training")

    def open(self) -> None:
        """Creates or reopens the run."""
        request = self.request
        tags = run_metadata.tags(request.command, self.planned.execution, self.training_set.sha256)
        params = {**request.variant.configuration.values(), **run_metadata.params(self.spec, self.planned.splits[0])}
        self.listener(Step("Opening MLflow's database"))
        self.tracker.open(self.name, self.id, tags | self.tags, params, run_name=self.title)

    def end(self, state: State, reason: str) -> list[str]:
        """Ends the run unless it is complete; returns the reasons of undelivered writes."""
        if self.tracker.state(None) != State.COMPLETE:
            self.tracker.finish(None, state, reason=reason)
        return self.tracker.close(closing_patience(reason))

    def train(self) -> VariantResult | None:
        """Runs the trainings that are not done yet; returns the result, or None if a stop was requested."""
        store, space = self.request.store, self.request.space
        folder = store.single_folder(self.name)
        processor = folder / "processor.txt"
        planned = self.planned.on(processor_file.read(processor) or self.planned.execution.required_processor)
        runner = BatchRunner(
            store, self.name, self.training_set.classes, self.tracker, self.listener, self.stop, planned.execution,
            processor,
        )  # fmt: skip
        jobs = jobs_of(
            self.spec,
            self.request.variant.configuration,
            number=0,
            epochs=self.spec.protocol.epochs,
            folder=folder,
            seed_of=self._seed,
        )
        trainings = [self._training(job) for job in jobs]
        if self.tracker.state(None) != State.COMPLETE:
            own = run_metadata.space_texts(space)
            own["environment.json"] = run_metadata.environment(self.planned.execution)
            if len(trainings) > 1:
                own |= self._texts(self.request.training.seed)
            if self.init:
                own["init.json"] = json.dumps(self.init.as_json(), indent=2)
            self.tracker.log_text(None, own)
        start_workers = partial(planned.start_workers, store, self.name, self.id)
        done = runner.run(trainings, "training", start_workers)
        for training in trainings:
            if reason := runner.diverged.get(training.key):
                raise SweeperError(f"{training.name} diverged: {reason}")
        if not done:
            return None
        outcomes = [outcome for training in trainings if (outcome := runner.outcome(training))]
        assert len(outcomes) == len(trainings)
        if self.others:
            self.tracker.log_plots(None, {COMPARISON: self._comparison(outcomes)})
        return self._result(outcomes)

    def _comparison(self, outcomes: Sequence[CompletedTraining]) -> Plot:
        """The plot of the learning curves beside those of the other runs."""
        own = [[metrics.values() for metrics in trained.history] for trained in outcomes]
        pretrained = self.request.variant.configuration.values().get("pretrained")
        start = "" if self.init or pretrained else ", from scratch"
        lines = [{"name": f"{self.title}{start} (this run)", "trainings": own}]
        lines += [asdict(other) for other in self.others]
        return Plot("overlaid_curves", {"variants": lines, "title": f"Learning curves on {self.training_set.name}"})

    def _result(self, outcomes: Sequence[CompletedTraining]) -> VariantResult:
        """The result of the complete trainings; logs it to MLflow unless the run is complete already."""
        request, histories = self.request, [trained.history for trained in outcomes]
        results = [trained.result for trained in outcomes]
        metrics = metrics_of(histories, [result.metrics for result in results], METRIC, minimize=False)
        network = families.trace(
            request.variant.configuration.model, self.training_set.input_shape, len(self.training_set.classes)
        )
        result = VariantResult(
            variant=request.variant.name,
            trial=None,
            metrics=metrics,
            epochs=request.protocol.epochs,
            n_trainings=len(outcomes),
            difference=None,
            n_parameters=layers.n_parameters(network),
            n_multiply_adds=layers.n_multiply_adds(network),
            seconds=metrics["training_seconds"],
            reported=request.space.reported_on(lookup.name_of(request.source.dataset), request.variant),
        )
        if self.tracker.state(None) != State.COMPLETE:
            if len(outcomes) > 1:
                log_means(self.tracker, None, histories)
                self.tracker.log_plots(None, mean_plots(self.title, histories, results, self.training_set.classes))
            final, tags = final_metrics(metrics, result.n_parameters), final_tags(metrics, result.seconds)
            self.tracker.finish(None, State.COMPLETE, metrics=final, tags=tags)
        return result

    def _training(self, job: TrialJob) -> Training:
        return Training(
            key=job.label,
            name=f"{self.title}, {job.label}" if job.label else self.title,
            job=replace(job, initial=self.init.for_job()) if self.init else job,
            tags=self.tags,
            texts=self._texts(job.seed, job.fold),
            to_mlflow=True,
        )

    def _texts(self, seed: int, fold: int = 0) -> dict[str, str]:
        return texts(
            self.spec,
            self.request.variant.configuration,
            epochs=self.spec.protocol.epochs,
            seed=seed,
            fold=fold,
            input_shape=self.training_set.input_shape,
            preprocessing=self.training_set.preprocessing(self.spec.data_options),
            classes=self.training_set.classes,
        )

    def _seed(self, repeat: int) -> int:
        """The seed of a repeat; the first has the command's own, so that the seed in MLflow reproduces the training."""
        seed, trial = self.request.training.seed, self.request.trial
        if trial is not None and seed == trial.seed():
            return trial.seed(repeat)
        return derive_seed(seed, "repeat", repeat) if repeat else seed
