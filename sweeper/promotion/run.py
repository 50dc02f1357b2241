"""Runs a promotion: fresh seeds, order, confirm, refit, register, and at most one test evaluation."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import numpy as np
import optuna

from sweeper.data.source import DataSource
from sweeper.data.splits import Indices, Split
from sweeper.data.training_set import TrainingSet
from sweeper.engine import device_precision
from sweeper.engine.start import plan_execution
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.events import Listener, Note, State, Step, once
from sweeper.promotion import finalists as final
from sweeper.promotion import head_start, incumbent, recorded, study_data, test_evaluation, verdict
from sweeper.promotion.comparisons import compare_configurations, shrinkage
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.last_steps import LastSteps, complete, complete_abandoned, show_tested
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.promotion.owned import owned, tracked
from sweeper.promotion.registration import Measured, register
from sweeper.promotion.request import PromotionRequest
from sweeper.runs.batch import BatchRunner, Training
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.store.arguments import store_arguments
from sweeper.studies import data_source, lost_runs, trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.findings import old_scores, scores_of
from sweeper.studies.queries import find_study
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.outbox import shortfall
from sweeper.tracking.registry import Registry


def run(request: PromotionRequest, listener: Listener, stop: StopRequest) -> PromotionOutcome | None:
    """Promotes a study, and resumes where an earlier command was interrupted. Returns None if `stop` was requested.

    Raises SweeperError and UsageError.
    """
    options = request.options
    if options.seeds < 2 and options.prefer != "accuracy":
        raise UsageError(f"--prefer {options.prefer} needs --seeds 2 or more: one seed cannot show who is tied")
    store = request.store
    study = find_study(store, request.study)
    lost_runs.check(store, study.study_name)
    ledger = Ledger(store)
    for difference in ledger.differences():
        listener(Note(f"Warning: {difference}"))
    if not (options.test or options.replace or options.again) and (promotion := recorded.find(store, study)):
        shown = recorded.outcome_of(store, study, promotion)
        complete_abandoned(request, study, promotion, shown, listener, stop)
        recorded.announce(request, study, shown, listener)
        return shown
    with owned(store, study, "promotion", listener, stop) as study:
        study_id = id_of(study)
        promotion = None if options.again else recorded.find(store, study)
        before = recorded.outcome_of(store, study, promotion) if promotion else None
        if promotion and before:
            recorded.refuse_other_options(request, study, before)
            if options.replace:
                before = recorded.make_champion(store, promotion, before, listener)
            if not options.test:
                complete(store, study, promotion, before, listener)
                return before
            request = replace(request, options=recorded.options_of(request, before))
            if promotion.is_printed:  # an older sweeper has not recorded the networks
                before = None
        data = data_source.source_of(study, request.data_access)
        of_images = once(listener)
        test_sha256 = test_evaluation.known_sha256(data, of_images, needed=options.test)
        if options.test:
            if not options.allow_retest:
                if promotion and before and recorded.is_tested(before, ledger, study_id, test_sha256):
                    return show_tested(request, study, promotion, before, listener)
                test_evaluation.refuse_retest(ledger, study.study_name, study_id, test_sha256, store_arguments(store))
            ledger.prepare()
        listener(Step(f"Reading the images of {plain(data.dataset)}"))
        training_set, split = study_data.load_to_train(study, data, of_images, "promoted")
        if options.test:
            # A test set that cannot be loaded ends the command before hours of training, not after them.
            test_evaluation.load(data, training_set.pixel_format, of_images)
        stop.check()
        finals = _Promotion(request, study, data, test_sha256, training_set, split, before, listener, of_images, stop)
        with ends_on_failure(finals.end, stop):
            outcome = (
                finals.last_steps.test_recorded(ledger, before, finals.finalists, finals.refits)
                if before
                else finals.run(ledger, moves_alias=promotion is None)
            )
        stop.saving = True  # a test evaluation may be complete: a signal must not keep its result from being shown
        undelivered = finals.end(State.COMPLETE if outcome else State.INTERRUPTED, stop.reason)
        if outcome is None and undelivered:
            listener(Note(shortfall(undelivered)))
        return outcome and replace(outcome, undelivered=undelivered)


class _Promotion:
    """One study's promotion: its data, its runs in MLflow, and its steps."""

    def __init__(
        self,
        request: PromotionRequest,
        study: optuna.Study,
        data: DataSource,
        test_sha256: str | None,
        training_set: TrainingSet,
        split: Split,
        before: PromotionOutcome | None,
        listener: Listener,
        of_images: Listener,
        stop: StopRequest,
    ) -> None:
        self.request, self.listener, self.stop = request, listener, stop
        self.study_name, self.study_id, self.spec = study.study_name, id_of(study), spec_of(study)
        self.test_sha256, self.training_set, self.split = test_sha256, training_set, split
        execution = plan_execution(request.device, training_set.images.nbytes, os.environ)
        self.jobs = PromotionJobs(
            self.study_name, self.study_id, self.spec, self.training_set, execution, request.store
        )
        trials = trial_records.records(study)
        final.check_numbers(trials, request.options.trials, study.study_name, store_arguments(request.store))
        self.finalists = final.select(
            trials,
            self.spec,
            request.options.top,
            self.training_set.input_shape,
            len(self.training_set.classes),
            [entrant.trial for entrant in before.entrants] if before else request.options.trials,
        )
        device_precision.check({f.configuration.train.precision for f in self.finalists}, execution)
        final.check_exports(self.finalists, self.training_set.input_shape, len(self.training_set.classes))
        self.pool = np.sort(np.concatenate([split.train, split.validation, split.confirm]))
        self.refits = {f.trial: self.jobs.refit(f) for f in self.finalists}
        if request.options.test and len(self.finalists) == 1 and request.options.n_asked > 1:
            raise UsageError(study_data.nothing_to_compare(request.store, study, self.finalists[0]))
        self.fresh = {
            f.trial: [self.jobs.fresh_seed(f, number) for number in range(1, 2 * request.options.seeds + 1)]
            for f in self.finalists
        }
        self.dropped: list[str] = []
        if before is None:
            trainings = [*chain(*self.fresh.values()), *self.refits.values()]
            announced = study_data.announced(self.jobs, trials, trainings, len(self.pool) / len(split.train))
            for text in study_data.notes(study, trials, self.finalists, request.options, execution.kind, announced):
                listener(Note(text))
        self.registry = Registry(request.store)
        self.model_name = self.registry.name_of(self.study_name, self.study_id, training_set.sha256)
        self.options = before.options if before else request.options.decisive()
        replaces = recorded.time_of(recorded.find(request.store, study)) if request.options.again else ""
        choices = {**self.options, "replaces": replaces}
        self.tracker = tracked(
            request.store, study, "promotion", training_set, execution, request.command, choices, listener
        )
        self.last_steps = LastSteps(request, data, test_sha256, self.jobs, self.registry, self.tracker, of_images, stop)
        self.runner = BatchRunner(
            request.store,
            self.study_name,
            self.training_set.classes,
            self.tracker,
            listener,
            stop,
            execution,
            self.jobs.processor,
            self.spec.metric,
        )

    def run(self, ledger: Ledger, *, moves_alias: bool) -> PromotionOutcome | None:
        """Runs all steps. Returns None if a stop was requested."""
        seeds, fresh = self.request.options.seeds, self.fresh
        if self.request.options.test:
            self._refuse_begun(ledger)
        # Seed by seed, so that a failure of any finalist shows early.
        by_seed = [training for same_seed in zip(*fresh.values(), strict=True) for training in same_seed]
        if not self._train(by_seed, "fresh seed", self.split.train, self.split.validation):
            return None
        remaining = [f for f in self.finalists if self._has_results(f, fresh[f.trial])]
        validation = {f.trial: self.jobs.predictions(fresh[f.trial][:seeds], self.split.validation) for f in remaining}
        order = final.ordered(remaining, validation, self.request.options.prefer)
        self._require_eligible(order)
        self.listener(Note("Order by fresh seeds: " + ", ".join(f.name for f in order)))

        # Nothing is chosen from here on. The estimate uses other seeds than the order, because a leader owes part of
        # its lead to lucky seeds, and these would be lucky on the confirm images too.
        part = "confirm" if len(self.split.confirm) else "validation"
        estimated_on = self.split.confirm if part == "confirm" else self.split.validation
        unused = {f.trial: self.jobs.predictions(fresh[f.trial][seeds:], estimated_on) for f in order}

        refits = {f.trial: self.refits[f.trial] for f in order}
        if not self._train(list(refits.values()), "refit", self.pool, self.pool[:0]):
            return None
        order = [f for f in order if self._has_results(f, [refits[f.trial]])]
        self._require_eligible(order)
        estimates = {f.trial: unused[f.trial].estimate() for f in order}
        measured = [
            Measured(f, self.refits[f.trial], validation[f.trial], estimates[f.trial], unused[f.trial]) for f in order
        ]
        classes = self.training_set.classes
        only_classes = {f.trial: [classes[label] for label in unused[f.trial].only_classes()] for f in order}
        comparisons = compare_configurations(part, order, unused)
        constants = study_data.constants(self.training_set, self.split, self.spec.metric)
        sentences = verdict.on_configurations(
            order,
            estimates[order[0].trial],
            part,
            n_images=len(estimated_on),
            n_seeds=seeds,
            trained_share=len(self.split.train) / len(self.training_set.labels),
            comparisons=comparisons,
            dropped=self.dropped,
            metric=self.spec.metric,
            constant=constants.get(part),
            only_classes=only_classes[order[0].trial],
        )
        sentences += old_scores(self.spec)
        self.stop.check()
        versions = register(self.registry, self.model_name, self.tracker, self.jobs, part, measured, sentences)
        champion, *others = (versions[f.trial] for f in order)
        self.stop.check()
        registration: list[str] = []
        if moves_alias:
            registration = incumbent.settle(
                self.registry,
                self.model_name,
                champion,
                others[0] if others else None,
                replace=self.request.options.replace,
                listener=self.listener,
            )
        entrants = [
            Entrant.of(
                f,
                alias=test_evaluation.alias(place),
                version=versions[f.trial],
                network=refits[f.trial].key,
                validation=validation[f.trial].scores(),
                confirm=estimates[f.trial] if part == "confirm" else None,
                metric=self.spec.metric,
                constant=only_classes[f.trial],
            )
            for place, f in enumerate(order)
        ]
        outcome = PromotionOutcome(
            study_name=self.study_name,
            model_name=self.model_name,
            metric=self.spec.metric,
            search_scores=scores_of(self.spec),
            options=self.options,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            entrants=entrants,
            comparisons=comparisons,
            shrinkage=shrinkage(order, comparisons),
            verdict=sentences,
            registration=registration,
            constants=constants,
            selected=[f.trial for f in self.finalists],
            dropped=self.dropped,
        )
        return self.last_steps.finish(ledger, outcome, order, refits)

    def end(self, state: State, reason: str) -> list[str]:
        """Ends the promotion's run in MLflow. Returns why MLflow did not accept writes; empty if it accepted all."""
        self.tracker.finish(None, state, reason=reason)
        return self.tracker.close(closing_patience(reason))

    def _train(self, trainings: Sequence[Training], noun: str, train: Indices, validation: Indices) -> bool:
        take_over = partial(head_start.take_over, self.jobs, trainings, self.listener)
        done = self.runner.run(trainings, noun, partial(self.jobs.workers, train, validation), take_over)
        # A stop that came too late for the last training must still end the promotion.
        return done and not self.stop.reason

    def _has_results(self, finalist: Finalist, trainings: Sequence[Training]) -> bool:
        """Whether all trainings of a finalist finished; drops the finalist, with a note, if one diverged."""
        for training in trainings:
            reason = self.runner.diverged.get(training.key)
            if reason is None:
                continue
            if finalist.is_baseline:
                raise SweeperError(f"{training.name} diverged ({reason}): without a baseline there is no comparison")
            self.dropped.append(f"{training.name} diverged ({reason}): {finalist.name} is no longer a finalist")
            self.listener(Note(self.dropped[-1]))
            return False
        return True

    def _require_eligible(self, order: Sequence[Finalist]) -> None:
        if not order[0].eligible:
            limits = self.spec.limits.options()
            raise SweeperError(
                f"{order[0].name} is over a limit of the search ({limits}), and no other finalist is left"
            )

    def _refuse_begun(self, ledger: Ledger) -> None:
        """Refuses before anything is trained if a test evaluation was begun, and not of the final of this command.

        All trainings of that final were done, so the final is another one if one of this command's is not.
        """
        trainings = []
        for finalist in self.finalists:
            seeds = self.fresh[finalist.trial]
            if State.PRUNED not in [self.tracker.state(training.run) for training in seeds]:  # else it was dropped
                trainings += [*seeds, self.refits[finalist.trial]]
        networks = [refit.key for refit in self.refits.values()]
        done = all(self.runner.is_done(training) for training in trainings)
        test_evaluation.refuse_begun(
            ledger, self.study_id, self.test_sha256, networks if done else [],
            self.request.options.allow_retest, self.listener,
        )  # fmt: skip
