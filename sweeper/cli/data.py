"""`sweeper data`: fetch a data set, and show what it holds."""

import json
from pathlib import Path
from typing import Any

import click

from sweeper.cli.options import json_option, note, place_options


@click.group()
def data() -> None:
    """Fetch data sets, and show what they hold.

    \b
    Example:
      sweeper data info fashion_mnist
    """


@data.command()
@click.argument("name")
@place_options
def fetch(name: str, data_dir: Path | None, offline: bool) -> None:
    """Make the data set NAME available on this machine and check its files.

    Nothing is downloaded if it is here already. With --data-dir, what is missing in that
    folder is added to it.

    \b
    Example:
      sweeper data fetch fashion_mnist
    """
    from sweeper.data import catalog, sources

    paths = sources.fetch(catalog.get(name), data_dir=data_dir, offline=offline, notify=note)
    click.echo(f"{name} is ready:")
    for path in paths:
        click.echo(f"  {path}")


@data.command()
@click.argument("name")
@place_options
@json_option
def info(name: str, data_dir: Path | None, offline: bool, as_json: bool) -> None:
    """Show the counts, shape, class balance, pixel statistics and hashes of the data set NAME.

    \b
    Example:
      sweeper data info fashion_mnist --json
    """
    from sweeper.data.pool import load_training_pool
    from sweeper.data.summary import part_summary, summarise
    from sweeper.data.test_set import find_test_set

    summary = summarise(load_training_pool(name, data_dir=data_dir, offline=offline, notify=note))
    test = find_test_set(name, data_dir=data_dir, notify=note)
    if test is not None:
        summary["test"] = part_summary(test.labels, test.classes, test.sha256, test.source)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **summary}, indent=2))
    else:
        click.echo("\n".join(_table(summary)))


def _table(summary: dict[str, Any]) -> list[str]:
    """The lines that show a summary to a person."""
    training, test = summary["training"], summary["test"]
    shape = " x ".join(str(size) for size in summary["input_shape"])
    rows = [
        ("shape", f"{shape}, {len(summary['classes'])} classes"),
        ("mean", _decimals(summary["mean"]) + "  (training images, pixels in [0, 1])"),
        ("std", _decimals(summary["std"])),
    ]
    for title, part in (("training", training), ("test", test)):
        if part is None:
            rows.append((title, "absent"))
        else:
            rows.append((title, f"{part['images']:,} images"))
            rows += [("", part["source"]), ("", f"SHA-256 {part['sha256']}")]
    lines = [summary["name"], *(f"  {title:<9} {text}" for title, text in rows), ""]
    width = max(len(name) for name in summary["classes"])
    lines.append(f"  {'class':<{width}}  {'training':>9}  {'test':>9}")
    for name in summary["classes"]:
        counts = [f"{part['class_counts'][name]:,}" if part else "-" for part in (training, test)]
        lines.append(f"  {name:<{width}}  {counts[0]:>9}  {counts[1]:>9}")
    return lines


def _decimals(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
