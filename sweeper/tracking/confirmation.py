"""Reads back what was written to a server: something in its place may have taken the writes and kept nothing."""

from collections.abc import Collection, Mapping
from pathlib import Path
from posixpath import dirname, join

from mlflow import MlflowClient
from mlflow.entities import FileInfo

from sweeper.tracking.answers import NotMlflow


def check_run(
    client: MlflowClient,
    run_id: str,
    *,
    steps: Mapping[str, int] | None = None,
    params: Collection[str] = (),
    tags: Mapping[str, str] | None = None,
    status: str | None = None,
) -> None:
    """Raises NotMlflow unless the run has what was written to it.

    `steps` holds the last step of each metric that was written.
    """
    run = client.get_run(run_id)
    latest = {metric.key: metric.step for metric in run.data.to_proto().metrics}
    lacks = [f"metric {name}" for name, step in (steps or {}).items() if latest.get(name, -1) < step]
    lacks += [f"parameter {name}" for name in params if name not in run.data.params]
    lacks += [f"tag {name}" for name, value in (tags or {}).items() if run.data.tags.get(name) != value]
    if status not in (None, run.info.status):
        lacks.append(f"status {status}")
    if run.info.run_id != run_id:
        lacks.append("id")
    if lacks:
        raise NotMlflow(f"it took a write for run {run_id}, but the run lacks {lacks[0]}")


def check_files(client: MlflowClient, run_id: str, sizes: Mapping[str, int | None]) -> None:
    """Raises NotMlflow unless the run's artifacts are listed with these sizes in bytes, by path (None: any size)."""
    for folder in sorted({dirname(path) for path in sizes}):
        here = {path: size for path, size in sizes.items() if dirname(path) == folder}
        _compare(run_id, client.list_artifacts(run_id, folder or None), here)


def check_model_files(client: MlflowClient, model_id: str, folder: Path) -> None:
    """Raises NotMlflow unless the logged model has the files of this folder."""
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        inside = "" if place == folder else place.relative_to(folder).as_posix()
        sizes = {join(inside, path.name): path.stat().st_size for path in place.iterdir() if path.is_file()}
        _compare(model_id, client.list_logged_model_artifacts(model_id, inside or None), sizes)


def _compare(owner: str, listed: Collection[FileInfo], sizes: Mapping[str, int | None]) -> None:
    found = {file.path: file.file_size for file in listed}
    for path, size in sizes.items():
        if path not in found or (None not in (size, found[path]) and found[path] != size):
            raise NotMlflow(f"it took the file {path} of {owner}, but does not have it")
