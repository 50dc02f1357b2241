"""Registers networks in MLflow's model registry; a registration can be repeated wherever it was killed."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from numpy.typing import NDArray
from torch import nn

from sweeper.errors import SweeperError
from sweeper.images.preprocessing import Preprocessing
from sweeper.store.layout import Store
from sweeper.tracking import aliases, class_names, confirmation, deletions, mlflow_model, names
from sweeper.tracking.aliases import RegisteredVersion
from sweeper.tracking.client import connect, is_server, reaching, restore_command
from sweeper.tracking.leftovers import EXPORT, IDENTITY
from sweeper.tracking.run_writer import WEIGHTS

MODEL = "model"
# The tag of a version that says what its promotion has found, and what a test of its network.
VERDICT = "sweeper.verdict"


class Registry:
    """The registered models of one MLflow store. Methods may be repeated, however the first try ended."""

    def __init__(self, store: Store) -> None:
        self._uri, self._is_server, self._root = store.tracking_uri, is_server(store), store.root
        self._client = connect(store)
        with reaching(self._uri):
            self._client.search_registered_models(max_results=1)

    def name_of(self, study: str, study_id: str, data_sha256: str) -> str:
        """The name of the registered model of this study of these data."""
        with reaching(self._uri):
            return names.model_of(self._client, study, study_id, data_sha256)

    def find_version(self, name: str, identity: str) -> str | None:
        """The version of the model `name` with this identity; None if there is none."""
        query = f"name = '{name}' AND tags.`{IDENTITY}` = '{identity}'"
        with reaching(self._uri):
            found = self._client.search_model_versions(query)
        return str(found[0].version) if found else None

    def register(
        self,
        name: str,
        data_sha256: str,
        run_id: str,
        identity: str,
        network: nn.Module,
        example: NDArray[np.uint8],
        files: Mapping[str, Path | str],
        tags: Mapping[str, str],
        description: str,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        verdict: Sequence[str] = (),
    ) -> str:
        """Logs the network and its files in the run, and registers the network; returns the version.

        `network` takes raw pixels uint8 (batch, channels, height, width) and gives float32 (batch, classes); `example`
        is a batch of at least two. `files` are paths or texts by name, and become artifacts of the run. `classes` are
        the names of its columns in order, which stand in a tag, the description, the metadata and the signature. Type
        and shape of `example` stand in the metadata: as the signature has them, MLflow would refuse all others.
        `preprocessing` is that of the training images, `verdict` what the promotion has found, in sentences. If a
        version with this identity exists, only its tags are written. Raises SweeperError if the exported network gives
        other predictions, or MLflow cannot be used.
        """
        tags = {**tags, **class_names.tags(classes), names.DATA_SHA256: data_sha256, VERDICT: "\n".join(verdict)}
        if registered := self.find_version(name, identity):
            with reaching(self._uri):
                for tag, value in tags.items():
                    self._client.set_model_version_tag(name, registered, tag, value)
            return registered
        self._check_run(run_id)
        self._log_files(run_id, files)
        with reaching(self._uri):
            experiment_id = self._client.get_run(run_id).info.experiment_id
            model = self._logged(experiment_id, run_id, identity)
        if model is None:
            # Export before writing to MLflow: a network that cannot be exported leaves nothing there. A network of the
            # user's may print, and commands print JSON to stdout.
            with TemporaryDirectory(prefix=EXPORT, dir=self._root) as folder, redirect_stdout(sys.stderr):
                exported = mlflow_model.export(network, example, classes, preprocessing, verdict, Path(folder, MODEL))
                with reaching(self._uri):
                    model = self._log(experiment_id, run_id, identity, exported, Path(folder, MODEL))
        with reaching(self._uri):
            self._show_in_run(run_id, model)
            described = f"{description}\n\n{class_names.described(classes)}"
            return self._create_version(name, model, {**tags, IDENTITY: identity}, described)

    def champion(self, name: str) -> tuple[RegisteredVersion, bool] | None:
        """The version with the champion's alias, and whether somebody else than sweeper gave it the alias."""
        with reaching(self._uri):
            return aliases.champion(self._client, name)

    def version(self, name: str, version: str) -> RegisteredVersion:
        """A registered version with the estimate of its configuration. Raises SweeperError if it was deleted."""
        with reaching(self._uri), _present(name, version):
            return aliases.registered(self._client, name, version)

    def set_verdict(self, name: str, version: str, sentences: Sequence[str]) -> None:
        """Replaces what a version says of its promotion. Raises SweeperError if the version was deleted."""
        with reaching(self._uri), _present(name, version):
            self._client.set_model_version_tag(name, version, VERDICT, "\n".join(sentences))

    def set_aliases(self, name: str, champion: str, challenger: str | None) -> None:
        """Points the two aliases to these versions; without a challenger, removes the challenger's alias."""
        versions = champion if challenger is None else f"{champion} or {challenger}"
        with reaching(self._uri), _present(name, versions):
            aliases.move(self._client, name, champion, challenger)

    def _check_run(self, run_id: str) -> None:
        """Raises SweeperError for a run that was deleted in MLflow after the network was trained."""
        with reaching(self._uri):
            deletion = deletions.of_run(self._client, run_id, "a finalist")
        if deletion is None:
            return
        restored = "" if deletion.for_good else f"`{restore_command('run', [run_id], self._uri)}` restores it, or "
        raise SweeperError(
            f"the run of a refitted network, {run_id}, was deleted in MLflow: {restored}the same command trains the "
            "network again"
        )

    def _log_files(self, run_id: str, files: Mapping[str, Path | str]) -> None:
        with TemporaryDirectory(prefix=EXPORT, dir=self._root) as folder:
            for name, content in files.items():
                if isinstance(content, Path):
                    shutil.copyfile(content, Path(folder, name))
                else:
                    Path(folder, name).write_text(content, encoding="utf-8")
            with reaching(self._uri):
                self._client.log_artifacts(run_id, folder, WEIGHTS)
                if self._is_server:
                    sizes = {f"{WEIGHTS}/{name}": Path(folder, name).stat().st_size for name in files}
                    confirmation.check_files(self._client, run_id, sizes)

    def _logged(self, experiment_id: str, run_id: str, identity: str) -> LoggedModel | None:
        """The run's logged model with this identity; deletes models that an earlier try left incomplete."""
        query = f"source_run_id = '{run_id}' AND tags.`{IDENTITY}` = '{identity}'"
        ready = None
        for model in self._client.search_logged_models([experiment_id], query):
            if model.status == LoggedModelStatus.READY:
                ready = model
            else:
                self._client.delete_logged_model(model.model_id)
        return ready

    def _log(self, experiment_id: str, run_id: str, identity: str, exported: Model, folder: Path) -> LoggedModel:
        # Not mlflow.pytorch.log_model, which writes to the process's current store and run.
        model = self._client.create_logged_model(experiment_id, MODEL, run_id, {IDENTITY: identity})
        exported.run_id, exported.model_id, exported.artifact_path = run_id, model.model_id, model.artifact_location
        exported.save(str(folder / MLMODEL_FILE_NAME))
        self._client.log_model_artifacts(model.model_id, str(folder))
        if self._is_server:
            confirmation.check_model_files(self._client, model.model_id, folder)
        return self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def _show_in_run(self, run_id: str, model: LoggedModel) -> None:
        outputs = self._client.get_run(run_id).outputs
        if model.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])

    def _create_version(self, name: str, model: LoggedModel, tags: Mapping[str, str], description: str) -> str:
        names.take_model(self._client, name, tags[names.DATA_SHA256])
        # The source is the artifact location: MLflow would look up models:/ID in the process's current store.
        made = self._client.create_model_version(
            name,
            model.artifact_location,
            model.source_run_id,
            dict(tags),
            description=description,
            model_id=model.model_id,
        )
        return str(made.version)


@contextmanager
def _present(name: str, versions: str) -> Iterator[None]:
    """Turns MLflow's answer that it does not have a registered model or version into a SweeperError."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != deletions.ABSENT:
            raise
        raise SweeperError(
            f"the registered model {name}, or its version {versions}, was deleted in MLflow, and cannot be restored "
            "there: `sweeper promote STUDY --again` registers the study's networks anew"
        ) from error
