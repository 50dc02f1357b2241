"""One trial as text for people: what it is, what it scored and cost, and what it has kept."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeper.config import shortly
from sweeper.evaluation.amounts import amount
from sweeper.store.shown import shown
from sweeper.studies.objective import LABELS, METRICS

if TYPE_CHECKING:
    from sweeper.runs.trial_details import TrialDetails


def detail_lines(details: "TrialDetails", width: int | None) -> Iterator[str]:
    """The lines of `sweeper trials --trial N`, wrapped to the width if there is one."""
    record, spec, metric = details.record, details.spec, details.spec.metric
    yield f"{details.study_name}: {shown(record.name)}, {record.outcome}"
    facts = {
        "reason": shown(record.reason),
        "result of": "" if details.duplicate_of is None else f"trial {details.duplicate_of}, which it repeats",
        "warm start": record.warm_start or "",
        LABELS[metric]: _score(details),
        "always says": " or ".join(map(shown, record.constant)),
        "parameters": "" if record.n_parameters is None else f"{record.n_parameters:,}",
        "multiply-adds": "" if details.n_multiply_adds is None else f"{details.n_multiply_adds:,} an image",
        "latency": "" if record.milliseconds is None else f"{record.milliseconds:.3f} ms an image",
        "epochs": f"{record.epochs} of {spec.n_epochs(record.variant) * len(spec.trainings)}",
        "time": _time(details),
        "device": f"{spec.device}, threads {spec.threads}, {spec.layout}",
        "seed": str(record.seed),
        "MLflow run": record.run_id or "none",
    }
    yield from _table({name: text for name, text in facts.items() if text}, width)
    yield from _section("Differs from the baseline in", _differences(details), width)
    step = "epoch" if len(spec.trainings) == 1 else "training (mean of those so far)"
    scores = {str(number): amount(metric, value) for number, value in record.values.items()}
    yield from _section(f"{LABELS[metric].capitalize()} by {step}", scores, width)
    if len(spec.trainings) > 1:
        trainings = {}
        for run in details.trainings:
            value = details.score_of(run)
            score = "" if value is None else f", {amount(metric, value)}"
            trainings[run.training] = f"{run.state}{score}, seed {run.seed}, run {run.run_id}"
        yield from _section("Trainings", trainings, width)
    metrics = {name: f"{value:.6g}" for name, value in sorted(record.metrics.items()) if name != "epoch"}
    yield from _section("Metrics of the last epoch", metrics, width)
    configuration = {name: shown(_whole(value)) for name, value in details.configuration.items() if value is not None}
    yield from _section("Configuration", configuration, width)
    yield ""
    if details.not_read:
        yield f"Weights and artifacts are not known: {shown(details.not_read)}"
        return
    kept = [run.training or "its own run" for run in details.runs if run.has_weights]
    yield f"Weights: {'kept, ' + ', '.join(kept) if kept else 'not kept'}"
    for run in details.runs:
        of = f" of {run.training}" if run.training else ""
        yield from _wrapped(f"Artifacts{of}: {', '.join(map(shown, run.artifacts)) or 'none'}", width)


def _score(details: "TrialDetails") -> str:
    record, metric = details.record, details.spec.metric
    if record.value is None:
        return ""
    sd = record.metrics.get(f"{METRICS[metric]}_sd", math.nan)
    spread = "" if math.isnan(sd) else f" +- {amount(metric, sd)}"
    rank = "" if details.rank is None else f", rank {details.rank} of {details.n_ranked}"
    last = "" if details.rank is None else " of the last epoch"
    return f"{amount(metric, record.value)}{spread}{last} on validation images{rank}"


def _time(details: "TrialDetails") -> str:
    if details.started is None:
        return ""
    begun = f"{details.started:%Y-%m-%d %H:%M:%S}"
    end = "" if details.ended is None else f" to {details.ended:%Y-%m-%d %H:%M:%S}"
    seconds = f", {details.record.seconds:.0f} s" if details.record.seconds else ""
    return f"{begun}{end}{seconds}"


def _differences(details: "TrialDetails") -> dict[str, str]:
    usual = details.usual
    return {
        name: shown(shortly(value)) + (f" (baseline {shown(shortly(usual[name]))})" if name in usual else "")
        for name, value in details.differences.items()
    }


def _whole(value: Any) -> str:
    """A field's value in full precision."""
    return value if isinstance(value, str) else json.dumps(value)


def _section(title: str, rows: Mapping[str, Any], width: int | None) -> Iterator[str]:
    """A heading with its rows; nothing without rows."""
    if rows:
        yield ""
        yield title
        yield from _table(rows, width)


def _table(rows: Mapping[str, str], width: int | None) -> Iterator[str]:
    longest = max(map(len, rows))
    for name, text in rows.items():
        yield from _wrapped(f"  {name:{longest}}  {text}", width, " " * (longest + 4))


def _wrapped(line: str, width: int | None, indent: str = "  ") -> list[str]:
    if width is None:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [line]
