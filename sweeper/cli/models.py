"""`sweeper models`: shows the layers and sizes of a network."""

import json
from dataclasses import asdict
from math import prod
from typing import TYPE_CHECKING

import click

from sweeper.cli.completion import spaces
from sweeper.cli.options import code_option, json_option, set_option, variant_option
from sweeper.errors import UsageError, nearest, plain, shortened

if TYPE_CHECKING:
    from sweeper.models.layers import Layer, Shape

# Bytes of a value: networks hold and compute float32.
BYTES = 4


@click.group()
def models() -> None:
    """Show the layers and sizes of networks.

    \b
    Example:
      sweeper models summary --space lenet5
    """


@models.command()
@click.option("--space", "space_name", metavar="NAME|FILE", required=True, shell_complete=spaces, help="Search space.")
@variant_option
@set_option("a TOML value or a word")
@code_option
@click.option("--dataset", metavar="NAME", help="Data set of the images.  [default: the space's first]")
@json_option
def summary(space_name: str, variant: str, overrides: tuple[str, ...], dataset: str | None, as_json: bool) -> None:
    """Show the layers of a variant's network: output shapes, parameters, multiply-adds, and sizes.

    The numbers are for the forward pass of one image, auxiliary heads included. They are computed without building the
    network; a network of timm or of your own is built, but without its weights.

    \b
    Example:
      sweeper models summary --space lenet5 --set filters=[12,32,120]
    """
    from sweeper.data.known.catalog import INPUT_SHAPES
    from sweeper.models import families, layers
    from sweeper.spaces import reader

    space = reader.load(space_name, overrides)
    config = space.variant(variant).configuration.model
    if dataset is None:
        if not space.datasets:
            raise UsageError(f"{plain(space.name)} names no data sets: give one with --dataset")
        dataset = space.datasets[0]
    if dataset not in INPUT_SHAPES:
        raise UsageError(
            f"--dataset must be one of {', '.join(INPUT_SHAPES)}, got {shortened(repr(dataset))}"
            f"{nearest(dataset, INPUT_SHAPES)}"
        )
    input_shape, n_classes = INPUT_SHAPES[dataset]
    try:
        network = families.trace(config, input_shape, n_classes)
    except ValueError as error:
        raise UsageError(
            f"{error}, with images of {dataset} ({plain(space.name)}, [variants.{plain(variant)}])"
        ) from error
    totals = {"n_parameters": layers.n_parameters(network), "n_multiply_adds": layers.n_multiply_adds(network)}
    megabytes = {
        "input": _megabytes(prod(input_shape)),
        # Flattening copies nothing: its output is its input.
        "activations": _megabytes(sum(prod(layer.output_shape) for layer in network if layer.kind != "flatten")),
        "parameters": _megabytes(totals["n_parameters"]),
    }
    if as_json:
        shown = {
            "schema_version": 1,
            "space": space.name,
            "variant": variant,
            "dataset": dataset,
            "input_shape": input_shape,
            "layers": [asdict(layer) for layer in network],
            **totals,
            "megabytes": megabytes,
        }
        click.echo(json.dumps(shown))
    else:
        _print(f"{space.name} {variant}, {dataset}", input_shape, network, totals, megabytes)


def _megabytes(n_values: int) -> float:
    return n_values * BYTES / 10**6


def _print(
    title: str,
    input_shape: "Shape",
    network: "list[Layer]",
    totals: dict[str, int],
    megabytes: dict[str, float],
) -> None:
    from rich.table import Table
    from rich.text import Text

    from sweeper.cli.tables import stdout_console

    # Titles are Text, because rich would take a name such as [v1] for markup.
    table = Table(title=Text(title), title_justify="left", show_footer=True)
    table.add_column("layer", "total")
    table.add_column("kind")
    for name, footer in (
        ("output shape", ""),
        ("parameters", f"{totals['n_parameters']:,}"),
        ("multiply-adds", f"{totals['n_multiply_adds']:,}"),
    ):
        table.add_column(name, footer, justify="right")
    table.add_row("input", "", _shape(input_shape))
    for layer in network:
        table.add_row(
            layer.name,
            layer.kind,
            _shape(layer.output_shape),
            f"{layer.n_parameters:,}" if layer.n_parameters else "",
            f"{layer.n_multiply_adds:,}" if layer.n_multiply_adds else "",
        )
    stdout_console().print(table)
    click.echo("Activation functions and dropout have neither parameters nor multiply-adds and are not listed.")
    click.echo(
        "MB as float32: input {input:.3f}, activations (the outputs above) {activations:.3f}, "
        "parameters {parameters:.3f}".format(**megabytes)
    )


def _shape(shape: "Shape") -> str:
    return " x ".join(map(str, shape))
