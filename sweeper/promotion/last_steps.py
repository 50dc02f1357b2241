"""The last steps of a promotion: records what it found, tests its networks if asked to, and records the result."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna

from sweeper.data.source import DataSource
from sweeper.errors import SweeperError
from sweeper.events import Listener, Note
from sweeper.promotion import head_start, recorded, test_evaluation
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.promotion.owned import owned
from sweeper.promotion.request import PromotionRequest
from sweeper.runs.batch import Training
from sweeper.runs.stop import StopRequest
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies.attributes import id_of
from sweeper.studies.ownership import owner_of
from sweeper.tracking import descriptions, promotions
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.promotions import RecordedPromotion
from sweeper.tracking.registry import Registry
from sweeper.tracking.tracker import Tracker


@dataclass(frozen=True)
class LastSteps:
    """The steps after order, estimate and registration, which train nothing and choose nothing."""

    request: PromotionRequest
    data: DataSource
    test_sha256: str | None
    jobs: PromotionJobs
    registry: Registry
    tracker: Tracker
    listener: Listener
    stop: StopRequest

    def test_recorded(
        self,
        ledger: Ledger,
        before: PromotionOutcome,
        finalists: Sequence[Finalist],
        refits: Mapping[int, Training],
    ) -> PromotionOutcome:
        """Tests the networks of the recorded promotion; `refits`, by trial, are those that this command would train.

        Raises SweeperError if a trial or its weights are gone, and UsageError for a test begun with other networks.
        """
        by_trial = {f.trial: f for f in finalists}
        if gone := [entrant.name for entrant in before.entrants if entrant.trial not in by_trial]:
            raise SweeperError(f"the search no longer has {', '.join(gone)} of the promotion: --again promotes anew")
        order = [by_trial[entrant.trial] for entrant in before.entrants]
        trained = {
            entrant.trial: self.jobs.recorded(refits[entrant.trial], entrant.network) for entrant in before.entrants
        }
        keys = [refit.key for refit in trained.values()]
        test_evaluation.refuse_begun(
            ledger, self.jobs.study_id, self.test_sha256, keys, self.request.options.allow_retest, self.listener
        )
        return self.finish(ledger, before, order, trained)

    def finish(
        self,
        ledger: Ledger,
        outcome: PromotionOutcome,
        order: Sequence[Finalist],
        refits: Mapping[int, Training],
    ) -> PromotionOutcome:
        """The outcome with all tests; evaluates the networks on the test set first if the command asks for it."""
        options, outcome = self.request.options, replace(outcome, test_sha256=self.test_sha256)
        # Before the test, whose result cannot change what was found.
        self.tracker.log_text(None, {promotions.FOUND: json.dumps(outcome.found(), indent=2)})
        if options.test and len(order) == 1 and options.n_asked > 1:
            text = "Not tested: only one finalist is left, and a study has only one test; --top 1 tests it alone."
            outcome = replace(outcome, verdict=[*outcome.verdict, text])
        elif options.test:
            self.stop.check()
            # Whoever finds the test in the ledger must find the promotion that it is of.
            if reason := self.tracker.missing([(None, promotions.FOUND)]):
                raise SweeperError(f"nothing was tested: {reason}")
            versions = {entrant.trial: entrant.version for entrant in outcome.entrants}
            test_evaluation.evaluate(
                ledger,
                test_evaluation.load(self.data, self.jobs.training_set.pixel_format, self.listener),
                order,
                {trial: f"{outcome.model_name}/{version}" for trial, version in versions.items()},
                {trial: refit.key for trial, refit in refits.items()},
                lambda finalist, images: self.jobs.logits(refits[finalist.trial], images),
                study=self.jobs.study_name,
                study_id=self.jobs.study_id,
                command=redact(shlex.join(self.request.command)),
                allow_retest=options.allow_retest,
                metric=self.jobs.spec.metric,
            )
        outcome = recorded.with_tests(outcome, ledger, self.jobs.study_id)
        outcome = recorded.with_champion(outcome, self.registry)
        self.tracker.log_text(None, {promotions.PRINTED: json.dumps(outcome.summary(), indent=2)})
        jobs = self.jobs
        _announce_in_mlflow(jobs.store, self.tracker.run_id, outcome, self.registry, self.listener)
        head_start.discard(jobs.store, jobs.study_name, jobs.study_id)
        return outcome


def show_tested(
    request: PromotionRequest,
    study: optuna.Study,
    promotion: RecordedPromotion,
    outcome: PromotionOutcome,
    listener: Listener,
) -> PromotionOutcome:
    """The recorded outcome of a promotion whose networks were tested before: neither trains nor tests.

    Raises SweeperError if MLflow fails.
    """
    recorded.announce(request, study, outcome, listener)
    complete(request.store, study, promotion, outcome, listener)
    return outcome


def complete(
    store: Store, study: optuna.Study, promotion: RecordedPromotion, outcome: PromotionOutcome, listener: Listener
) -> None:
    """Completes a recorded promotion that was interrupted before its last steps; `outcome` includes its test, if any.

    Only for the owner of the study. Raises SweeperError if MLflow fails.
    """
    if not _is_incomplete(store, promotion, outcome):
        return
    if _lacks_result(store, promotion, outcome):
        promotions.record(store, promotion.run_id, promotions.PRINTED, outcome.summary())
        _announce_in_mlflow(store, promotion.run_id, outcome, Registry(store), listener)
        head_start.discard(store, study.study_name, id_of(study))
    promotions.end(store, promotion.run_id)


def complete_abandoned(
    request: PromotionRequest,
    study: optuna.Study,
    promotion: RecordedPromotion,
    outcome: PromotionOutcome,
    listener: Listener,
    stop: StopRequest,
) -> None:
    """As `complete`, for a promotion that is only shown: not if a process works on the study; notes what fails."""
    store = request.store
    if not _is_incomplete(store, promotion, outcome) or owner_of(store, study) is not None:
        return
    try:
        with owned(store, study, "promotion", listener, stop) as study:
            if now := recorded.find(store, study):  # another command may have been faster
                complete(store, study, now, recorded.outcome_of(store, study, now), listener)
    except SweeperError as error:
        listener(Note(f"The promotion's last steps are left to a later command: {error}"))


def _is_incomplete(store: Store, promotion: RecordedPromotion, outcome: PromotionOutcome) -> bool:
    """Whether the last command on the promotion has ended before its last steps. Raises SweeperError if MLflow fails.

    A run that was ended and has the result is of a later command, which was interrupted: a test, or a promotion anew.
    A killed promotion anew has left its tag.
    """
    if promotion.status == "FINISHED" or promotion.tags.get(promotions.REPLACES) == outcome.time:
        return False
    return promotion.status == "RUNNING" or _lacks_result(store, promotion, outcome)


def _lacks_result(store: Store, promotion: RecordedPromotion, outcome: PromotionOutcome) -> bool:
    """Whether the promotion's run has no printed result of this outcome, or none with its tests."""
    if promotion.is_printed:  # printed only: by an older sweeper, which wrote this last, so nothing is missing
        return False
    printed = promotions.printed(store, promotion.run_id)
    return printed is None or _result_of(printed) != _result_of(json.loads(json.dumps(outcome.summary())))


def _result_of(summary: Mapping[str, Any]) -> tuple[Any, Any]:
    """What tells a promotion's result from another's: when it was found, and what the tests have measured."""
    return summary.get("time"), {one["network"]: one["test"] for one in summary.get("finalists", ())}


def _announce_in_mlflow(
    store: Store, run_id: str, outcome: PromotionOutcome, registry: Registry, listener: Listener
) -> None:
    """Puts the outcome in words above the ranking in MLflow's description of the study, and on the versions."""
    said = [f"- {descriptions.escaped(sentence)}" for sentence in outcome.sentences]
    brief = f"### Promotion\n\n**{descriptions.escaped(outcome.plain_sentence)}**"
    try:
        descriptions.add_to_study(store, run_id, ["\n".join([brief, "", *said]), brief])
    except SweeperError as error:  # the promotion's own run has it all
        listener(Note(f"MLflow's description of the study lacks what the promotion has found: {error}"))
    for entrant in outcome.entrants:
        try:
            registry.set_verdict(outcome.model_name, entrant.version, outcome.sentences)
        except SweeperError as error:  # somebody may have deleted it
            listener(Note(f"{outcome.model_name}/{entrant.version} lacks the verdict: {error}"))
