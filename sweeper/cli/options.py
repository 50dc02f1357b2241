"""Options that several commands share, and the objects that the commands make from them; not those of data sets."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sweeper.cli.completion import spaces
from sweeper.cli.values import Folds, Jobs, JobsPerGpu, Size
from sweeper.config.fields import checked
from sweeper.engine.options import ENGINES, DeviceOptions
from sweeper.errors import UsageError
from sweeper.runs.options import TrainingOptions
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.validators import MOST_INTEGER, MOST_REPEATS, MOST_SEED

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def decorated(function: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
    """The function with these options, which `--help` lists in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def given_parameters() -> set[str]:
    """The names of the parameters that stand in the command line, as the command's function gets them."""
    context = click.get_current_context()
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def store_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --store, --storage and --tracking-uri; the command gets them as one `store`, which is not resolved yet."""

    @wraps(function)
    def command(*args: Any, store: Path | None, storage: str | None, tracking_uri: str | None, **others: Any) -> Any:
        return function(*args, store=StoreOptions(store, storage, tracking_uri), **others)

    return decorated(
        command,
        click.option(
            "--store",
            type=click.Path(path_type=Path),
            envvar="SWEEPER_STORE",
            show_envvar=True,
            help="Folder of the databases, artifacts and checkpoints.  [default: mlruns]",
        ),
        click.option(
            "--storage",
            metavar="URL",
            help="Optuna's storage, if not SQLite in the store.  [env var: OPTUNA_STORAGE]",
        ),
        click.option(
            "--tracking-uri",
            metavar="URL",
            help="MLflow's server, if not SQLite in the store.  [env var: MLFLOW_TRACKING_URI]",
        ),
    )


def progress_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --quiet and --verbose."""
    quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
    verbose = click.option("--verbose", "-v", is_flag=True, help="Print a line for every epoch.")
    return quiet(verbose(function))


space_option: Decorator = click.option(
    "--space",
    "space_name",
    metavar="NAME|FILE",
    shell_complete=spaces,
    help="Search space.  [default: one for the images' size and channels]",
)


def _use_code(ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]) -> None:
    for path in paths:
        from sweeper.models.own_networks import use_code

        use_code(path)


code_option: Decorator = click.option(
    "--code",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    expose_value=False,
    callback=_use_code,
    help="Python file with networks of your own, for family custom: it is run. Repeatable.",
)

variant_option: Decorator = click.option(
    "--variant", default="baseline", show_default=True, metavar="NAME", help="Variant of the space."
)


def set_option(values: str) -> Decorator:
    """Adds --set; `values` says in its help what it takes."""
    text = f"Redefine a parameter: {values}. Repeatable."
    return click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help=text)


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --epochs, --folds, --repeats, --seed, --split-seed and --subset; the command gets them as one `training`."""

    @wraps(function)
    def command(
        *args: Any,
        epochs: int | None,
        folds: int | None,
        repeats: int | None,
        seed: int,
        split_seed: int | None,
        subset: int | None,
        **others: Any,
    ) -> Any:
        return function(
            *args, training=checked(TrainingOptions, epochs, folds, repeats, seed, subset, split_seed), **others
        )

    return decorated(
        command,
        click.option(
            "--epochs",
            type=click.IntRange(1, MOST_INTEGER),
            help="Epochs of each training.  [default: the space's, or 15]",
        ),
        click.option(
            "--folds",
            type=Folds(),
            metavar="K",
            help="Score on K stratified folds instead of one validation part; 0 means none.  [default: the "
            "space's, or 0]",
        ),
        click.option(
            "--repeats",
            type=click.IntRange(1, MOST_REPEATS),
            metavar="N",
            help="Train each configuration with N seeds, and take the mean.  [default: the space's, or 1]",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0, MOST_SEED),
            default=TrainingOptions.seed,
            show_default=True,
            help="Seed of the proposals, the initial weights, the order of the images and their augmentation.",
        ),
        click.option(
            "--split-seed",
            type=click.IntRange(0, MOST_SEED),
            metavar="N",
            help="Seed that cuts the data into train, validation and confirm parts.  [default: the same as --seed]",
        ),
        click.option(
            "--subset",
            type=click.IntRange(min=1),
            metavar="N",
            help="Use only N training images, drawn from all classes in proportion, for a quick try.",
        ),
    )


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --engine, --ray-address and --ray-insecure."""
    return decorated(
        function,
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default=DeviceOptions.engine,
            show_default=True,
            envvar="SWEEPER_ENGINE",
            show_envvar=True,
            help="Where trainings run: local starts processes on this machine; inline trains in the process of the "
            "command, one at a time, with plain lines of progress, for a debugger; ray uses the nodes of a Ray "
            "cluster (docs/how-to/cluster.md).",
        ),
        click.option(
            "--ray-address",
            metavar="HOST:PORT",
            envvar="RAY_ADDRESS",
            show_envvar=True,
            help="The head of the Ray cluster that --engine ray uses.",
        ),
        click.option(
            "--ray-insecure",
            is_flag=True,
            help="Use a Ray cluster that asks for no token: whoever reaches its ports can run programs there.",
        ),
    )


def check_engine(engine: str) -> None:
    """Raises UsageError if the command line has options of another engine."""
    if engine != "ray" and (given := given_parameters() & {"ray_address", "ray_insecure"}):
        option = min(given).replace("_", "-")
        raise UsageError(f"--{option} is for --engine ray, the engine is {engine}")


def device_options(*, jobs_help: str) -> Decorator:
    """Adds --jobs, --device, --jobs-per-gpu, --worker-memory, --engine and those of a Ray cluster, as one `device`.

    `jobs_help` is the help of --jobs.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(
            *args: Any,
            jobs: int | None,
            device: str,
            jobs_per_gpu: int | None,
            worker_memory: int | None,
            engine: str,
            ray_address: str | None,
            ray_insecure: bool,
            **others: Any,
        ) -> Any:
            check_engine(engine)
            options = checked(
                DeviceOptions, device, jobs, jobs_per_gpu, worker_memory, engine, ray_address, ray_insecure
            )
            return function(*args, device=options, **others)

        return decorated(
            command,
            click.option("--jobs", "-j", type=Jobs(), help=jobs_help),
            click.option(
                "--device",
                default=DeviceOptions.device,
                show_default=True,
                metavar="auto|cpu|cuda|cuda:N,...|mps",
                help="Where to train; cuda means every visible GPU.",
            ),
            click.option(
                "--jobs-per-gpu",
                type=JobsPerGpu(),
                metavar="auto|N",
                help="Trainings at once on each GPU, in one process with CUDA graphs; auto finds the fastest "
                "number.  [default: processes without graphs, by --jobs]",
            ),
            click.option(
                "--worker-memory",
                type=Size(),
                metavar="auto|SIZE",
                help="Memory limit of a worker on a CPU, such as 4GB: a trial that needs more is infeasible. auto is "
                "an equal share of the available memory.  [default: auto]",
            ),
            engine_options,
        )

    return decorate


json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def resolve_store(options: StoreOptions) -> Store:
    """The store that options and environment name. Raises UsageError."""
    return options.resolve(os.environ)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().params["debug"] = True


debug_option: Decorator = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks."
)
