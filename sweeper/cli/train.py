"""`sweeper train`: trains one configuration, without a search."""

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sweeper.cli.completion import data_sets
from sweeper.cli.data_options import load_space, source_options
from sweeper.cli.notes import command_line, note
from sweeper.cli.options import (
    code_option,
    debug_option,
    device_options,
    given_parameters,
    json_option,
    progress_options,
    resolve_store,
    set_option,
    space_option,
    store_options,
    training_options,
    variant_option,
)
from sweeper.cli.running import end_command, note_imports, running
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError, refuse
from sweeper.images.options import STORED_IF_GIVEN
from sweeper.runs.options import TrainingOptions
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact

if TYPE_CHECKING:
    from sweeper.runs.outcome import TrainingOutcome
    from sweeper.runs.request import TrainingRequest
    from sweeper.spaces.space import Space

# What a trial fixes, by parameter, with the words of the command line.
_NOT_WITH_FROM = {
    "dataset": "DATASET", "space_name": "--space", "variant": "--variant", "classes": "--classes",
    "resize": "--resize", "grayscale": "--grayscale", "skip_bad": "--skip-bad",
    **{"class_map" if name == "map" else name: f"--{name.replace('_', '-')}" for name in STORED_IF_GIVEN},
}  # fmt: skip


@click.command()
@click.argument("dataset", required=False, default="", shell_complete=data_sets)
@space_option
@variant_option
@set_option("a TOML value or a word")
@training_options
@click.option(
    "--from",
    "--trial",
    "reference",
    metavar="STUDY:TRIAL",
    help="Train this trial of a study in the store again, with its data, splits, folds and repeats, seed and kind of "
    "device: metrics and weights are bitwise the same. --seed, --split-seed, --epochs, --set and --all-data change one "
    "thing at a time.",
)
@click.option(
    "--all-data",
    is_flag=True,
    help="Train on all training images, those of the validation and confirm parts too, without folds: there is no "
    "validation score.",
)
@click.option(
    "--init",
    metavar="RUN|MODEL",
    help="Start from the weights of an MLflow run (its id) or a registered model (NAME@ALIAS, NAME/VERSION): every "
    "tensor whose name and shape match is taken, and the others are random.",
)
@click.option("--freeze", is_flag=True, help="Train only the tensors that --init does not take.")
@click.option(
    "--compare",
    metavar="RUN",
    multiple=True,
    help="Draw the learning curves beside those of this MLflow run (its id), as curves/comparison.png in the "
    "training's own run, even if the training is already complete. Repeatable.",
)
@device_options(
    jobs_help="Folds and repeats at once: auto is one per usable core, as far as memory suffices, but on a CUDA device "
    "at most 8.  [default: auto]"
)
@source_options
@code_option
@store_options
@json_option
@progress_options
@debug_option
def train(
    source: DataSource,
    space_name: str | None,
    variant: str,
    overrides: tuple[str, ...],
    training: TrainingOptions,
    reference: str | None,
    all_data: bool,
    init: str | None,
    freeze: bool,
    compare: tuple[str, ...],
    device: DeviceOptions,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train one configuration: a variant of a space on DATASET, or with --from a trial of a study again.

    A variant is trained by the protocol of its space. The training becomes a run in MLflow, with a run under it for
    each fold and repeat; it makes no study. The test data are never opened. The same command resumes an interrupted
    training, or shows the result of a complete one.

    \b
    Example:
      sweeper train fashion_mnist --space lenet5_steps --variant 5.0
      sweeper train fashion_mnist --set activation=gelu --epochs 3 --subset 5000
      sweeper train path/to/folder --init sweeper-fashion_mnist-lenet5@champion
      sweeper train --from fashion_mnist-lenet5:17 --seed 1 --all-data
    """
    note_imports(quiet=quiet)
    from sweeper.runs import study_trial
    from sweeper.runs.request import TrainingRequest
    from sweeper.studies import queries
    from sweeper.studies.data_source import source_of

    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    if freeze and init is None:
        raise UsageError("--freeze needs --init: it freezes the weights that --init loads")
    given = given_parameters()
    if all_data and "folds" in given:
        raise UsageError("--all-data leaves no images to score a fold on: leave out --folds")
    resolved, trial = resolve_store(store), None
    if reference is not None:
        if refused := [option for parameter, option in _NOT_WITH_FROM.items() if parameter in given]:
            raise UsageError(
                f"--from takes data and configuration from the study: leave out {refused[0]}, or write the "
                f"configuration to a file (`sweeper spaces export {reference}`) and train with --space"
            )
        trial = study_trial.find(resolved, reference)
        study = queries.find_study(resolved, trial.study_name)
        source = source_of(study, source.access)
        space, variant = trial.space(overrides), trial.name
        training = trial.training(training, own_seed="seed" not in given)
        device = trial.device(device)
    elif source.dataset:
        space = load_space(source, space_name, overrides, quiet=quiet)
    else:
        raise UsageError("give DATASET, or the trial of a study (--from STUDY:TRIAL)")
    _refuse_ranges(space, overrides)
    found = space.variant(variant)
    request = TrainingRequest(
        source=source,
        space=space,
        variant=found,
        training=replace(training, epochs=training.epochs or found.epochs),
        device=device,
        store=resolved,
        command=command_line(resolved),
        init=init,
        freeze=freeze,
        all_data=all_data,
        compare=compare,
        trial=trial,
    )
    outcome = _run(request, quiet=quiet, verbose=verbose or device.plain_progress)
    if as_json:
        click.echo(json.dumps(outcome.summary()))
    elif outcome.result is not None:
        _show(outcome)
    if outcome.stopped:
        note(f"To resume: {_typed(request)}")
    end_command(outcome.undelivered, request.store, outcome.stopped)


def _refuse_ranges(space: "Space", overrides: tuple[str, ...]) -> None:
    """Refuses a --set that redefines a parameter's range or choices, because nothing is searched here."""
    from sweeper.spaces.overrides import parse_override

    for override in map(parse_override, overrides):
        if override.key in space.parameters:
            refuse(f"{override.key} must be a single value, because nothing is searched here", override.place)


def _run(request: "TrainingRequest", *, quiet: bool, verbose: bool) -> "TrainingOutcome":
    from sweeper.runs.single import run
    from sweeper.runs.stop import StopRequest

    stop = StopRequest()
    try:
        with running(stop, request.store, quiet=quiet, verbose=verbose) as listener:
            return run(request, listener, stop)
    except SystemExit:
        note(f"To resume: {_typed(request)}")
        raise


def _typed(request: "TrainingRequest") -> str:
    return redact(shlex.join(request.command))


def _show(outcome: "TrainingOutcome") -> None:
    from sweeper.cli.tables import stdout_console, variants_table
    from sweeper.data.lookup import name_of
    from sweeper.studies.findings import reference

    request, data_name = outcome.request, name_of(outcome.request.source.dataset)
    assert outcome.result is not None
    on = f"{data_name} (all images)" if request.all_data else data_name
    title = f"{request.space.name} {request.variant.name} on {on}, last epoch"
    stdout_console().print(variants_table([outcome.result], title, reference("accuracy", outcome.constant)))
    if outcome.repetition and (told := outcome.repetition.told(outcome.result.metrics)):
        click.echo(told)
    click.echo(f"MLflow run {outcome.run_id}, experiment {data_name}")
    if request.compare:
        click.echo(
            f"Learning curves beside those of {', '.join(request.compare)}: curves/comparison.png in the run's "
            "artifacts"
        )
    next_commands = [f"sweeper sync{store_arguments(request.store)}"] * bool(outcome.undelivered)
    next_commands += [f"sweeper ui{store_arguments(request.store)}"] * request.store.embedded_tracking
    if next_commands:
        click.echo("\nNext:")
    for command in next_commands:
        click.echo(f"  {command}")
