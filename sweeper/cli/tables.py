"""Tables of trials, variants, finalists, test metrics and test evaluations, for people."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sweeper.display.console import PlainConsole, output_width
from sweeper.evaluation.amounts import amount, confusion, is_share, number, scale
from sweeper.quantities import counted
from sweeper.studies import trial_records
from sweeper.studies.objective import LABELS, METRICS
from sweeper.studies.trial_list import from_baseline
from sweeper.studies.trial_records import TrialRecord

if TYPE_CHECKING:
    from sweeper.promotion.outcome import PromotionOutcome
    from sweeper.runs.variant_result import VariantResult
    from sweeper.studies.frontier import Frontier
    from sweeper.tracking.ledger import TestEvaluation

# The width of lines in a file, where no terminal gives one.
FILE_WIDTH = 160


def stdout_console() -> Console:
    """A console for results; a file or pipe gives it no width, unless COLUMNS does."""
    return PlainConsole(sys.stdout, width=output_width() or FILE_WIDTH)


def ranking_table(trials: Sequence[TrialRecord], metric: str, top: int = 10, reference: str = "") -> Table:
    """The best complete trials, and the baseline wherever it ranks; `reference` is a sentence beneath them."""
    ranked, differences = trial_records.ranking(trials, metric), from_baseline(trials)
    several = any(f"{METRICS[metric]}_sd" in trial.metrics for trial in ranked)
    spread = ", mean +- standard deviation over folds and repeats" * several
    title = f"Ranking by the last epoch's validation {LABELS[metric]}, in {scale(metric)}" + spread
    table = Table(title=title, title_justify="left", caption=reference or None, caption_justify="left")
    for name in ("rank", "trial", LABELS[metric], f"best {LABELS[metric]}\n(epoch)", "parameters"):
        table.add_column(name, justify="right" if name != "trial" else "left", no_wrap=True)
    table.add_column("differs from the baseline in", ratio=1)
    for rank, trial in enumerate(ranked, start=1):
        if rank > top and trial.variant != "baseline":
            continue
        best_value = trial.metrics.get(f"best_{METRICS[metric]}")
        table.add_row(
            str(rank) if trial.feasible else f"{rank} (cannot win)",
            _label(trial),
            score(trial, metric) + " (constant)" * bool(trial.constant),
            "" if best_value is None else f"{number(metric, best_value)} ({trial.metrics['best_epoch']})",
            f"{trial.n_parameters:,}",
            differences[trial.number],
        )
    return table


def frontier_table(found: "Frontier") -> Table:
    """The networks of a Pareto front, the cheapest first, with the costs that are known."""
    table = Table()
    table.add_column("trial", overflow="fold")
    columns = [LABELS[found.metric], "parameters", "multiply-adds", "ms an image"]
    rows = [
        [
            amount(found.metric, point.value),
            f"{point.n_parameters:,}",
            None if point.n_multiply_adds is None else f"{point.n_multiply_adds:,}",
            None if point.milliseconds is None else f"{point.milliseconds:.3f}",
        ]
        for point in found.front
    ]
    known = [index for index in range(len(columns)) if any(row[index] is not None for row in rows)]
    for index in known:
        table.add_column(columns[index], justify="right", overflow="fold")
    for point, row in zip(found.front, rows, strict=True):
        table.add_row(point.name, *(row[index] for index in known))
    return table


def variants_table(
    found: "Sequence[VariantResult]",
    title: str = "Variants by the last epoch's validation accuracy",
    reference: str = "",
) -> Table:
    """The named variants by validation accuracy, beside the reported metrics; `reference` is a sentence beneath them.

    Accuracies are in percent, differences in points, losses in nats. Epochs are shown if they differ.
    """
    n_trainings, differing = found[0].n_trainings, len({result.epochs for result in found}) > 1
    spread = f": means of {n_trainings} trainings, +- one standard deviation" if n_trainings > 1 else ""
    has_softmax = any("validation_softmax_loss" in result.metrics for result in found)
    in_brackets = "; in brackets the loss of probabilities taken as logits" * has_softmax
    table = Table(
        title=f"{title}{spread}{in_brackets}",
        title_justify="left",
        caption=reference or None,
        caption_justify="left",
    )
    # With these minimum widths, lines break only at spaces, and the table fits 80 columns.
    table.add_column("variant", min_width=8, overflow="fold")
    for name, width in (
        ("validation\naccuracy %\nloss", 10), ("train\naccuracy %\nloss", 10), ("points\nagainst\nbaseline", 8),
        ("parameters\nmult-adds\nseconds", 10), ("reported\naccuracy %\nloss", 10),
    ):  # fmt: skip
        table.add_column(name, justify="right", min_width=width)
    for result in found:
        # Metrics of another split do not belong beside these.
        reported = [entry for entry in result.reported if entry["split"] == "validation"]
        table.add_row(
            result.variant + f"\n{counted(result.epochs, 'epoch')}" * differing,
            _accuracy_and_loss(result.metrics, "validation"),
            _accuracy_and_loss(result.metrics, "train"),
            "" if result.difference is None else f"{100 * result.difference:+.2f}",
            f"{result.n_parameters:,}\n{result.n_multiply_adds:,}\n{result.seconds:,.0f} s",
            "\n".join(_reported(entry) for entry in reported),
        )
    return table


def _accuracy_and_loss(metrics: Mapping[str, float], part: str) -> str:
    """Accuracy and loss of a part, with their standard deviations if there are several trainings."""
    lines = []
    for name, factor, digits in ((f"{part}_accuracy", 100, 2), (f"{part}_loss", 1, 4)):
        if math.isnan(metrics[name]):  # trained on all images
            return "none"
        sd = metrics.get(f"{name}_sd")
        lines.append(f"{factor * metrics[name]:.{digits}f}" + ("" if sd is None else f" +- {factor * sd:.{digits}f}"))
    if f"{part}_softmax_loss" in metrics:
        lines.append(f"({metrics[f'{part}_softmax_loss']:.4f})")
    return "\n".join(lines)


def _reported(entry: Mapping[str, Any]) -> str:
    """The reported accuracy above the reported loss, as far as they are known."""
    lines = [f"{100 * entry['accuracy']:.2f}"] if "accuracy" in entry else []
    lines += [f"best {100 * entry['best_accuracy']:.2f}"] if "best_accuracy" in entry else []
    return "\n".join(lines + ([f"{entry['loss']:.4f}"] if "loss" in entry else []))


def finalists_table(outcome: "PromotionOutcome") -> Table:
    """The finalists in final order, in the study's metric."""
    metric, label = outcome.metric, LABELS[outcome.metric]
    caption = ", ".join(
        f"{amount(metric, constant.score)} on {part} images ({constant.class_name})"
        for part, constant in outcome.constants.items()
    )
    several = any(entrant.validation["sd"] is not None for entrant in outcome.entrants)
    explained = f"Validation {label}: mean{' +- standard deviation' * several} (number of fresh seeds)"
    if any(entrant.confirm["low"] is not None for entrant in outcome.entrants):
        explained += f"\nConfirm {label}: mean [95 % interval]"
    does = "Always saying the largest class" if is_share(metric) else "Predicting the class shares for every image"
    table = Table(
        title=f"{outcome.model_name}: finalists, {label} in {scale(metric)}",
        title_justify="left",
        caption=f"{explained}\n{does}: {label} {caption}" if caption else explained,
        caption_justify="left",
    )
    # With these minimum widths, lines break only at spaces, and the table fits a terminal of 80 columns.
    table.add_column("version", min_width=len("challenger"))
    table.add_column("trial", min_width=len("baseline"))
    for name in ("parameters", f"search {outcome.search_scores}", f"validation {label}", f"confirm {label}"):
        table.add_column(name, justify="right", min_width=max(8, *(len(word) for word in name.split())))
    for entrant in outcome.entrants:
        validation, confirm = entrant.validation, entrant.confirm
        table.add_row(
            f"{entrant.version} {entrant.alias or ''}",
            f"{entrant.trial} baseline" if entrant.is_baseline else str(entrant.trial),
            f"{entrant.n_parameters:,}",
            "" if entrant.search_score is None else number(metric, entrant.search_score),
            number(metric, validation["mean"])
            + ("" if validation["sd"] is None else f" +- {number(metric, validation['sd'])}")
            + f" ({validation['n_seeds']})",
            amounts(confirm[metric], metric, confirm["low"], confirm["high"]),
        )
    return table


def tested_table(outcome: "PromotionOutcome") -> Table:
    """The test metrics, a column for each network."""
    by_study, by_store = outcome.evaluations
    table = Table(
        "",
        title=f"Test set (test evaluations: {by_study} by this study, {by_store} in this store)",
        title_justify="left",
        caption="In percent; the loss in nats",
        caption_justify="left",
    )
    found = [(entrant.name, entrant.test) for entrant in outcome.entrants if entrant.test is not None]
    for name, _ in found:
        table.add_column(name, justify="right")
    rows = [
        ("accuracy", "accuracy"), ("loss", "loss"), ("balanced accuracy", "balanced_accuracy"),
        ("macro precision", "macro_precision"), ("macro recall", "macro_recall"), ("macro F1", "macro_f1"),
        ("precision at p > 0.5", "thresholded_precision"), ("recall at p > 0.5", "thresholded_recall"),
    ]  # fmt: skip
    rows.sort(key=lambda row: row[1] != outcome.metric)  # the study's metric comes first
    for label, metric in rows:
        if any(metric in tested for _, tested in found):  # tests of older versions lack the balanced accuracy
            table.add_row(label, *(_tested(tested, metric) for _, tested in found))
    return table


def confusions(outcome: "PromotionOutcome") -> list[str]:
    """The largest confusions of each tested network, in words."""
    lines = []
    for entrant in outcome.entrants:
        if entrant.test is not None:
            largest = (confusion(*one) for one in entrant.test["confusions"])
            lines.append(f"{entrant.name}: {', '.join(largest) or 'no confusions'}")
    return lines


def test_evaluations_table(evaluations: "Sequence[TestEvaluation]") -> Table:
    """Every test evaluation, with the counts so far on the same data: by the study, and by all studies of the store."""
    from sweeper.tracking.ledger import count

    table = Table()
    for name in ("time (UTC)", "study", "data", "test\nevaluation", "of store", "state", "models"):
        table.add_column(name, overflow="fold")
    for place, evaluation in enumerate(evaluations, start=1):
        by_study, by_store = count(evaluations[:place], evaluation.study_id, evaluation.test_sha256)
        table.add_row(
            evaluation.time[:19].replace("T", " "),
            evaluation.study,
            f"{evaluation.dataset} {evaluation.test_sha256[:12]}",
            str(by_study),
            str(by_store),
            ("complete" if evaluation.complete else "begun") + _whereabouts(evaluation),
            ", ".join(f"{role} {model}" for role, model in evaluation.models.items()),
        )
    return table


def _whereabouts(evaluation: "TestEvaluation") -> str:
    if not evaluation.in_mlflow:
        return ", not in MLflow"
    return ", deleted" if evaluation.deleted else ""


def _tested(tested: Mapping[str, Any], metric: str) -> str:
    """A test metric of a network, with its bounds if it has any."""
    low = high = None
    if metric == "accuracy":
        low, high = tested["low"], tested["high"]
    elif metric == tested.get("metric"):
        low, high = tested["metric_low"], tested["metric_high"]
    return amounts(tested.get(metric), metric, low, high)


def amounts(value: float | None, metric: str, low: float | None = None, high: float | None = None) -> str:
    """A metric with its bounds, as far as they are known, without its unit."""
    if value is None:
        return ""
    text = number(metric, value)
    if low is None or high is None:
        return text
    return f"{text} [{number(metric, low)}, {number(metric, high)}]"


def score(trial: TrialRecord, metric: str) -> str:
    """The score without its unit, with its standard deviation over folds and repeats if there are any."""
    sd = trial.metrics.get(f"{METRICS[metric]}_sd")
    assert trial.value is not None
    return number(metric, trial.value) + ("" if sd is None or math.isnan(sd) else f" +- {number(metric, sd)}")


def _label(trial: TrialRecord) -> str:
    started = f" from {trial.warm_start}" if trial.warm_start else ""
    return (f"{trial.number} {trial.variant}" if trial.variant else str(trial.number)) + started
