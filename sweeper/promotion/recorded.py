"""Promotions that were recorded: shown without training, and made the registered champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna

from sweeper.errors import SweeperError, UsageError, first_line, shortened
from sweeper.events import Listener, Note
from sweeper.promotion import incumbent, test_evaluation, verdict
from sweeper.promotion.finalists import distinct
from sweeper.promotion.options import PromotionOptions
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.promotion.plain_sentence import plain_sentence
from sweeper.promotion.request import PromotionRequest
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.findings import old_scores, scores_of
from sweeper.studies.queries import find_study, studies_in
from sweeper.studies.storage_errors import UNREADABLE
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking import promotions
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.promotions import RecordedPromotion
from sweeper.tracking.registry import Registry


def find(store: Store, study: optuna.Study) -> RecordedPromotion | None:
    """The study's recorded promotion. Raises SweeperError if MLflow cannot be used."""
    spec = spec_of(study)
    return promotions.find(store, spec.dataset, spec.data_sha256, id_of(study))


def unfinished(store: Store, study: optuna.Study) -> str | None:
    """The command of the study's promotion that runs, or was interrupted; None if there is none. Like `find`."""
    spec = spec_of(study)
    return promotions.unfinished(store, spec.dataset, spec.data_sha256, id_of(study))


def time_of(promotion: RecordedPromotion | None) -> str:
    """When it was found; empty without one, or if it cannot be read."""
    try:
        return str(promotion.content()["time"]) if promotion else ""
    except UNREADABLE:
        return ""


def outcomes(store: Store, name: str | None, notify: Callable[[str], None]) -> list[PromotionOutcome]:
    """The recorded outcome of one study or (None) of all, in the order in which the studies were started.

    Of all, those that cannot be read are not included, and `notify` gets the reason.
    """
    if name is not None:
        study = find_study(store, name)
        promotion = find(store, study)
        return [outcome_of(store, study, promotion)] if promotion else []
    found = []
    for study in studies_in(store):
        try:
            lifecycle.check_schema(study)
            if promotion := find(store, study):
                found.append(outcome_of(store, study, promotion))
        except SweeperError as error:
            notify(f"Not shown: {error}")
    return found


def outcome_of(store: Store, study: optuna.Study, promotion: RecordedPromotion) -> PromotionOutcome:
    """The recorded outcome, with what ledger and registry say now. Raises SweeperError if it cannot be read."""
    try:
        outcome = PromotionOutcome.from_found(promotion.content())
    except UNREADABLE as error:
        raise SweeperError(
            f"the recorded promotion of study {study.study_name} cannot be read ({type(error).__name__}: "
            f"{shortened(first_line(error))}): --again promotes anew"
        ) from error
    spec = spec_of(study)
    said = [sentence for sentence in old_scores(spec) if sentence not in outcome.verdict]
    outcome = replace(outcome, search_scores=scores_of(spec), verdict=[*outcome.verdict, *said])
    if not promotion.is_printed:
        outcome = with_tests(outcome, Ledger(store), id_of(study))
    return with_champion(outcome, Registry(store))


def with_tests(outcome: PromotionOutcome, ledger: Ledger, study_id: str) -> PromotionOutcome:
    """A promotion's outcome, with the results of the study's test evaluations so far."""
    seen = test_evaluation.recorded(ledger, study_id, outcome.test_sha256, _roles(outcome))
    entrants = [replace(entrant, test=seen.tested.get(entrant.network or "")) for entrant in outcome.entrants]
    tested = {entrant.name: entrant.test for entrant in entrants if entrant.test}
    return replace(
        outcome,
        entrants=entrants,
        comparisons=[*(c for c in outcome.comparisons if c.part != "test"), *seen.comparisons],
        test_verdict=[*verdict.on_networks(tested, seen.comparisons, seen.evaluations), *seen.notes],
        evaluations=seen.evaluations,
    )


def is_tested(outcome: PromotionOutcome, ledger: Ledger, study_id: str, test_sha256: str | None) -> bool:
    """Whether the outcome has the result of a test of exactly its networks, on the test data of this hash."""
    roles = _roles(outcome)
    return all(entrant.test for entrant in outcome.entrants if entrant.network in roles.values()) and any(
        evaluation.complete
        and (evaluation.study_id, evaluation.test_sha256) == (study_id, test_sha256)
        and evaluation.networks == roles
        for evaluation in ledger.evaluations()
    )


def _roles(outcome: PromotionOutcome) -> dict[str, str]:
    """The networks that a test is of, by role."""
    return {e.alias or "baseline": e.network or "" for e in outcome.entrants if e.alias or e.is_baseline}


def with_champion(outcome: PromotionOutcome, registry: Registry) -> PromotionOutcome:
    """A promotion's outcome, with the version that is the registered champion now, and all of it in one sentence."""
    found = registry.champion(outcome.model_name)
    outcome = replace(outcome, registered_champion=None if found is None else found[0].version)
    return replace(outcome, plain_sentence=plain_sentence(outcome))


def announce(request: PromotionRequest, study: optuna.Study, outcome: PromotionOutcome, listener: Listener) -> None:
    """Notes that a recorded promotion is shown, which options have no effect, and which trials are better since."""
    made = f" with {typed(outcome.options)}" if outcome.options else ""
    before = f"promoted before{made}" + (" and tested" if request.options.test else "")
    nothing = "nothing is trained" + (" or tested" if request.options.test else "")
    listener(Note(f"Study {study.study_name} was {before}: the recorded result is shown, and {nothing}"))
    if other := other_options(request, outcome):
        listener(Note(f"{typed(other)} does not change a recorded result; --again promotes anew with it"))
    if new := better_since(outcome, trial_records.records(study), spec_of(study).metric):
        names = ", ".join(trial.name for trial in new)
        listener(Note(f"The search has found better trials since then: {names}; --again promotes anew, with them"))


def better_since(outcome: PromotionOutcome, trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """The trials that would be finalists now and were not selected.

    None if the user had named the trials to promote, or an older sweeper has not recorded how or what it selected.
    """
    top = outcome.options.get("top")
    if top is None or not outcome.selected:
        return []
    return [trial for trial in distinct(trials, metric)[:top] if trial.number not in outcome.selected]


def refuse_other_options(request: PromotionRequest, study: optuna.Study, outcome: PromotionOutcome) -> None:
    """Raises UsageError if the command asks for another promotion than the recorded one."""
    if other := other_options(request, outcome):
        raise UsageError(
            f"study {study.study_name} was promoted with {typed(outcome.options)}, this command has {typed(other)}: "
            "leave it out, or give --again to promote anew"
        )


def make_champion(
    store: Store, promotion: RecordedPromotion, outcome: PromotionOutcome, listener: Listener
) -> PromotionOutcome:
    """Gives the aliases to the recorded champion and challenger, whoever has them now."""
    registry, versions = Registry(store), {entrant.alias: entrant.version for entrant in outcome.entrants}
    said = incumbent.settle(
        registry, outcome.model_name, versions["champion"], versions.get("challenger"), replace=True, listener=listener
    )
    outcome = replace(outcome, registration=said or outcome.registration)
    name = promotions.PRINTED if promotion.is_printed else promotions.FOUND
    promotions.record(store, promotion.run_id, name, outcome.found())
    return with_champion(outcome, registry)


def options_of(request: PromotionRequest, outcome: PromotionOutcome) -> PromotionOptions:
    """The options of the command, those that were not given as in the recorded promotion."""
    made = {name: value for name, value in outcome.options.items() if name not in request.given}
    return replace(request.options, **made)


def typed(options: Mapping[str, Any]) -> str:
    """Options as on a command line."""
    numbers = options.get("trials", ())
    others = {name: value for name, value in options.items() if name != "trials"}
    return " ".join([*(f"--trial {n}" for n in numbers), *(f"--{name} {value}" for name, value in others.items())])


def other_options(request: PromotionRequest, outcome: PromotionOutcome) -> dict[str, Any]:
    """The options given in the command line that would make another promotion than the recorded one."""
    asked = request.options.decisive() if outcome.options else {}
    given = {name: value for name, value in asked.items() if name in request.given}
    # A finalist that was alone is the best one, too.
    made = {**outcome.options, "top": 1} if len(outcome.entrants) == 1 and given.get("top") == 1 else outcome.options
    return {name: value for name, value in given.items() if value != made.get(name)}
