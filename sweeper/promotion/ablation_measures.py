"""Measures an ablation: compares the champion's networks with those without one of its choices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sweeper.models import families, layers
from sweeper.promotion import ablation_outcome
from sweeper.promotion.ablation import Plan
from sweeper.promotion.ablation_outcome import NEEDED, UNTRIED, AblationOutcome, Row, Verdict
from sweeper.promotion.comparisons import Comparison, bounded, compared
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.set_back import SetBack
from sweeper.runs.batch import Training
from sweeper.studies.objective import direction


def measured(plan: Plan, diverged: Mapping[str, str]) -> AblationOutcome:
    """What the networks make of the confirm part, or of the validation part if there is none.

    `diverged` has the reason for each diverged training, by key.
    """
    part = "confirm" if len(plan.split.confirm) else "validation"
    images, spec = getattr(plan.split, part), plan.jobs.spec
    champion = plan.jobs.predictions(plan.champions, images)
    without = {
        name: plan.jobs.predictions(trainings, images)
        for name, trainings in plan.ablated.items()
        if not any(one.key in diverged for one in trainings)
    }
    trial, n_seeds = plan.champion.trial, len(plan.seeds)
    comparisons = compared(
        part,
        [(name, (trial, trial)) for name in without],
        [champion.minus(other) for other in without.values()],
        spec.metric,
        n_without=len(plan.ablated) - len(without),
    )
    by_name = dict(zip(without, comparisons, strict=True))
    rows = []
    for choice in plan.choices:
        if choice.name in by_name:
            rows.append(_compared(plan, choice, by_name[choice.name], without[choice.name]))
        else:
            rows.append(_without(plan, choice, plan.ablated.get(choice.name, ()), diverged))
    sign = 1 if direction(spec.metric) == "minimize" else -1
    rows.sort(key=lambda row: (row.verdict == UNTRIED, row.verdict != NEEDED, sign * (row.difference or 0)))
    estimate = champion.estimate()
    low, high = bounded(estimate, spec.metric)
    share = len(plan.split.train) / len(plan.training_set.labels)
    return AblationOutcome(
        study=plan.study.study_name,
        metric=spec.metric,
        trial=trial,
        part=part,
        n_images=len(images),
        seeds=list(plan.seeds),
        value=estimate.value,
        low=low,
        high=high,
        n_parameters=plan.champion.n_parameters,
        rows=rows,
        sentence=ablation_outcome.summed_up(trial, rows),
        notes=ablation_outcome.notes_on(spec.metric, part, len(images), n_seeds, share),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _compared(plan: Plan, choice: SetBack, comparison: Comparison, without: Predictions) -> Row:
    found = _row(
        plan,
        choice,
        ablation_outcome.verdict_of(comparison),
        ablation_outcome.sentence_of(choice.change, comparison, len(plan.seeds)),
    )
    return replace(
        found,
        value=float(without.scores().mean()),
        difference=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        level=comparison.level,
        p=comparison.p,
        p_adjusted=comparison.p_adjusted,
        decided=comparison.decided,
        detectable=comparison.detectable,
    )


def _without(plan: Plan, choice: SetBack, trainings: Sequence[Training], diverged: Mapping[str, str]) -> Row:
    """The row of a choice that gave no difference."""
    if choice.refused:
        return _row(plan, choice, UNTRIED, f"{choice.change}: not tried, it cannot be set back: {choice.refused}.")
    failed = [diverged[one.key] for one in trainings if one.key in diverged]
    diverging = f"set back, {len(failed)} of {len(trainings)} trainings diverged ({failed[0]})"
    return _row(plan, choice, NEEDED, f"{choice.change}: needed, {diverging}.")


def _row(plan: Plan, choice: SetBack, verdict: Verdict, sentence: str) -> Row:
    n_parameters = None
    if choice.configuration is not None:
        shape, n_classes = plan.training_set.input_shape, len(plan.training_set.classes)
        n_parameters = layers.n_parameters(families.trace(choice.configuration.model, shape, n_classes))
    return Row(
        parameter=choice.name,
        champion_value=_side(choice.values, 0),
        baseline_value=_side(choice.values, 1),
        along=choice.along,
        n_parameters=n_parameters,
        verdict=verdict,
        sentence=sentence,
    )


def _side(values: Mapping[str, tuple[Any, Any]], side: int) -> Any:
    """The champion's (0) or the baseline's (1) value of a choice; of several fields, an object."""
    found = {name: both[side] for name, both in values.items()}
    return found if len(found) > 1 else next(iter(found.values()))
