"""`sweeper search`: searches a space for the best network."""

import json
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
)
from sweeper.cli.running import end_command, note_imports, running
from sweeper.cli.search_outcome import resume_command, show_outcome
from sweeper.cli.values import Duration
from sweeper.config.fields import checked
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import SweeperError, UsageError
from sweeper.runs.options import TrainingOptions
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions
from sweeper.studies.objective import METRICS, check_target
from sweeper.studies.pruners import AUTO, LEAST_IMAGES, PRUNERS
from sweeper.studies.samplers import SAMPLERS
from sweeper.sweep.options import SearchOptions

if TYPE_CHECKING:
    from sweeper.events import Event
    from sweeper.sweep.request import SearchRequest
    from sweeper.sweep.run import SearchOutcome


@click.command()
@click.argument("dataset", shell_complete=data_sets)
@space_option
@set_option("a TOML value, a word, LOW:HIGH (keeps a log scale), or A,B,C")
@click.option(
    "--trials",
    "--n-trials",
    type=click.IntRange(min=1),
    default=SearchOptions.trials,
    show_default=True,
    help="Distinct configurations to try in all, including those of earlier commands on the study.",
)
@training_options
@click.option(
    "--variants-only",
    is_flag=True,
    help="Train exactly the space's named variants, each to its end, and show the metrics that the space reports "
    "beside the measured ones.",
)
@click.option(
    "--timeout",
    type=Duration(),
    help="Stop after this time, such as 90m or 2h. No epoch begins that is expected to end later.",
)
@click.option(
    "--trial-timeout",
    type=Duration(),
    help="Prune a trial that is not done after training for this time, such as 20m; the times of its folds and repeats "
    "add up.",
)
@click.option("--study", "--study-name", help="Name of the study.  [default: DATASET-SPACE]")
@click.option("--new", is_flag=True, help="Start another study instead of resuming this one.")
@click.option(
    "--take-over",
    is_flag=True,
    help="The machine that ran the study last is gone: wait 20 s, not 90 s, for a sign of life from its process.",
)
@device_options(
    jobs_help="Trials at once: auto is one per usable core, as far as memory suffices, but on a CUDA device at most 8 "
    "and a quarter of the trials.  [default: auto]"
)
@click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    default=SearchOptions.sampler,
    show_default=True,
    help="How configurations are proposed. tpe: by the scores so far (Optuna's TPE). random: at random. grid: all "
    "configurations of a finite space, in random order.",
)
@click.option(
    "--pruner",
    type=click.Choice((AUTO, *PRUNERS)),
    default=SearchOptions.pruner,
    show_default=True,
    help="halving: asynchronous successive halving from the first epoch (or fold or repeat), factor 3. auto: halving, "
    f"but none with fewer than {LEAST_IMAGES} validation images, whose scores are too noisy; decided once a study.",
)
@click.option(
    "--metric",
    type=click.Choice(list(METRICS)),
    default=SearchOptions.metric,
    show_default=True,
    help="Metric to optimise, on the validation part.",
)
@click.option(
    "--max-params", type=click.IntRange(min=1), metavar="N", help="A network with more parameters cannot win."
)
@click.option(
    "--max-madds",
    type=click.IntRange(min=1),
    metavar="N",
    help="A network with more multiply-adds an image cannot win.",
)
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="A network that takes more milliseconds for one image cannot win. It is measured before it is trained: one "
    "image at a time on one thread of this machine's CPU, in processor time, as the least of several medians. Each "
    "network is measured once, and the value is stored: resuming on another machine measures only new networks.",
)
@click.option(
    "--target", type=float, help="Stop when a complete trial is at least this good; accuracies are shares, as 0.92."
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=SearchOptions.keep,
    show_default=True,
    metavar="K",
    help="Keep the weights of the best K trials.",
)
@click.option(
    "--warm-start",
    metavar="STUDY",
    help="Start the new study from an earlier one in the store: its best configurations are tried first and, if data, "
    "split, metric and protocol are the same, the sampler learns from its scores, which neither rank nor count here.",
)
@source_options
@code_option
@store_options
@click.option("--dry-run", is_flag=True, help="Print the plan, and write nothing.")
@json_option
@progress_options
@debug_option
def search(
    source: DataSource,
    space_name: str | None,
    overrides: tuple[str, ...],
    trials: int,
    training: TrainingOptions,
    variants_only: bool,
    timeout: float | None,
    trial_timeout: float | None,
    study: str | None,
    new: bool,
    take_over: bool,
    device: DeviceOptions,
    sampler: str,
    pruner: str,
    metric: str,
    max_params: int | None,
    max_madds: int | None,
    max_latency: float | None,
    target: float | None,
    keep: int,
    warm_start: str | None,
    store: StoreOptions,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Search DATASET for the best network of a space; the same command resumes an interrupted search.

    Every trial is scored on the validation part of the training data; the test data are never opened.

    \b
    Example:
      sweeper search fashion_mnist --trials 50
      sweeper search fashion_mnist --subset 2000 --epochs 2 --trials 6 --set activation=relu,gelu
      sweeper search fashion_mnist --space lenet5_steps --variants-only
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    if target is not None:
        check_target(target, metric)
    options = checked(
        SearchOptions,
        trials=trials,
        variants_only=variants_only,
        sampler=sampler,
        pruner=pruner,
        metric=metric,
        max_params=max_params,
        max_madds=max_madds,
        max_latency=max_latency,
        target=target,
        timeout=timeout,
        trial_timeout=trial_timeout,
        keep=keep,
        warm_start=warm_start,
        take_over=take_over,
    )
    space = load_space(source, space_name, overrides, quiet=quiet)
    note_imports(quiet=quiet)
    from sweeper.sweep.request import SearchRequest

    where = resolve_store(store)
    request = SearchRequest.of(
        source,
        space,
        training,
        device,
        options,
        where,
        study=study,
        new=new,
        command=command_line(where),
        given=given_parameters(),
    )
    if not quiet and (unused := request.unused_epochs):
        note(unused)
    if dry_run:
        from sweeper.cli.dry_run import show_plan

        show_plan(request, as_json=as_json, quiet=quiet)
        return
    from sweeper.studies.lifecycle import DONE

    outcome = _run(request, quiet=quiet, verbose=verbose or device.plain_progress)
    if as_json:
        click.echo(json.dumps(outcome.summary()))
        if outcome.stopped not in DONE:
            note(f"To resume: {resume_command(request, outcome.study_name)}")
    else:
        show_outcome(outcome, request)
    _end_command(outcome, request)


def _run(request: "SearchRequest", *, quiet: bool, verbose: bool) -> "SearchOutcome":
    from sweeper.events import SweepStarted
    from sweeper.promotion.head_start import idle_jobs
    from sweeper.runs.stop import StopRequest
    from sweeper.sweep.run import run

    stop = StopRequest()
    study = request.study
    try:
        with running(stop, request.store, quiet=quiet, verbose=verbose) as show:

            def listener(event: "Event") -> None:
                nonlocal study
                if isinstance(event, SweepStarted):
                    study = event.study  # --new may have changed the name
                show(event)

            return run(request, listener, stop, idle_jobs)
    except SystemExit:
        note(f"To resume: {resume_command(request, study)}")
        raise


def _end_command(outcome: "SearchOutcome", request: "SearchRequest") -> None:
    """Exit code 128 + N after signal N, 1 if writes wait for MLflow or no trial completed by the end, else 0."""
    from sweeper.studies.lifecycle import DONE

    end_command(outcome.undelivered, request.store, outcome.stopped)
    if outcome.stopped in DONE and not outcome.summary()["n_trials"]["complete"]:
        raise SweeperError(
            f"no trial of {outcome.study_name} completed; `sweeper trials {outcome.study_name}"
            f"{store_arguments(request.store)}` shows the reasons"
        )
