"""Options that say which data set is read and how, and the default space for its images."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sweeper.cli.notes import note
from sweeper.cli.options import Decorator, decorated
from sweeper.cli.values import Names, Pixels, Range, Size
from sweeper.config.fields import checked
from sweeper.data.source import DataSource
from sweeper.errors import UsageError
from sweeper.images.options import MOST_SIDE, Background, Channels, DataOptions, Fit
from sweeper.images.value_range import OPTION, ValueRange

if TYPE_CHECKING:
    from sweeper.spaces.space import Space

data_dir_option: Decorator = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="SWEEPER_DATA_DIR",
    show_envvar=True,
    help="Folder of a known data set's files, plain or .gz, directly or in torchvision's layout. For a study of your "
    "own images: the new path of their folder or file, if it has moved.",
)
max_bytes_option: Decorator = click.option(
    "--max-bytes",
    type=Size(),
    metavar="auto|SIZE",
    help="Most memory that the decoded images may take, such as 8GB. auto is the available memory; images of more than "
    "3 GB must also take at most 200 times the size of their files.  [default: auto]",
)
offline_option: Decorator = click.option("--offline", is_flag=True, help="Never use the internet.")


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
        fit: Fit | None,
        grayscale: bool,
        skip_bad: bool,
        max_pixels: int | None,
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
        class_map: Path | None,
        min_per_class: int | None,
        value_range: ValueRange | None,
        background: Background,
        no_exif: bool,
        channels: Channels | None,
        data_dir: Path | None,
        offline: bool,
        **others: Any,
    ) -> Any:
        from sweeper.data.own.label_table import path_of_table
        from sweeper.images.class_map import read_map

        if fit and not resize:
            raise UsageError("--fit needs --resize")
        options = checked(
            DataOptions,
            classes=classes,
            resize=resize,
            fit=fit or DataOptions.fit,
            grayscale=grayscale,
            skip_bad=skip_bad,
            max_pixels=max_pixels,
            train_dir=train_dir,
            val_dir=val_dir,
            test_dir=test_dir,
            depth=depth,
            resplit=resplit,
            labels=None if labels is None else path_of_table(dataset, labels),
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
            map=() if class_map is None else read_map(class_map),
            min_per_class=min_per_class,
            value_range=value_range,
            background=background,
            no_exif=no_exif,
            channels=channels,
        )
        source = DataSource(dataset, options, data_dir, offline, max_bytes)
        return function(*args, source=source, **others)

    return decorated(
        command,
        click.option(
            "--classes",
            "--include",
            type=Names(),
            default=DataOptions.classes,
            metavar="NAME,NAME,...",
            help="Use only these classes, in this order; '\"A, b\",C' for names with commas.",
        ),
        click.option(
            "--map",
            "class_map",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help='Rename, join and leave out classes by a TOML file, a line for each new class: NEW = "OLD" or '
            'NEW = ["OLD", "OLD"].',
        ),
        click.option(
            "--min-per-class",
            type=click.IntRange(2),
            metavar="N",
            help="Leave out classes with fewer than N training images.",
        ),
        click.option(
            "--resize",
            type=click.IntRange(1, MOST_SIDE),
            metavar="N",
            help="Make all images N x N pixels.",
        ),
        click.option(
            "--fit",
            type=click.Choice(get_args(Fit)),
            help="How --resize makes images square: pad scales all of the image and fills the rest with --background, "
            f"crop keeps the middle, stretch distorts.  [default: {DataOptions.fit}]",
        ),
        click.option("--grayscale", is_flag=True, help="Make all images grey."),
        click.option("--skip-bad", is_flag=True, help="Leave out files that cannot be read as images."),
        click.option(
            "--max-pixels",
            type=Pixels(),
            metavar="N",
            help="Most pixels that an image file may have, such as 108M: larger ones are refused.  [default: 64M]",
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
            help="Take the classes from a table (CSV, TSV, JSON lines or Parquet) with a row for each image in the "
            "folder DATASET.",
        ),
        *(
            click.option(f"--{column}-column", metavar="NAME", help=f"Column of the table that holds {content}.")
            for column, content in (
                ("image", "the names of the image files"),
                ("label", "the classes"),
                ("split", "train, val or test"),
            )
        ),
        click.option(
            OPTION,
            type=Range(),
            metavar="LOW,HIGH",
            help="The stored values that become black and white, for images of more than 8 bits and of floats.",
        ),
        click.option(
            "--background",
            type=click.Choice(get_args(Background)),
            default=DataOptions.background,
            show_default=True,
            help="What is behind transparent pixels, and beside images that --fit pads.",
        ),
        click.option("--no-exif", is_flag=True, help="Do not turn photographs upright as their EXIF blocks ask for."),
        click.option(
            "--channels",
            type=click.Choice(get_args(Channels)),
            help="Where the images of an .npz file have their channels, if the shapes do not tell.",
        ),
        data_dir_option,
        offline_option,
    )


def load_space(source: DataSource, space_name: str | None, overrides: Sequence[str], *, quiet: bool) -> "Space":
    """Loads the named space, or the default for the images of the data set, which must exist. Raises UsageError.

    Notes which space is the default, unless `quiet`.
    """
    from sweeper.spaces import choice

    return choice.load(source, space_name, overrides, notify=(lambda text: None) if quiet else note)
