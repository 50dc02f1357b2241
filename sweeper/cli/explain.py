"""`sweeper explain`: draws what a network sees and confuses."""

import json
import re
from pathlib import Path

import click

from sweeper.cli.data_options import data_dir_option, max_bytes_option, offline_option
from sweeper.cli.notes import note
from sweeper.cli.options import MOST_SEED, code_option, json_option, resolve_store, store_options
from sweeper.cli.running import note_imports
from sweeper.data.source import DataAccess
from sweeper.errors import plain
from sweeper.store.options import StoreOptions

# As analysis.explanation.ANALYSES, which cannot be imported before it is needed; a test holds both together.
ANALYSES = ("curves", "confusions", "classes", "mistakes", "probabilities", "reliability", "features", "embedding")


@click.command()
@click.argument("model")
@click.argument("analyses", nargs=-1, metavar="[ANALYSIS]...", type=click.Choice((*ANALYSES, "all")))
@click.option("--against", metavar="MODEL", help="A second network, to be shown beside the first.")
@click.option(
    "--images",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Look at these images: a file, or a folder, whose subfolders may be classes. Repeatable.",
)
@click.option(
    "--resize",
    type=click.IntRange(1),
    metavar="N",
    help="Scale the images of --images to N x N pixels, which must be what the network takes.",
)
@click.option(
    "--part",
    type=click.Choice(("confirm", "validation", "train")),
    help="Look at this part of the study's images.  [default: confirm of a promoted study, else validation]",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the pictures.  [default: explain/MODEL]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("png", "svg")),
    default="png",
    show_default=True,
    help="Format of the pictures.",
)
@click.option(
    "--n",
    type=click.IntRange(1),
    metavar="N",
    help="Images of each analysis; mistakes and probabilities show at most 60.  [default: 2000 in the embedding, 9 "
    "mistakes, 4 probabilities]",
)
@click.option(
    "--seed", type=click.IntRange(0, MOST_SEED), default=0, show_default=True, help="Seed that draws random images."
)
@data_dir_option
@max_bytes_option
@offline_option
@code_option
@store_options
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def explain(
    model: str,
    analyses: tuple[str, ...],
    against: str | None,
    paths: tuple[Path, ...],
    resize: int | None,
    part: str | None,
    output: Path | None,
    form: str,
    n: int | None,
    seed: int,
    data_dir: Path | None,
    max_bytes: int | None,
    offline: bool,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw what the network MODEL sees and confuses: pictures in a folder, and in its MLflow run under explain/.

    MODEL is NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL with kept weights, or the id of a run.
    ANALYSIS is curves (learning curves with the best epoch), confusions, classes (accuracy and F1 of each), mistakes
    (the worst), probabilities (of the classes, for random or given images), reliability (calibration), features
    (feature maps of every conv and pool layer), embedding (t-SNE of the last hidden layer), or all, the default.

    The images are those that the network has not learned from, never test images, unless --part or --images says so.

    \b
    Example:
      sweeper explain fashion_mnist-lenet5:7 --against fashion_mnist-lenet5:0
      sweeper explain fashion_mnist-lenet5:7 mistakes embedding --part validation
    """
    note_imports(quiet=quiet)
    from sweeper.analysis.explanation import ExplainRequest, explain
    from sweeper.analysis.picture_files import check_place, write
    from sweeper.tracking.network_files import log_files

    where = resolve_store(store)
    folder = output or Path("explain", re.sub(r"[^\w.-]+", "-", model))
    check_place(folder)
    request = ExplainRequest(
        model=model,
        against=against,
        analyses=() if "all" in analyses else tuple(dict.fromkeys(analyses)),
        part=part,
        paths=paths,
        resize=resize,
        n=n,
        seed=seed,
        data_access=DataAccess(data_dir, offline, max_bytes),
    )
    found = explain(where, request, note, progress=(lambda step: None) if quiet else note)
    about = {
        "schema_version": 1,
        "model": found.network.name,
        "run_id": found.network.run_id,
        "images": found.images_used,
    }
    files = write(found.views, folder, form, about)
    if found.network.run_id is not None:
        log_files(where, found.network.run_id, files, "explain", "MODEL")
    if as_json:
        views = [view.as_json() for view in found.views]
        click.echo(json.dumps({**about, "files": [str(file) for file in files], "looks": views}))
        return
    click.echo(f"{plain(found.network.name)}: {found.images_used}")
    for view in found.views:
        click.echo(f"\n{plain(view.title)}" + f" ({plain(view.images_used)})" * (view.images_used != found.images_used))
        for sentence in view.sentences:
            click.echo(f"  {plain(sentence)}")
    click.echo("")
    for file in files:
        click.echo(str(file))
