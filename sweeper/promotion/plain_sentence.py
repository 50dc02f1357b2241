"""A promotion's outcome in one plain sentence: which configuration to use, how good it is, and whether that is sure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.errors import shortened
from sweeper.evaluation.amounts import amount, with_interval
from sweeper.evaluation.constant import Constant
from sweeper.promotion.comparisons import Comparison
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.studies.findings import beats, in_words
from sweeper.studies.objective import LABELS


def plain_sentence(outcome: PromotionOutcome) -> str:
    """The sentence, by the best evidence that there is: test set, confirm part, or else the validation part.

    Everything in it also stands in the verdict, with the statistics.
    """
    part = _part(outcome)
    where = {
        "test": "on the test set",
        "confirm": "on the confirm images",
        "validation": "on the validation images that also chose it",
    }[part]
    if part == "test" and outcome.evaluations[0] > 1:
        where += f" (tested {outcome.evaluations[0]} times by this study)"
    said = _nothing_learnt(outcome, part, where) or _compared(outcome, part, where)
    return "; ".join([said, *_asides(outcome, part)]) + "."


def is_undecided(outcome: PromotionOutcome) -> bool:
    """Whether the sentence leaves open if the champion is better than the baseline, and more seeds may tell.

    They tell nothing of the two networks of a test, but of their configurations on the confirm images.
    """
    part = _part(outcome)
    of_seeds = "validation" if _confirm(outcome, outcome.entrants[0]) is None else "confirm"
    compared = [_comparison(outcome.comparisons, one, "baseline") for one in {part, of_seeds}]
    undecided = all(one is not None and not one.decided for one in compared)
    return undecided and not _nothing_learnt(outcome, part, "")


def _part(outcome: PromotionOutcome) -> str:
    """The part of the data that is the best evidence that there is."""
    champion = outcome.entrants[0]
    return "test" if champion.test is not None else "validation" if _confirm(outcome, champion) is None else "confirm"


@dataclass(frozen=True)
class _Score:
    """A value on one part of the data, with its interval if it has one."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        of = "" if self.metric == "accuracy" else f"{LABELS[self.metric]} "
        return of + with_interval(self.metric, self.value, self.low, self.high, 1)


def _confirm(outcome: PromotionOutcome, entrant: Entrant) -> float | None:
    return entrant.confirm[outcome.metric]


def _score(outcome: PromotionOutcome, entrant: Entrant, part: str) -> _Score | None:
    """An entrant's value on the part; None if it has none there."""
    metric = outcome.metric
    match part:
        case "test" if entrant.test is None:
            return None
        case "test":
            assert entrant.test is not None
            if metric == "accuracy" or metric not in entrant.test:  # an older sweeper tested in accuracy
                return _Score("accuracy", entrant.test["accuracy"], entrant.test["low"], entrant.test["high"])
            return _Score(metric, entrant.test[metric], entrant.test["metric_low"], entrant.test["metric_high"])
        case "confirm":
            value = _confirm(outcome, entrant)
            return None if value is None else _Score(metric, value, entrant.confirm["low"], entrant.confirm["high"])
        case _:
            return _Score(metric, entrant.validation["mean"])


def _nothing_learnt(outcome: PromotionOutcome, part: str, where: str) -> str:
    """What to say of a champion that is no better than one that never looks at the image; empty if it is better."""
    champion, score = outcome.entrants[0], _score(outcome, outcome.entrants[0], part)
    assert score is not None
    classes, constant = champion.constant, outcome.constants.get(part)
    if champion.test is not None:
        only, stored = champion.test.get("only_class"), champion.test.get("constant")  # older tests lack both
        classes = [] if only is None else [only]
        constant = None if stored is None else Constant(**stored)
    if classes:
        said = " or ".join(shortened(repr(name)) for name in classes)
        return f"Do not use {_name(champion)}: it says {said} of every image"
    if constant is None or beats(score.metric, score.value, constant):
        return ""
    does = in_words(score.metric, constant)
    reached = amount(score.metric, constant.score, 1)
    return f"Do not use {_name(champion)}: {score} {where}, no better than {does[0].lower()}{does[1:]} ({reached})"


def _compared(outcome: PromotionOutcome, part: str, where: str) -> str:
    champion = outcome.entrants[0]
    name, score = _name(champion), _score(outcome, champion, part)
    if champion.is_baseline:
        alone = "no other finalist has a result" if outcome.dropped else "it was the only finalist"
        why = alone if len(outcome.entrants) == 1 else "no other finalist was clearly better with fresh seeds"
        return f"Keep {name}: {score} {where}; {why}"
    compared = _comparison(outcome.comparisons, part, "baseline")
    if compared is None:
        return f"Use {name}: {score} {where}, where it was not compared with the baseline"
    if compared.decided:
        does, how = ("Use", "better") if compared.champion_leads else ("Do not use", "worse")
        others = "the baseline" + _also_beaten(outcome, part) * compared.champion_leads
        return f"{does} {name}: {score} {where}, {how} than {others}{_elsewhere(outcome, compared)}"
    baseline = next((_score(outcome, entrant, part) for entrant in outcome.entrants if entrant.is_baseline), None)
    against = "" if baseline is None else f" against {baseline}"
    return (
        f"Undecided between {name} and the baseline: {score}{against} {where}; the difference may be chance"
        f"{_elsewhere(outcome, compared)}"
    )


def _also_beaten(outcome: PromotionOutcome, part: str) -> str:
    """The challenger, if the champion is better than it on the part, as words to follow; empty if not."""
    challenger = _comparison(outcome.comparisons, part, "challenger")
    if challenger is None or _decision(challenger) != "better":
        return ""
    return f" and the challenger (trial {challenger.trials[1]})"


def _elsewhere(outcome: PromotionOutcome, tested: Comparison) -> str:
    """What the confirm images say of the baseline, if they do not say the same as the test set."""
    confirm = _comparison(outcome.comparisons, "confirm", "baseline")
    if tested.part != "test" or confirm is None or _decision(confirm) == _decision(tested):
        return ""
    return f", but {_decision(confirm)} with other seeds on the confirm images"


def _decision(comparison: Comparison) -> str:
    return ("better" if comparison.champion_leads else "worse") if comparison.decided else "undecided"


def _asides(outcome: PromotionOutcome, part: str) -> list[str]:
    """What else a reader must know before the champion is used."""
    champion, said = outcome.entrants[0], []
    challenger = _comparison(outcome.comparisons, part, "challenger")
    if challenger is not None and _decision(challenger) == "worse":
        said.append(f"the challenger, trial {challenger.trials[1]}, is better there")
    left = sorted(set(outcome.selected) - {entrant.trial for entrant in outcome.entrants})
    if left and len(outcome.entrants) > 1:
        said.append(f"{', '.join(f'trial {n}' for n in left)} {'has' if len(left) == 1 else 'have'} no result")
    if outcome.registered_champion not in (None, champion.version):
        said.append(f"the registered champion is version {outcome.registered_champion}")
    return said


def _comparison(comparisons: Sequence[Comparison], part: str, other: str) -> Comparison | None:
    return next((one for one in comparisons if one.part == part and one.other == other), None)


def _name(entrant: Entrant) -> str:
    return f"the baseline, trial {entrant.trial}" if entrant.is_baseline else f"trial {entrant.trial}"
