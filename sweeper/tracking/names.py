"""The names of a data set's experiment and of a study's registered model: other data get names of their own.

The first data set of a name takes the plain name. A tag on the experiment or registered model holds the SHA-256 of its
data; where an older sweeper has written none, the oldest run or version says whose the name is. Other data of that name
get NAME-HASH, with the first characters of their own SHA-256.

The registered model is called sweeper-STUDY, which MLflow accepts for each name that a study may have. An older sweeper
called it sweeper-DATASET-SPACE, so that studies shared it, and its champion's alias.
"""

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, ViewType
from mlflow.exceptions import MlflowException

from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.tracking.client import experiment_id, search_runs

DATA_SHA256 = "sweeper.data_sha256"
# The alias and the tag of a registered version by which its study is known.
CHAMPION, STUDY_ID = "champion", "sweeper.study_id"
# The runs of `sweeper data info --log` have hashes of both parts.
RUN_TAGS = (DATA_SHA256, "sweeper.training_sha256")


def distinct(name: str, data_sha256: str) -> str:
    """The name for data that came second."""
    return f"{name}-{data_sha256[:8]}"


def experiments_of(client: MlflowClient, name: str, data_sha256: str) -> list[Experiment]:
    """The existing experiments that may hold runs of these data, deleted ones too.

    An older sweeper put all data sets of a name into one experiment.
    """
    found = [client.get_experiment_by_name(known) for known in (name, distinct(name, data_sha256))]
    return [experiment for experiment in found if experiment is not None]


def experiment_of(
    client: MlflowClient, store: Store, name: str, data_sha256: str, query: str = "", *, elsewhere: bool = False
) -> str:
    """The id of the experiment of these data, created if missing, or the one that has runs matching `query` already.

    Raises SweeperError if it was deleted, the store was moved, or both names belong to other data. With `elsewhere`,
    the second name serves if the experiment of the first was deleted.
    """
    for experiment in experiments_of(client, name, data_sha256) if query else []:
        if search_runs(client, experiment.experiment_id, query):
            return experiment_id(client, experiment.name, store)
    for known in (name, distinct(name, data_sha256)):
        found = client.get_experiment_by_name(known)
        if elsewhere and known == name and found and found.lifecycle_stage == LifecycleStage.DELETED:
            continue
        owner = _owner_of_experiment(client, found)
        if owner in (None, data_sha256):
            made = experiment_id(client, known, store)
            if owner is None:
                client.set_experiment_tag(made, DATA_SHA256, data_sha256)
            return made
    raise SweeperError(_both_taken("experiment", name, data_sha256))


def model_of(client: MlflowClient, study: str, study_id: str, data_sha256: str) -> str:
    """The name of the study's registered model, which may not exist yet. Raises SweeperError as experiment_of.

    A study that holds the champion's alias of another name, which an older sweeper gave it, goes on there: programs
    load its champion by that alias.
    """
    name = f"sweeper-{study}"
    known = (name, distinct(name, data_sha256))
    has_versions = {version.name for version in client.search_model_versions(f"tags.`{STUDY_ID}` = '{study_id}'")}
    for older in sorted(has_versions) if has_versions.isdisjoint(known) else ():
        if _study_of_champion(client, older) == study_id:
            return older
    for own in known:
        if _owner_of_model(client, own) in (None, data_sha256):
            return own
    raise SweeperError(_both_taken("registered model", name, data_sha256))


def take_model(client: MlflowClient, name: str, data_sha256: str) -> None:
    """Creates the registered model if it is missing, and marks it as that of these data if nobody has."""
    try:
        client.create_registered_model(name, {DATA_SHA256: data_sha256})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if DATA_SHA256 not in client.get_registered_model(name).tags:
            client.set_registered_model_tag(name, DATA_SHA256, data_sha256)


def _owner_of_experiment(client: MlflowClient, experiment: Experiment | None) -> str | None:
    """The SHA-256 of the data that took the experiment; None if it does not exist, or has nothing of sweeper's."""
    if experiment is None:
        return None
    if owner := experiment.tags.get(DATA_SHA256):
        return str(owner)
    oldest = ["attributes.start_time ASC"]
    for tag in RUN_TAGS:
        runs = client.search_runs([experiment.experiment_id], f"tags.`{tag}` != ''", ViewType.ALL, 1, oldest)
        if runs:
            return str(runs[0].data.tags[tag])
    return None


def _owner_of_model(client: MlflowClient, name: str) -> str | None:
    """The SHA-256 of the data that took the registered model, "" if somebody else did; None if it has no versions."""
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if owner := model.tags.get(DATA_SHA256):
        return str(owner)
    versions = client.search_model_versions(f"name = '{name}'")
    if not versions:
        return None
    return str(min(versions, key=lambda version: int(version.version)).tags.get(DATA_SHA256, ""))


def _study_of_champion(client: MlflowClient, name: str) -> str | None:
    """The id of the study whose network has the champion's alias of this registered model; None if nobody has it."""
    try:
        return str(client.get_model_version_by_alias(name, CHAMPION).tags.get(STUDY_ID))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _both_taken(kind: str, name: str, data_sha256: str) -> str:
    return (
        f"the {kind}s {name} and {distinct(name, data_sha256)} in MLflow belong to data with another SHA-256 than "
        f"{data_sha256[:12]}: rename the data, or give another --store"
    )
