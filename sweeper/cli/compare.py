"""`sweeper compare`: shows studies side by side."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.notes import by_state, note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.errors import UsageError
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.promotion.study_comparison import ComparedStudy, StudyComparison


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY STUDY...")
@store_options
@json_option
def compare(studies: tuple[str, ...], store: StoreOptions, as_json: bool) -> None:
    """Show studies side by side: best trials, confirm estimates if they were promoted, and spaces.

    It says whether the numbers can be compared: they cannot if data, reading of the images, metric or split differ.

    \b
    Example:
      sweeper compare fashion_mnist-lenet5 fashion_mnist-around
    """
    if len(studies) < 2:
        raise UsageError("name at least two studies to compare; `sweeper studies` lists them")
    from sweeper.promotion.study_comparison import compare as side_by_side

    found = side_by_side(resolve_store(store), studies, note)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    _print(found)


def _print(found: "StudyComparison") -> None:
    from rich.table import Table
    from rich.text import Text

    from sweeper.cli.tables import stdout_console

    console = stdout_console()
    # Cells are Text, because rich would take a name such as [v1] for markup.
    results = Table(title="Results", title_justify="left")
    searched = Table(title="Spaces", title_justify="left")
    for table in (results, searched):
        table.add_column("", overflow="fold")
        for study in found.studies:
            table.add_column(Text(study.name), overflow="fold")
    rows = [_results(study) for study in found.studies]
    for name in rows[0]:
        results.add_row(name, *(Text(row[name]) for row in rows))
    spaces = [study.spec.space for study in found.studies]
    names = [name for space in spaces for table in ("parameters", "fixed") for name in space.get(table, {})]
    for name in dict.fromkeys(names):
        searched.add_row(Text(name), *(Text(_setting(space, name)) for space in spaces))
    console.print(results)
    console.print(searched)
    for sentence in found.sentences:
        click.echo(sentence)


def _results(study: "ComparedStudy") -> dict[str, str]:
    from sweeper.evaluation.amounts import amount, with_interval
    from sweeper.studies.objective import LABELS

    spec, best, champion, metric = study.spec, study.best, study.champion, study.spec.metric
    protocol = spec.protocol
    times = f"{protocol.folds} folds" * bool(protocol.folds) + f" {protocol.repeats} repeats" * (protocol.repeats > 1)
    found = {
        "data": f"{spec.dataset} {spec.data_sha256[:12]}",
        "split": spec.split_sha256[:12],
        "metric": LABELS[metric],
        "trials": by_state(study.n_trials, is_searched=study.is_searched),
        "epochs": f"{protocol.epochs} {times}".strip(),
        "best trial": "none has finished",
        "score (validation)": "",
        "parameters": "",
        "always one class": "" if study.constant is None else amount(metric, study.constant.score),
        "champion": "not promoted",
        "estimate (confirm)": "",
    }
    if best is not None and best.value is not None:
        size = "" if best.n_parameters is None else f"{best.n_parameters:,}"
        found |= {"best trial": best.name, "score (validation)": amount(metric, best.value), "parameters": size}
    if champion is not None and study.promotion is not None:
        confirm = champion.confirm
        found["champion"] = f"trial {champion.trial}, {study.promotion.model_name} version {champion.version}"
        found["estimate (confirm)"] = with_interval(metric, confirm[metric], confirm["low"], confirm["high"])
    return found


def _setting(space: Mapping[str, Any], name: str) -> str:
    """What the study searches or fixes of a field; empty if its space says nothing of it."""
    from sweeper.cli.spaces import values_of

    if definition := space.get("parameters", {}).get(name):
        return values_of(definition)
    return json.dumps(space["fixed"][name]) if name in space.get("fixed", {}) else ""
