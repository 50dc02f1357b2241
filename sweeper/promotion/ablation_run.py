"""Runs an ablation: trains the champion without each of its choices, and records how it compares with the champion."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from sweeper.errors import SweeperError
from sweeper.events import Listener, Note, State, Step
from sweeper.promotion import ablation_measures, ablation_outcome
from sweeper.promotion.ablation import Plan, is_here, promotion_of
from sweeper.promotion.ablation_outcome import AblationOutcome
from sweeper.promotion.owned import owned, tracked
from sweeper.runs.batch import BatchRunner
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.tracking import promotions
from sweeper.tracking.csv_text import csv_text
from sweeper.tracking.outbox import shortfall
from sweeper.tracking.tracker import Tracker

# The columns of ablation.csv: fields of Row.
COLUMNS = (
    "parameter", "champion_value", "baseline_value", "along", "n_parameters", "value", "difference", "low", "high",
    "level", "p", "p_adjusted", "verdict",
)  # fmt: skip


def run(plan: Plan, listener: Listener, stop: StopRequest) -> AblationOutcome | None:
    """Trains what is not trained yet, and records what was found. Returns None if `stop` was requested.

    Raises SweeperError.
    """
    request = plan.request
    with owned(request.store, plan.study, "ablation", listener, stop) as study:
        if promotion_of(request.store, study).entrants != plan.promoted.entrants:
            raise SweeperError(f"study {study.study_name} was promoted anew meanwhile: the same command starts again")
        tracker = tracked(
            request.store, study, "ablation", plan.training_set, plan.execution, request.command,
            {"seeds": len(plan.seeds), "champion_trial": plan.champion.trial}, listener,
        )  # fmt: skip

        def end(state: State, reason: str) -> list[str]:
            tracker.finish(None, state, reason=reason)
            return tracker.close(closing_patience(reason))

        with ends_on_failure(end, stop):
            outcome = _ablated(plan, tracker, listener, stop)
        stop.saving = True  # the result must be shown, whatever signal comes now
        undelivered = end(State.COMPLETE if outcome else State.INTERRUPTED, stop.reason)
        if outcome is None and undelivered:
            listener(Note(shortfall(undelivered)))
        return outcome and replace(outcome, undelivered=undelivered)


def _ablated(plan: Plan, tracker: Tracker, listener: Listener, stop: StopRequest) -> AblationOutcome | None:
    runner = BatchRunner(
        plan.request.store, plan.study.study_name, plan.training_set.classes, tracker, listener, stop,
        plan.execution, plan.jobs.processor, plan.jobs.spec.metric,
    )  # fmt: skip
    # Seed by seed, so that a failure of any configuration shows early.
    columns = [plan.champions, *plan.ablated.values()]
    trainings = [one for same_seed in zip(*columns, strict=True) for one in same_seed]
    # Networks of the promotion are only used; one that this ablation has trained must also be recorded to its end.
    trainings = [one for one in trainings if not (is_here(one) and tracker.state(one.run) is None)]
    train, validation = plan.split.train, plan.split.validation
    done = runner.run(trainings, "ablation training", partial(plan.jobs.workers, train, validation))
    if not done or stop.reason:
        return None
    for one in plan.champions:
        if reason := runner.diverged.get(one.key):
            raise SweeperError(f"{one.name} diverged ({reason}): there is nothing to compare with")
    listener(Step("Comparing the networks"))
    outcome = ablation_measures.measured(plan, runner.diverged)
    rows = [[_cell(getattr(row, name)) for name in COLUMNS] for row in outcome.rows]
    tracker.log_plots(None, {"ablation.png": ablation_outcome.plot_of(outcome)})
    tracker.log_text(
        None, {"ablation.csv": csv_text(COLUMNS, rows), promotions.ABLATION: json.dumps(outcome.as_json(), indent=2)}
    )
    return outcome


def _cell(value: Any) -> Any:
    """A value as a cell of a CSV file: arrays and objects as JSON text."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value)
