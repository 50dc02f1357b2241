"""Sentences on a study that is over, where its ranking alone would mislead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from sweeper.errors import shortened
from sweeper.evaluation.amounts import amount
from sweeper.evaluation.constant import Constant
from sweeper.events import State
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import attributes_of, spec_in
from sweeper.studies.objective import LABELS, direction
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord

# What is said of a trial without a score, by the first word of its reason.
REASONS = {
    "pruner": "pruned by the pruner",
    "trial_timeout": "stopped by --trial-timeout",
    "diverged": "diverged",
    "out_of_memory": "out of memory",
    "impossible_shape": "infeasible (impossible shape)",
    "n_parameters": "infeasible (too many parameters)",
    "n_multiply_adds": "infeasible (too many multiply-adds)",
    "latency": "infeasible (too slow)",
}
# So many trials are named in a sentence; the others are counted.
MOST_NAMED = 10


def constant_of(study: optuna.Study) -> Constant | None:
    """What always saying the validation part's largest class scores.

    None in studies of older versions that did not store it, or whose scores do not compare with it.
    """
    attributes = attributes_of(study)
    stored: dict[str, Any] | None = attributes.get(lifecycle.CONSTANT)
    return None if stored is None or spec_in(study.study_name, attributes).has_old_scores else Constant(**stored)


def findings(study: optuna.Study, trials: Sequence[TrialRecord]) -> list[str]:
    """What a reader of the study's results has to know; empty for most studies.

    The study must have ended, for whatever reason.
    """
    attributes = attributes_of(study)
    spec = spec_in(study.study_name, attributes)
    return [
        *old_scores(spec),
        *_exhausted(trials, attributes, variants_only=spec.variants_only),
        *_without_score(trials),
        *_without_winner(trials, spec),
        *_equal(trials, spec.metric),
        *_constant(trials),
        *_no_better(trials, spec.metric, constant_of(study)),
    ]


def reference(metric: str, constant: Constant | None) -> str:
    """The constant predictor's score as a sentence, for beneath a table of scores; empty if it is not known."""
    if constant is None:
        return ""
    reached = f"{LABELS[metric]} {amount(metric, constant.score)}"
    return f"{in_words(metric, constant)} would reach {reached} on validation images."


def old_scores(spec: StudySpec) -> list[str]:
    """A sentence on the scores of a study by an older version, if they do not compare with what is computed now."""
    if not spec.has_old_scores:
        return []
    return [
        "An older sweeper ran this search: for a network with softmax_output, its loss is the cross-entropy of "
        "probabilities taken as logits, which does not compare with -ln p(true class), the loss of all other results."
    ]


def scores_of(spec: StudySpec) -> str:
    """What the study's scores are, for the head of a column."""
    return "loss of probabilities taken as logits" if spec.has_old_scores else LABELS[spec.metric]


def in_words(metric: str, constant: Constant) -> str:
    """What a constant predictor does, as the beginning of a sentence."""
    if metric == "loss":
        return "Predicting the class shares for every image"
    return f"Always saying {_quoted(constant.class_name)}"


def beats(metric: str, value: float, constant: Constant) -> bool:
    """Whether a value is better than a constant predictor's score, by more than the last bits of a sum."""
    gain = constant.score - value if direction(metric) == "minimize" else value - constant.score
    return gain > 1e-9


def _exhausted(trials: Sequence[TrialRecord], attributes: Mapping[str, Any], *, variants_only: bool) -> list[str]:
    done, asked = trial_records.n_counted(trials), attributes.get("trials", 0)
    if attributes.get(lifecycle.ENDED) != "" or done >= asked or variants_only:
        return []
    return [
        f"The space is exhausted after {done} of {asked} trials: the sampler found no configuration that was not tried."
    ]


def _without_score(trials: Sequence[TrialRecord]) -> list[str]:
    ended = [trial for trial in trials if trial.state in (State.PRUNED, State.FAILED) and not trial.retried]
    if not ended or any(trial.state == State.COMPLETE for trial in trials):
        return []
    reasons = Counter(
        "failed" if trial.state == State.FAILED else REASONS.get(trial.reason.partition(":")[0], "pruned")
        for trial in ended
    )
    return [f"No trial completed: {', '.join(f'{n} {reason}' for reason, n in reasons.most_common())}."]


def _without_winner(trials: Sequence[TrialRecord], spec: StudySpec) -> list[str]:
    complete = [trial for trial in trials if trial.state == State.COMPLETE]
    if not complete or any(trial.feasible for trial in complete):
        return []
    measured = [trial.milliseconds for trial in trials if trial.milliseconds is not None]
    fastest = f"; the fastest of the study takes {min(measured):.3g} ms an image" if measured else ""
    return [f"No network may win: all that completed are over a limit ({spec.limits.options()}){fastest}."]


def _equal(trials: Sequence[TrialRecord], metric: str) -> list[str]:
    ranked = trial_records.ranking(trials, metric)
    value = ranked[0].value if ranked else None
    if value is None or len(ranked) < 2 or value != ranked[-1].value:
        return []
    return [
        f"All {len(ranked)} complete trials have the same {LABELS[metric]}, {amount(metric, value)}: their "
        "ranking is arbitrary."
    ]


def _constant(trials: Sequence[TrialRecord]) -> list[str]:
    """Names the constant predictors, by the class that they say."""
    by_class: dict[tuple[str, ...], list[str]] = {}
    for trial in trials:
        if trial.state == State.COMPLETE and trial.constant:
            by_class.setdefault(trial.constant, []).append(str(trial.number))
    return [
        f"Constant predictors, which ignore the image: {_named(numbers)} always "
        f"{'say' if len(numbers) > 1 else 'says'} {' or '.join(_quoted(name) for name in classes)}."
        for classes, numbers in by_class.items()
    ]


def _named(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    left = len(numbers) - MOST_NAMED
    return f"trials {', '.join(numbers[:MOST_NAMED])}" + f" and {left} more" * (left > 0)


def _no_better(trials: Sequence[TrialRecord], metric: str, constant: Constant | None) -> list[str]:
    best = trial_records.best(trials, metric)
    if best is None or best.value is None or constant is None or beats(metric, best.value, constant):
        return []
    said = in_words(metric, constant)
    return [
        f"No configuration is better than {said[0].lower()}{said[1:]}: {LABELS[metric]} "
        f"{amount(metric, constant.score)}."
    ]


def _quoted(name: str) -> str:
    return shortened(repr(name))
