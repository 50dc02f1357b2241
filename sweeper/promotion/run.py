"""Runs a promotion: fresh seeds, order, confirm, refit, register, and at most one test evaluation."""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna

from sweeper.data.source import DataSource
from sweeper.data.splits import Indices, Split
from sweeper.data.training_set import TrainingSet
from sweeper.engine.local.execution import plan_execution
from sweeper.engine.options import DeviceOptions
from sweeper.errors import SweeperError, UsageError
from sweeper.evaluation.statistics import Estimate, over_seeds_and_images
from sweeper.events import Listener, Note, State
from sweeper.promotion import finalists as final
from sweeper.promotion import study_data, test_evaluation, verdict
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.options import PromotionOptions
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.promotion.verdict import Correct
from sweeper.runs import run_metadata
from sweeper.runs.batch import BatchRunner, Training
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies import lifecycle, storage_errors, trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.queries import find_again, find_study
from sweeper.tracking.client import check_tracking
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.registry import Registry
from sweeper.tracking.tracker import Tracker, shortfall


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """The request for a promotion. `study` None means the latest. `command` is the command line, for the record.

    `data_dir` and `offline` are those of DataSource; the data set is the study's own.
    """

    study: str | None
    options: PromotionOptions
    device: DeviceOptions
    data_dir: Path | None
    offline: bool
    store: Store
    command: Sequence[str]


def run(request: PromotionRequest, listener: Listener, stop: StopRequest) -> PromotionOutcome | None:
    """Promotes a study, and resumes where an earlier command was interrupted. Returns None if `stop` was requested.

    Raises SweeperError and UsageError.
    """
    options = request.options
    if options.seeds < 2 and options.prefer != "accuracy":
        raise UsageError(f"--prefer {options.prefer} needs --seeds 2 or more: one seed cannot show who is tied")
    store = request.store
    study = find_study(store, request.study)
    lifecycle.check_usable(study)
    check_tracking(store, spec_of(study).dataset)
    store.prepare()
    study_id = id_of(study)
    with storage_errors.translated(store), store.owning(study.study_name):
        study = find_again(store, study.study_name, study_id)
        lifecycle.check_usable(study)
        ledger = Ledger(store)
        for difference in ledger.differences():
            listener(Note(f"Warning: {difference}"))
        data = study_data.data_of(study, request.data_dir, request.offline)
        test_sha256 = test_evaluation.known_sha256(data)
        if options.test:
            test_evaluation.check(ledger, study.study_name, study_id, test_sha256, options.allow_retest, listener)
            ledger.prepare()
        training_set, split = study_data.load(study, data, listener)
        if options.test:
            # A test set that cannot be loaded ends the command before hours of training, not after them.
            test_evaluation.load(data, training_set.input_shape, listener)
        promotion = _Promotion(request, study, data, test_sha256, training_set, split, listener, stop)
        with ends_on_failure(promotion.end, stop):
            outcome = promotion.run(ledger)
        try:
            undelivered = promotion.end(State.COMPLETE if outcome else State.INTERRUPTED, stop.reason)
        except SystemExit:
            if outcome is None:
                raise
            undelivered = ["the command was interrupted"]  # a test evaluation may be complete: its result must be shown
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
        listener: Listener,
        stop: StopRequest,
    ) -> None:
        self.request, self.listener, self.stop = request, listener, stop
        self.study_name, self.study_id, self.spec = study.study_name, id_of(study), spec_of(study)
        self.data, self.test_sha256, self.training_set, self.split = data, test_sha256, training_set, split
        execution = plan_execution(request.device, training_set.images.nbytes, os.environ)
        self.jobs = PromotionJobs(
            self.study_name, self.study_id, self.spec, self.training_set, execution, request.store
        )
        trials = trial_records.records(study)
        self.model_name = ""
        self.finalists = final.select(
            trials, self.spec, request.options.top, self.training_set.input_shape, len(self.training_set.classes)
        )
        self.dropped: list[str] = []
        for text in study_data.notes(study, trials, self.finalists, request.options, execution.kind):
            listener(Note(text))
        self.registry = Registry(request.store)
        record = run_metadata.data_record(self.training_set)
        self.tracker = Tracker(request.store, record, lambda text: listener(Note(text)), kind="promotion")
        choices = {f"sweeper.{name}": str(getattr(request.options, name)) for name in ("top", "seeds", "prefer")}
        tags = run_metadata.tags(request.command, execution, self.training_set.sha256) | choices
        self.tracker.open(self.study_name, self.study_id, tags, {})
        self.runner = BatchRunner(
            request.store, self.study_name, self.training_set.classes, self.tracker, listener, stop
        )

    def run(self, ledger: Ledger) -> PromotionOutcome | None:
        """Runs all steps. Returns None if a stop was requested."""
        seeds = self.request.options.seeds
        fresh = {
            f.trial: [self.jobs.fresh_seed(f, number) for number in range(1, 2 * seeds + 1)] for f in self.finalists
        }
        # Seed by seed, so that a failure of any finalist shows early.
        by_seed = [training for same_seed in zip(*fresh.values(), strict=True) for training in same_seed]
        if not self._train(by_seed, "fresh seeds", self.split.train, self.split.validation):
            return None
        remaining = [f for f in self.finalists if self._has_results(f, fresh[f.trial])]
        validation = {f.trial: self.jobs.correct(fresh[f.trial][:seeds], self.split.validation) for f in remaining}
        order = final.ordered(remaining, validation, self.request.options.prefer)
        self._require_eligible(order)
        self.listener(Note("Order by fresh seeds: " + ", ".join(f.name for f in order)))

        # Nothing is chosen from here on. The estimate uses other seeds than the order, because a leader owes part of
        # its lead to lucky seeds, and these would be lucky on the confirm images too.
        part = "confirm" if len(self.split.confirm) else "validation"
        estimated_on = self.split.confirm if part == "confirm" else self.split.validation
        correct = {f.trial: self.jobs.correct(fresh[f.trial][seeds:], estimated_on) for f in order}

        refits = {f.trial: self.jobs.refit(f) for f in order}
        everything = np.sort(np.concatenate([self.split.train, self.split.validation, self.split.confirm]))
        if not self._train(list(refits.values()), "refits on all images", everything, everything[:0]):
            return None
        order = [f for f in order if self._has_results(f, [refits[f.trial]])]
        self._require_eligible(order)
        estimates = {f.trial: over_seeds_and_images(correct[f.trial]) for f in order}
        versions = self._register(order, refits, validation, estimates, part)

        networks = {f.trial: refits[f.trial].key for f in order}
        if self.request.options.test:
            test_evaluation.evaluate(
                ledger,
                test_evaluation.load(self.data, self.training_set.input_shape, self.listener),
                order,
                {f.trial: f"{self.model_name}/{versions[f.trial]}" for f in order},
                networks,
                lambda finalist, images: self.jobs.logits(refits[finalist.trial], images),
                study=self.study_name,
                study_id=self.study_id,
                command=redact(shlex.join(self.request.command)),
                allow_retest=self.request.options.allow_retest,
            )
        by_role = {role: networks[f.trial] for role, f in test_evaluation.roles_of(order).items()}
        seen = test_evaluation.recorded(ledger, self.study_id, self.test_sha256, by_role)
        comparisons = verdict.compare_configurations(part, order, correct)
        entrants = [
            Entrant(
                finalist=f,
                alias=test_evaluation.alias(place),
                version=versions[f.trial],
                validation=validation[f.trial].mean(axis=0),
                confirm=estimates[f.trial] if part == "confirm" else None,
                tested=seen.tested.get(networks[f.trial]),
            )
            for place, f in enumerate(order)
        ]
        sentences = verdict.on_configurations(
            order,
            estimates[order[0].trial],
            part,
            n_images=len(estimated_on),
            n_seeds=seeds,
            trained_share=len(self.split.train) / len(self.training_set.labels),
            comparisons=comparisons,
            dropped=self.dropped,
        )
        tested = {entrant.name: entrant.tested for entrant in entrants if entrant.tested}
        outcome = PromotionOutcome(
            study_name=self.study_name,
            model_name=self.model_name,
            entrants=entrants,
            comparisons=[*comparisons, *seen.comparisons],
            shrinkage=verdict.shrinkage(order, comparisons),
            verdict=[*sentences, *verdict.on_networks(tested, seen.comparisons, seen.evaluations), *seen.notes],
            evaluations=seen.evaluations,
            has_test_data=self.test_sha256 is not None,
            dropped=self.dropped,
        )
        self.tracker.log_text(None, {"promotion.json": json.dumps(outcome.summary(), indent=2)})
        return outcome

    def end(self, state: State, reason: str) -> list[str]:
        """Ends the promotion's run in MLflow. Returns why MLflow did not accept writes; empty if it accepted all."""
        self.tracker.finish(None, state, reason=reason)
        return self.tracker.close(closing_patience(reason))

    def _train(self, trainings: Sequence[Training], what: str, train: Indices, validation: Indices) -> bool:
        done = self.runner.run(trainings, what, lambda: self.jobs.workers(train, validation))
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
            self.dropped.append(f"{training.name} diverged ({reason}): {finalist.name} is out of the final")
            self.listener(Note(self.dropped[-1]))
            return False
        return True

    def _require_eligible(self, order: Sequence[Finalist]) -> None:
        if not order[0].eligible:
            raise SweeperError(f"{order[0].name} is too large to win (--max-params), and no other finalist is left")

    def _register(
        self,
        order: Sequence[Finalist],
        refits: Mapping[int, Training],
        validation: Mapping[int, Correct],
        estimates: Mapping[int, Estimate],
        part: str,
    ) -> dict[int, str]:
        """Registers the finalists, then sets the aliases. Returns the registered versions by trial."""
        undelivered = self.tracker.flush()
        if undelivered:
            raise SweeperError(f"{shortfall(undelivered)}; nothing was registered, the same command resumes from here")
        # MLflow refuses slashes and colons in a model's name, but a space's name, that of its file, may contain them.
        plain = re.sub(r"[^A-Za-z0-9._-]", "-", f"sweeper-{self.spec.dataset}-{self.spec.space_name}")
        self.model_name = self.registry.name_of(plain, self.training_set.sha256)
        versions = {}
        for finalist in order:
            refit = refits[finalist.trial]
            run_id = self.tracker.child_run_id(refit.key)
            assert run_id is not None
            low, high = verdict.bounded(estimates[finalist.trial])
            bounds = "" if low is None else f" [{low:.4f}, {high:.4f}]"
            tags = {
                "sweeper.study": self.study_name,
                "sweeper.study_id": self.study_id,
                "sweeper.trial": str(finalist.trial),
                "sweeper.baseline": json.dumps(finalist.is_baseline),
                "sweeper.n_parameters": str(finalist.n_parameters),
                "sweeper.search_score": json.dumps(finalist.score),
                "sweeper.n_seeds": str(self.request.options.seeds),
                "sweeper.validation_accuracy": f"{validation[finalist.trial].mean():.4f}",
                f"sweeper.{part}_estimate": f"{estimates[finalist.trial].value:.4f}{bounds}",
            }
            versions[finalist.trial] = self.registry.register(
                self.model_name,
                self.training_set.sha256,
                run_id,
                f"{self.study_id}/{refit.key}",
                self.jobs.network(refit),
                self.training_set.images[self.split.train[:2]],
                {"model.safetensors": refit.job.weights, "config.json": refit.texts["config.json"]},
                tags,
                f"{finalist.name} of study {self.study_name}, refitted on all its training images. Takes raw pixels "
                f"(batch, {', '.join(str(size) for size in self.training_set.input_shape)}) as uint8, gives logits.",
            )
        champion, *others = (versions[f.trial] for f in order)
        self.registry.set_aliases(self.model_name, champion, others[0] if others else None)
        return versions
