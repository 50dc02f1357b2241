"""The parts of section 1 on the finalists: how the champion was chosen, their scores, and which of them to quote."""

from collections.abc import Mapping
from typing import Any

from sweeper.evaluation.amounts import with_interval
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.quantities import counted
from sweeper.report.blocks import Block, Heading, Table
from sweeper.report.wording import count, score
from sweeper.studies.objective import LABELS

# Of entrants by trial: how long their networks take for an image, in milliseconds.
Latencies = Mapping[int, float | None]


def finalists(outcome: PromotionOutcome, latencies: Latencies) -> list[Block]:
    """How the champion was chosen, and the table of all finalists."""
    return [Heading("The finalists", f"{_chosen(outcome)} {_compared(outcome)}"), _table(outcome, latencies)]


def _chosen(outcome: PromotionOutcome) -> str:
    """By what the champion was chosen."""
    champion, metric = outcome.entrants[0], outcome.metric
    n_seeds, best = champion.validation["n_seeds"], "lowest" if metric == "loss" else "highest"
    seeds = f"{n_seeds} fresh seeds for the order and {n_seeds} others for the estimate"
    if n_seeds == 1:
        seeds = "one fresh seed for the order and another for the estimate"
    if len(outcome.entrants) == 1:
        return "The champion is the only finalist: there was nothing to choose."
    prefer = {"small": "fewest parameters", "fast": "fewest multiply-adds"}.get(outcome.options.get("prefer", ""))
    if prefer is not None:
        return (
            f"Each finalist was trained again with {seeds}. Of those whose validation {LABELS[metric]} was not told "
            f"apart from the {best}, the one with the {prefer} is the champion."
        )
    mean, trainings = ("", "training") if n_seeds == 1 else ("mean ", "trainings")
    return (
        f"Each finalist was trained again with {seeds}: the champion has the {best} {mean}validation {LABELS[metric]} "
        f"of the {trainings} for the order."
    )


def _compared(outcome: PromotionOutcome) -> str:
    """Which scores of the finalists to compare."""
    within = "Compare scores only within a column, because the images of the parts differ in difficulty"
    if is_confirmed(outcome.entrants[0]):
        return (
            f"{within}: best in the confirm column, which has other seeds, on images that chose nothing. In the "
            "columns of search and validation scores, those who were chosen by them were lucky, too."
        )
    return (
        f"{within}. The study has no confirm part: compare the validation column, whose scores are of fresh seeds, but "
        "on images that the search has used."
    )


def is_confirmed(entrant: Entrant) -> bool:
    """Whether there is an estimate on confirm images."""
    return any(value is not None for value in entrant.confirm.values())


def test_bounds(metric: str, tested: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The interval of a tested network's value in the study's metric."""
    names = ("low", "high") if metric == "accuracy" else ("metric_low", "metric_high")
    low, high = (tested.get(name) for name in names)
    return low, high


def _table(outcome: PromotionOutcome, latencies: Latencies) -> Table:
    metric, rows = outcome.metric, []
    has_tests, has_confirm = any(e.test for e in outcome.entrants), any(map(is_confirmed, outcome.entrants))
    is_timed = any(latencies.get(entrant.trial) is not None for entrant in outcome.entrants)
    for entrant in outcome.entrants:
        confirm, validation, tested = entrant.confirm, entrant.validation, entrant.test or {}
        spread = "" if validation["sd"] is None else f" ± {score(metric, validation['sd']).removesuffix(' %')}"
        milliseconds = latencies.get(entrant.trial)
        cells = [
            (True, entrant.name if entrant.alias or not entrant.is_baseline else "baseline"),
            (True, str(entrant.trial)),
            (has_confirm, with_interval(metric, confirm[metric], confirm["low"], confirm["high"], 1)),
            (has_tests, with_interval(metric, tested.get(metric), *test_bounds(metric, tested))),
            (True, score(metric, validation["mean"]) + f"{spread} ({validation['n_seeds']})"),
            (True, score(metric, entrant.search_score)),
            (True, count(entrant.n_parameters)),
            (True, count(entrant.n_multiply_adds)),
            (is_timed, "" if milliseconds is None else f"{milliseconds:.2f}"),
        ]
        rows.append([text for is_shown, text in cells if is_shown])
    columns = ["role", "trial", *["confirm"] * has_confirm, *["test"] * has_tests]
    columns += ["validation: mean ± sd (fresh seeds)", f"search {outcome.search_scores}", "parameters", "multiply-adds"]
    columns += ["milliseconds"] * is_timed
    return Table(f"{LABELS[metric].capitalize()} and size of the finalists", columns, rows, range(2, len(columns)))


def to_quote(outcome: PromotionOutcome, parts: Mapping[str, int]) -> list[Block]:
    """Which number says what, with the images and seeds of each; `parts` are the numbers of the study's images."""
    metric, champion = outcome.metric, outcome.entrants[0]
    confirm, n_seeds, rows = champion.confirm, champion.validation["n_seeds"], []
    if champion.test and metric in champion.test:
        value = with_interval(metric, champion.test[metric], *test_bounds(metric, champion.test))
        pool = f"all {count(sum(parts.values()))} images" if parts else "all images"
        trained = f"once, on {pool} of the study (refitted)"
        images = counted(champion.test["n"], "test image")
        rows.append(["this network, version " + champion.version, value, images, trained])
    if estimate := with_interval(metric, confirm[metric], confirm["low"], confirm["high"], 1):
        images = f"{count(parts.get('confirm'))} confirm images".strip()
        rows.append(["its configuration, trained anew", estimate, images, _trained(n_seeds, parts)])
    validated = score(metric, champion.validation["mean"])
    images = f"{count(parts.get('validation'))} validation images, which chose the champion".strip()
    rows.append(["only how the champion was chosen", validated, images, _trained(n_seeds, parts)])
    columns = ["of what", LABELS[metric], "measured on", "trained"]
    return [
        Heading("Which number to quote", "The test for this network, confirm images for its configuration."),
        Table(f"The champion's {LABELS[metric]}, for each question", columns, rows),
    ]


def _trained(n_seeds: int, parts: Mapping[str, int]) -> str:
    seeds = "with one seed" if n_seeds == 1 else f"{n_seeds} times, each with another seed"
    images = f"{count(parts['train'])} images" if "train" in parts else "the train part"
    return f"{seeds}, on {images}"
