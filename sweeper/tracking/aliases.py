"""The champion of a registered model: its version, what its promotion measured, and whether a person chose it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from sweeper.store.stored_values import from_text
from sweeper.tracking.client import search_runs
from sweeper.tracking.names import CHAMPION, DATA_SHA256
from sweeper.tracking.run_writer import WEIGHTS

CHALLENGER = "challenger"
# This tag of a registered model holds the version to which a promotion last moved the champion's alias. While the alias
# moves, it holds the earlier version, too: a kill must not look as if a person had moved it.
SET_BY_SWEEPER = "sweeper.champion"
# The artifact of a refit's run with the estimate of its configuration.
ESTIMATE = "estimate.json"
CONFIG = f"{WEIGHTS}/config.json"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model, its study and trial, and the estimate of its configuration.

    `estimate` has data_sha256, split_sha256, classes, input_shape, part, metric, the metric's value under its name, low
    and high. For the accuracy it also has `correct`: a text of 0 and 1, one for each image of the part, for each seed.
    `conversions` are the training set's, if it has any. An older sweeper has recorded neither `correct` nor the metric,
    which was the accuracy. The estimate is empty if sweeper did not make the version.
    """

    version: str
    study: str
    trial: str
    estimate: Mapping[str, Any]
    study_id: str = ""

    def label(self, study: str = "", study_id: str = "") -> str:
        """The version with its study and trial, as a promotion of this study would call it."""
        if not self.study:
            return self.version
        # Studies of several stores may have one name, on one MLflow server.
        other = self.study == study and study_id and self.study_id and self.study_id != study_id
        owner = f"another study named {self.study}" if other else f"study {self.study}"
        return f"version {self.version} ({owner}, trial {self.trial})"


def champion(client: MlflowClient, name: str) -> tuple[RegisteredVersion, bool] | None:
    """The version with the champion's alias, and whether somebody else than sweeper gave it the alias."""
    try:
        found = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    version, by_sweeper = _version(client, found), client.get_registered_model(name).tags.get(SET_BY_SWEEPER)
    # An older sweeper has not written the tag; it gave the alias only to versions that it had made.
    by_hand = not version.study if by_sweeper is None else version.version not in by_sweeper.split()
    return version, by_hand


def registered(client: MlflowClient, name: str, version: str) -> RegisteredVersion:
    """This version."""
    return _version(client, client.get_model_version(name, version))


def move(client: MlflowClient, name: str, champion: str, challenger: str | None) -> None:
    """Points the aliases to these versions; without a challenger, removes the challenger's alias. May be repeated."""
    before = client.get_registered_model(name).aliases.get(CHAMPION)
    client.set_registered_model_tag(name, SET_BY_SWEEPER, champion if before is None else f"{before} {champion}")
    # The champion's alias moves last: until all else is done, it points to the old champion.
    if challenger is None:
        client.delete_registered_model_alias(name, CHALLENGER)
    else:
        client.set_registered_model_alias(name, CHALLENGER, challenger)
    client.set_registered_model_alias(name, CHAMPION, champion)
    client.set_registered_model_tag(name, SET_BY_SWEEPER, champion)


def _version(client: MlflowClient, found: ModelVersion) -> RegisteredVersion:
    tags = found.tags
    study = tags.get("sweeper.study", "")
    estimate = _estimate(client, found, found.run_id) if study and found.run_id else {}
    study_id = tags.get("sweeper.study_id", "")
    return RegisteredVersion(str(found.version), study, tags.get("sweeper.trial", ""), estimate, study_id)


def _estimate(client: MlflowClient, found: ModelVersion, run_id: str) -> Mapping[str, Any]:
    """The recorded estimate; empty if somebody has deleted or damaged it."""
    try:
        if ESTIMATE in {file.path for file in client.list_artifacts(run_id)}:
            return dict(_read(client, run_id, ESTIMATE))
        if CONFIG in {file.path for file in client.list_artifacts(run_id, WEIGHTS)}:
            return _older_estimate(client, found, run_id)
    except (ValueError, TypeError, KeyError):
        pass
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    return {}


def _older_estimate(client: MlflowClient, found: ModelVersion, run_id: str) -> Mapping[str, Any]:
    """The estimate of a version from an older sweeper, which has left it in the version's tags."""
    tags = found.tags
    part = next((part for part in ("confirm", "validation") if f"sweeper.{part}_estimate" in tags), None)
    text = re.fullmatch(r"(\S+)(?: \[(\S+), (\S+)\])?", tags.get(f"sweeper.{part}_estimate", ""))
    if text is None:
        return {}
    accuracy, low, high = (None if number is None else float(number) for number in text.groups())
    config = _read(client, run_id, CONFIG)
    experiment = client.get_run(run_id).info.experiment_id
    query = f"tags.`sweeper.study_id` = '{tags['sweeper.study_id']}' AND tags.`sweeper.kind` = 'study'"
    studies = search_runs(client, experiment, query, ViewType.ALL)
    return {
        "data_sha256": tags.get(DATA_SHA256),
        "split_sha256": studies[0].data.params.get("split_sha256") if studies else None,
        "classes": config["classes"],
        "input_shape": config["input_shape"],
        "part": part,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "correct": None,
    }


def _read(client: MlflowClient, run_id: str, path: str) -> Any:
    return from_text(dict[str, Any], Path(client.download_artifacts(run_id, path)).read_bytes(), path)
