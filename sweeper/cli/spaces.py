"""`sweeper spaces`: lists, shows, checks, exports and narrows search spaces."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.options import code_option, json_option, resolve_store, store_options
from sweeper.config import MODEL_FAMILIES
from sweeper.errors import SweeperError, UsageError, plain, refuse
from sweeper.evaluation.amounts import amount
from sweeper.images.options import DataOptions
from sweeper.quantities import counted
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.spaces.space import Space, Variant


@click.group()
def spaces() -> None:
    """List, show, check, export and narrow search spaces.

    \b
    Example:
      sweeper spaces list
    """


@spaces.command("list")
@json_option
def list_spaces(as_json: bool) -> None:
    """List the spaces that ship with sweeper.

    \b
    Example:
      sweeper spaces list
    """
    from sweeper.spaces import reader

    found = [reader.load(name) for name in reader.names()]
    if as_json:
        entries = [{"name": s.name, "title": s.title, "datasets": list(s.datasets)} for s in found]
        click.echo(json.dumps({"schema_version": 1, "spaces": entries}))
        return
    for space in found:
        click.echo(f"{space.name}  {space.title} ({', '.join(space.datasets) or 'any images'})")


@spaces.command()
@click.argument("name")
@code_option
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a space, by name or file: its protocol, parameters, and variants with their reported metrics.

    \b
    Example:
      sweeper spaces show lenet5
    """
    from sweeper.spaces import reader

    space = reader.load(name)
    if as_json:
        click.echo(json.dumps(_as_json(space)))
    else:
        _print(space)


@spaces.command()
@click.argument("file")
@code_option
def check(file: str) -> None:
    """Check a space file. If it has a mistake, the first one is named and the exit code is 2.

    \b
    Example:
      sweeper spaces check my_space.toml
    """
    from sweeper.models import families
    from sweeper.spaces import reader

    space = reader.load(file)
    for name in space.model_names:
        try:
            families.check_name(name)
        except ValueError as error:
            refuse(str(error), plain(file))
    found = f"{counted(len(space.parameters), 'parameter')}, {counted(len(space.variants), 'variant')}"
    click.echo(f"{plain(file)}: {found}, no mistakes")


@spaces.command()
@click.argument("trial", metavar="STUDY:TRIAL")
@store_options
def export(trial: str, store: StoreOptions) -> None:
    """Print a trial of a study as a space file: its configuration alone, with the study's protocol.

    You can change, search and train the file like any other; its first line has the trial's seeds.

    \b
    Example:
      sweeper spaces export fashion_mnist-lenet5:17
    """
    from sweeper.runs import study_trial

    click.echo(study_trial.find(resolve_store(store), trial).space_text(), nl=False)


@spaces.command()
@click.argument("study", required=False)
@click.option(
    "--shrink",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.3,
    show_default=True,
    metavar="SHARE",
    help="Width of the new ranges as a share of the old ones, on their own scale.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the space to this new file, whose name must end in .toml, instead of printing it.",
)
@code_option
@store_options
def around(study: str | None, shrink: float, output: Path | None, store: StoreOptions) -> None:
    """Print a space file narrowed around the best trials of STUDY (the latest, if not given).

    Ranges shrink around the best trial, on their own scale and inside the old ones. Choices are those of the good
    trials: the best fifth, and at least five. The baseline stays, and the best trial becomes the variant best. A search
    of the file trains both first.

    \b
    Example:
      sweeper spaces around fashion_mnist-lenet5 --output around.toml
      sweeper spaces around fashion_mnist-lenet5 --shrink 0.1
    """
    from sweeper.models import code_files
    from sweeper.store.atomic import whole_file
    from sweeper.studies.around import around_best
    from sweeper.studies.attributes import spec_of
    from sweeper.studies.lifecycle import COMMAND, DATA_PATH
    from sweeper.studies.queries import find_study

    if output is not None and output.suffix != ".toml":
        raise UsageError(f"the name of a space file must end in .toml, got {output} (--output)")
    if output is not None and output.exists():
        raise UsageError(f"{output} exists already, and is left as it is: give another name (--output)")
    where = resolve_store(store)
    found = find_study(where, study)
    narrowed = around_best(found, "around" if output is None else output.stem, shrink)
    if output is None:
        click.echo(narrowed.text, nl=False)
        return
    try:
        with whole_file(output) as temporary:
            temporary.write_text(narrowed.text, encoding="utf-8")
    except OSError as error:
        raise SweeperError(f"{output} cannot be written: {error.strerror} (--output)") from error
    searched = ", ".join(narrowed.space.parameters) or "nothing, one value of each is left"
    click.echo(f"{output}: around trial {narrowed.trials[0]} of {found.study_name}; searched: {searched}")
    spec, path = spec_of(found), found.user_attrs.get(DATA_PATH)
    words = ["sweeper", "search", path or spec.dataset, "--space", str(output), *code_files.arguments()]
    click.echo(f"\nNext:\n  {shlex.join(words)}{store_arguments(where)}")
    if spec.data_options != DataOptions(depth=1):  # a study keeps the depth at which it has found its classes
        click.echo(f"Add the options by which the study read its images, from: {found.user_attrs.get(COMMAND, '')}")


def _as_json(space: "Space") -> dict[str, Any]:
    described = space.describe()
    variants = {
        name: {
            "values": described["variants"][name],
            "epochs": variant.epochs or space.protocol.epochs,
            "n_parameters": _n_parameters(space, name),
            "reported": _reported(variant.reported),
        }
        for name, variant in space.variants.items()
    }
    return {
        "schema_version": 1,
        "name": space.name,
        "protocol": asdict(space.protocol),
        "parameters": described["parameters"],
        "variants": variants,
    }


def _reported(entries: Any) -> Any:
    """The reported metrics as in the file: nothing, one table, or an array of tables, one for each split."""
    if not entries:
        return {}
    return dict(entries[0]) if len(entries) == 1 else [dict(entry) for entry in entries]


def _n_parameters(space: "Space", variant: str) -> int | None:
    from sweeper.data.known.catalog import INPUT_SHAPES
    from sweeper.models import families, layers

    if not space.datasets:
        return None
    network = families.trace(space.variants[variant].configuration.model, *INPUT_SHAPES[space.datasets[0]])
    return layers.n_parameters(network)


def _print(space: "Space") -> None:
    from rich.table import Table
    from rich.text import Text

    from sweeper.cli.tables import stdout_console

    console = stdout_console()
    console.print(Text(f"{space.name}: {space.title}"))
    protocol = asdict(space.protocol)
    if space.protocol.folds:
        del protocol["validation"]  # with folds it is not used
    console.print(Text("Protocol: " + ", ".join(f"{name} {value}" for name, value in protocol.items())))
    described = space.describe()
    # Cells are Text, because rich would take a name such as [v1] for markup.
    searched = Table("parameter", "values", "only when", title="Searched", title_justify="left")
    for name, words in described["parameters"].items():
        when = ", ".join(f"{key} = {json.dumps(value)}" for key, value in words.get("when", {}).items())
        searched.add_row(*map(Text, (name, values_of(words), when)))
    console.print(searched)
    fixed = Table("field", "value", title="Fixed", title_justify="left")
    for name, value in described["fixed"].items():
        fixed.add_row(*map(Text, (name, json.dumps(value))))
    console.print(fixed)
    variants = Table(
        "variant", "parameters", "differs from the baseline", "reported", title="Variants", title_justify="left"
    )
    for name, variant in space.variants.items():
        differences = [f"{key} = {json.dumps(value)}" for key, value in _differences(space, variant).items()]
        n_parameters = _n_parameters(space, name)
        reported = "\n".join(
            f"{entry['split']}: " + ", ".join(f"{k} {amount(k, v)}" for k, v in entry.items() if k != "split")
            for entry in variant.reported
        )
        count = "" if n_parameters is None else f"{n_parameters:,}"
        variants.add_row(*map(Text, (name, count, ", ".join(differences), reported)))
    console.print(variants)


def _differences(space: "Space", variant: "Variant") -> dict[str, Any]:
    """The values that differ from the baseline, or from the family's defaults if the variant has another family."""
    model, baseline = variant.configuration.model, space.variants["baseline"].configuration
    usual = baseline.values()
    if type(model) is not type(baseline.model) and type(model) in MODEL_FAMILIES.values():
        usual = asdict(type(model)()) | asdict(baseline.train) | {"family": baseline.model.family}
    own = variant.configuration.values()
    found = {key: value for key, value in own.items() if usual.get(key) != value}
    return found | ({"epochs": variant.epochs} if variant.epochs else {})


def values_of(words: dict[str, Any]) -> str:
    """What a parameter searches, in words; `words` define it with the keys of a space file."""
    if words["type"] == "categorical":
        return ", ".join(json.dumps(choice) for choice in words["choices"])
    scale = ", log scale" if words["log"] else ""
    step = f", step {words['step']:g}" if words["step"] else ""
    return f"{words['low']:g} to {words['high']:g}{step}{scale}"
