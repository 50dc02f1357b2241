"""Options that several commands share, and the objects that the commands make from them."""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sweeper.cli.notes import note
from sweeper.cli.values import Folds, Jobs, JobsPerGpu, Names, Size
from sweeper.data.images.options import MOST_SIDE, DataOptions
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.runs.options import TrainingOptions
from sweeper.store.layout import Store, StoreOptions
from sweeper.validators import MOST_INTEGER, MOST_SEED

if TYPE_CHECKING:
    from sweeper.spaces.space import Space

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


MOST_REPEATS = 1000


def _decorated(function: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
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

    return _decorated(
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


data_dir_option: Decorator = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="SWEEPER_DATA_DIR",
    show_envvar=True,
    help="Folder of the data files, plain or .gz, directly or in torchvision's layout.",
)
max_bytes_option: Decorator = click.option(
    "--max-bytes",
    type=Size(),
    metavar="auto|SIZE",
    help="Most that the decoded images may take, such as 8GB. auto is the available memory, and 200 times the size of "
    "the files for more than 3 GB.  [default: auto]",
)
offline_option: Decorator = click.option("--offline", is_flag=True, help="Never use the network.")


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of how images are read and parts are found, --data-dir and --offline.

    The command gets them as one `source`, together with the argument DATASET. The command declares this argument
    itself, because it must come first.
    """

    @wraps(function)
    def command(
        *args: Any,
        dataset: str,
        classes: tuple[str, ...],
        resize: int | None,
        grayscale: bool,
        skip_bad: bool,
        max_bytes: int | None,
        train_dir: str | None,
        val_dir: str | None,
        test_dir: str | None,
        depth: int | None,
        resplit: bool,
        labels: Path | None,
        image_column: str | None,
        label_column: str | None,
        split_column: str | None,
        data_dir: Path | None,
        offline: bool,
        **others: Any,
    ) -> Any:
        from sweeper.data.own.label_table import path_of_table

        options = DataOptions(
            classes=classes,
            resize=resize,
            grayscale=grayscale,
            skip_bad=skip_bad,
            train_dir=train_dir,
            val_dir=val_dir,
            test_dir=test_dir,
            depth=depth,
            resplit=resplit,
            labels=None if labels is None else path_of_table(dataset, labels),
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
        )
        source = DataSource(dataset, options, data_dir, offline, max_bytes)
        return function(*args, source=source, **others)

    return _decorated(
        command,
        click.option(
            "--classes",
            type=Names(),
            default=DataOptions.classes,
            metavar="NAME,NAME,...",
            help="Use only these classes.",
        ),
        click.option(
            "--resize",
            type=click.IntRange(1, MOST_SIDE),
            metavar="N",
            help="Make all images N x N pixels: scale the shorter side to N and keep the middle.",
        ),
        click.option("--grayscale", is_flag=True, help="Make all images grey."),
        click.option(
            "--skip-bad", is_flag=True, help="Leave out files that cannot be read as images of the usual size."
        ),
        max_bytes_option,
        *(
            click.option(f"--{part}-dir", metavar="NAME", help=f"Folder of the {images} images in the folder DATASET.")
            for part, images in (("train", "training"), ("val", "validation"), ("test", "test"))
        ),
        click.option(
            "--depth",
            type=click.IntRange(1, 2),
            metavar="1|2",
            help="Folders that name a class: 1 is CLASS/*, 2 is the class OUTER/INNER for OUTER/INNER/*.",
        ),
        click.option(
            "--resplit",
            is_flag=True,
            help="Cut the validation part from all training images; the data set's own one joins them.",
        ),
        click.option(
            "--labels",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Take the classes from a table, CSV, TSV or Parquet, with a row for each image in the folder DATASET.",
        ),
        *(
            click.option(f"--{column}-column", metavar="NAME", help=f"Column of the table that holds {content}.")
            for column, content in (
                ("image", "the names of the image files"),
                ("label", "the classes"),
                ("split", "train, val or test"),
            )
        ),
        data_dir_option,
        offline_option,
    )


def progress_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --quiet and --verbose."""
    quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
    verbose = click.option("--verbose", "-v", is_flag=True, help="Print a line for every epoch.")
    return quiet(verbose(function))


space_option: Decorator = click.option(
    "--space", "space_name", metavar="NAME|FILE", help="Search space.  [default: one for the images' size and channels]"
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
        return function(*args, training=TrainingOptions(epochs, folds, repeats, seed, subset, split_seed), **others)

    return _decorated(
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
            help="Use only N stratified images, for a quick try.",
        ),
    )


def device_options(*, jobs_help: str) -> Decorator:
    """Adds --jobs, --device, --jobs-per-gpu and --worker-memory; the command gets them as one `device`.

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
            **others: Any,
        ) -> Any:
            return function(*args, device=DeviceOptions(device, jobs, jobs_per_gpu, worker_memory), **others)

        return _decorated(
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
                "number.  [default: one, without graphs]",
            ),
            click.option(
                "--worker-memory",
                type=Size(),
                metavar="auto|SIZE",
                help="Memory limit of a worker on a CPU, such as 4GB: a trial that needs more is pruned. auto is an "
                "equal share of the available memory.  [default: auto]",
            ),
        )

    return decorate


json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def load_space(source: DataSource, space_name: str | None, overrides: Sequence[str], *, quiet: bool) -> "Space":
    """Loads the named space, or the default for the images of the data set, which must exist. Raises UsageError.

    Notes which space is the default, unless `quiet`.
    """
    from sweeper.data import lookup
    from sweeper.spaces import reader

    lookup.path_of(source.dataset)  # an unknown data set is refused before an unknown space
    if space_name is None:
        shape = lookup.input_shape(source.dataset, source.options)
        space_name = default_space(shape)
        colour = "grey" if shape[0] == 1 else "colour"
        if not quiet:
            note(f"Space: {space_name}, the default for {colour} images of {shape[1]}x{shape[2]}")
    return reader.load(space_name, overrides)


def default_space(input_shape: tuple[int, int, int]) -> str:
    """The default space for images of this shape (channels, height, width)."""
    channels, height, width = input_shape
    shorter, longer = sorted((height, width))
    # Two poolings and three 5x5 convolutions leave nothing of smaller images, and far too large maps of larger ones.
    if channels == 1 and shorter >= 28 and longer <= 32:
        return "lenet5"
    # Three poolings need 8 pixels; beyond 64, the first linear layer would hold nearly all parameters.
    return "vgg_small" if shorter >= 8 and longer <= 64 else "timm_small"


def resolve_store(options: StoreOptions) -> Store:
    """The store that options and environment name. Raises UsageError."""
    return options.resolve(os.environ)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().params["debug"] = True


debug_option: Decorator = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks."
)
