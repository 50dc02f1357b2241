"""`sweeper search`: the main job."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sweeper.cli.options import (
    asked_protocol,
    data_options,
    debug_option,
    device_option,
    jobs_per_gpu_option,
    json_option,
    load_space,
    note,
    place_options,
    progress_options,
    protocol_options,
    resolve_store,
    set_option,
    space_option,
    store_arguments,
    store_options,
    subset_option,
    worker_memory_option,
)
from sweeper.cli.running import leave, running
from sweeper.cli.values import Duration, Jobs
from sweeper.data.images.options import DataOptions
from sweeper.errors import SweeperError, UsageError, plain, shortened

if TYPE_CHECKING:
    from sweeper.events import Event
    from sweeper.search.run import SearchOutcome, SearchRequest

# Each name is also that of an Optuna sampler or pruner in sweeper/search/study.py, which is too slow to import
# for --help; a test holds the two together.
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("halving", "median", "hyperband", "none")
METRICS = ("accuracy", "macro_f1", "loss")


@click.command()
@click.argument("dataset")
@space_option
@set_option("a TOML value, a word, LOW:HIGH (keeps a log scale), or A,B,C")
@click.option(
    "--trials",
    "--n-trials",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Distinct configurations tried in all, earlier runs of the study included.",
)
@protocol_options
@click.option(
    "--variants-only",
    is_flag=True,
    help="Train exactly the space's named variants, each to its end, and compare them with what was reported.",
)
@click.option("--timeout", type=Duration(), help="Stop after this time, such as 90m or 2h.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--study", "--study-name", help="Name of the study.  [default: DATASET-SPACE]")
@click.option("--new", is_flag=True, help="Start another study rather than go on with this one.")
@click.option(
    "--jobs",
    "-j",
    type=Jobs(),
    help="Trials at once: auto is one a usable core, as far as memory goes, or one a GPU.  [default: auto]",
)
@device_option
@jobs_per_gpu_option
@worker_memory_option
@click.option("--sampler", type=click.Choice(SAMPLERS), default="tpe", show_default=True)
@click.option(
    "--pruner",
    type=click.Choice(PRUNERS),
    default="halving",
    show_default=True,
    help="halving: asynchronous successive halving from the first epoch (fold, repeat), factor 3.",
)
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="accuracy",
    show_default=True,
    help="What is optimised, on the validation part.",
)
@click.option("--max-params", type=click.IntRange(min=1), metavar="N", help="No network with more parameters may win.")
@click.option("--target", type=float, help="Stop when a complete trial is at least this good.")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="K",
    help="Keep the weights of the best K trials.",
)
@subset_option
@data_options
@place_options
@store_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@json_option
@progress_options
@debug_option
def search(
    dataset: str,
    data_options: DataOptions,
    space_name: str | None,
    overrides: tuple[str, ...],
    store: Path | None,
    storage: str | None,
    tracking_uri: str | None,
    epochs: int | None,
    folds: int | None,
    repeats: int | None,
    variants_only: bool,
    study: str | None,
    max_params: int | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Search DATASET for the best network of a space; the same command goes on where it stopped.

    Every trial is scored on the validation part of the training data; the test data are never opened.

    \b
    Example:
      sweeper search fashion_mnist --trials 50
      sweeper search fashion_mnist --subset 2000 --epochs 2 --trials 6 --set activation=relu,gelu
      sweeper search fashion_mnist --space lenet5_steps --variants-only
    """
    from sweeper.data.lookup import name_of
    from sweeper.store.layout import check_study_name

    space = load_space(dataset, data_options, space_name, overrides)
    name = check_study_name(study or f"{name_of(dataset)}-{space.name}" + "-variants" * variants_only)
    if variants_only:
        _refuse_what_searches()
        options |= {"trials": len(space.variants), "pruner": "none"}
    if not math.isfinite(options["target"] or 0.0):
        raise UsageError(f"--target must be a finite number, got {options['target']}")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")

    from sweeper.search.run import SearchRequest

    # What the command line says holds for all.
    own_epochs = {} if epochs else {name: v.epochs for name, v in space.variants.items() if v.epochs}
    if own_epochs and not variants_only:
        named = ", ".join(f"{plain(name)} ({number})" for name, number in own_epochs.items())
        note(f"In a search every trial has {space.protocol.epochs} epochs, these variants too: {shortened(named)}")
    request = SearchRequest(
        dataset=dataset,
        data_options=data_options,
        space=space,
        protocol=asked_protocol(space, epochs, folds, repeats),
        study=name,
        variants_only=variants_only,
        variant_epochs=own_epochs if variants_only else {},
        max_parameters=max_params,
        store=resolve_store(store, storage, tracking_uri),
        command=["sweeper", *sys.argv[1:]],
        **options,
    )
    if dry_run:
        from sweeper.cli.dry_run import show_plan

        show_plan(request, as_json=as_json)
        return
    from sweeper.studies.lifecycle import DONE

    outcome = _run(request, quiet=quiet, verbose=verbose)
    if as_json:
        click.echo(json.dumps(outcome.summary()))
        if outcome.stopped not in DONE:
            note(f"To go on: {_command(request, outcome.study_name)}")
    else:
        _show(outcome, request)
    _leave(outcome, request)


def _refuse_what_searches() -> None:
    """Options that a comparison of named variants has no use for, given all the same."""
    context = click.get_current_context()
    for option in ("trials", "sampler", "pruner"):
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--variants-only trains each variant to its end, and takes no --{option}")


def _run(request: "SearchRequest", *, quiet: bool, verbose: bool) -> "SearchOutcome":
    from sweeper.events import SweepStarted
    from sweeper.runs.limits import StopRequest
    from sweeper.search.run import run

    stop = StopRequest()
    study = request.study
    try:
        with running(stop, request.store, quiet=quiet, verbose=verbose) as show:

            def listener(event: "Event") -> None:
                nonlocal study
                if isinstance(event, SweepStarted):
                    study = event.study  # with --new, another than was asked for
                show(event)

            return run(request, listener, stop)
    except SystemExit:
        note(f"To go on: {_command(request, study)}")
        raise


def _leave(outcome: "SearchOutcome", request: "SearchRequest") -> None:
    """Exit code 130 or 143 after a signal, 1 where MLflow lacks something or no trial completed by the end, else 0."""
    from sweeper.studies.lifecycle import DONE

    leave(outcome.undelivered, request.store, outcome.stopped)
    if outcome.stopped in DONE and not outcome.summary()["n_trials"]["complete"]:
        raise SweeperError(
            f"no trial of {outcome.study_name} completed; `sweeper trials {outcome.study_name}"
            f"{store_arguments(request.store)}` shows them"
        )


def _show(outcome: "SearchOutcome", request: "SearchRequest") -> None:
    from sweeper.cli.tables import ranking_table, stdout_console, variants_table
    from sweeper.studies.lifecycle import DONE

    n = outcome.summary()["n_trials"]
    if outcome.variants:
        stdout_console().print(variants_table(outcome.variants))
    elif n["complete"]:
        stdout_console().print(ranking_table(outcome.trials, outcome.metric))
    told = [f"{n['complete']} complete", f"{n['pruned']} pruned"]
    told += [f"{n['fail']} failed"] * bool(n["fail"]) + [f"{n['running']} unfinished"] * bool(n["running"])
    ended = f", stopped by {outcome.stopped}" if outcome.stopped else ""
    minutes, seconds = divmod(round(outcome.seconds), 60)
    click.echo(f"{', '.join(told)}, {minutes} min {seconds:02d} s{ended}")
    if n["complete"] > 1:
        one = "Each score is one seed's" if outcome.n_trainings == 1 else "Each score is a mean"
        click.echo(
            f"{one}, on the validation images that also chose it: the best of many is "
            "flattered, and neighbours in the table may well change places."
        )
    options = store_arguments(request.store)
    click.echo("\nNext:")
    if outcome.stopped not in DONE:
        click.echo(f"  {_command(request, outcome.study_name)}   # goes on from here")
    if outcome.undelivered:
        click.echo(f"  sweeper sync{options}")
    if request.store.embedded_tracking:
        click.echo(f"  sweeper ui{options}")
    if n["complete"]:
        click.echo(f"  sweeper promote {outcome.study_name} --top 2 --test{options}")
    click.echo(f"  sweeper trials {outcome.study_name}{options}")


def _command(request: "SearchRequest", study: str) -> str:
    """The command that goes on with this study."""
    from sweeper.store.redaction import redact
    from sweeper.studies.resume_command import resuming

    return redact(resuming(request.command, study))
