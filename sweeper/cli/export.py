"""`sweeper export`: writes a trained network to a file that other programs run."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.data_options import data_dir_option, max_bytes_option, offline_option
from sweeper.cli.notes import note
from sweeper.cli.options import code_option, json_option, resolve_store, store_options
from sweeper.cli.running import note_imports
from sweeper.data.source import DataAccess
from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.analysis.exported import Exported


@click.command()
@click.argument("model")
@click.option(
    "--format",
    "form",
    type=click.Choice(("onnx", "pt2", "safetensors")),
    default="onnx",
    show_default=True,
    help="onnx runs in onnxruntime, pt2 in torch, both without the network's code; safetensors has the weights and the "
    "configuration, for sweeper.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="File to write.  [default: MODEL.FORMAT]"
)
@click.option(
    "--int8",
    is_flag=True,
    help="Quantise an ONNX file to 8 bits, calibrated on train images, and measure what that changes.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@data_dir_option
@max_bytes_option
@offline_option
@code_option
@store_options
@json_option
def export(
    model: str,
    form: str,
    output: Path | None,
    int8: bool,
    quiet: bool,
    data_dir: Path | None,
    max_bytes: int | None,
    offline: bool,
    store: StoreOptions,
    as_json: bool,
) -> None:
    """Write the trained network MODEL to one file: raw pixels in, logits out, class names in its metadata.

    MODEL is NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL with kept weights, or the id of a run. The
    file is written only if it decides as the network on 200 validation images, whatever the size of the batch. MLflow
    gets a copy in the network's run, under export/. If FILE exists, it is replaced only if it is an earlier export.

    \b
    Example:
      sweeper export sweeper-fashion_mnist-lenet5@champion
      sweeper export sweeper-fashion_mnist-lenet5@champion --int8 --output small.onnx
    """
    note_imports(quiet=quiet)
    from sweeper.analysis import network
    from sweeper.analysis.export import export
    from sweeper.model_files.place import FORMATS

    where = resolve_store(store)
    name = re.sub(r"[^\w.-]+", "-", model) + ("-int8" if int8 else "")
    path = output or Path(f"{name}{FORMATS[form]}")
    progress = (lambda text: None) if quiet else note
    found = export(
        where,
        network.find(where, model, "MODEL"),
        form,
        path,
        int8=int8,
        data_access=DataAccess(data_dir, offline, max_bytes),
        notify=progress,
    )
    _log(where, found, path)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    for sentence in found.sentences:
        click.echo(sentence)
    click.echo(path)


def _log(store: Store, found: "Exported", path: Path) -> None:
    """Puts the file into the network's run."""
    from sweeper.tracking.network_files import log_files

    if found.run_id is None:
        return
    try:
        log_files(store, found.run_id, [path], "export", "MODEL")
    except SweeperError as error:
        note(f"Warning: MLflow has no copy of the file: {error}")
