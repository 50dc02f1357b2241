"""Against a real MLflow store in SQLite."""

import pytest

from sweeper.errors import SweeperError
from sweeper.tracking import names
from sweeper.tracking.client import connect, experiment_id
from sweeper.tracking.names import DATA_SHA256

FIRST, SECOND = "ab" * 32, "cd" * 32


@pytest.fixture(scope="module")
def client(store):
    return connect(store)


def name_of(client, experiment_id):
    return client.get_experiment(experiment_id).name


def test_first_data_of_a_name_take_it_and_others_get_a_name_of_their_own(client, store):
    first, second, again = (names.experiment_of(client, store, "digits", sha) for sha in (FIRST, SECOND, FIRST))
    assert (name_of(client, first), name_of(client, second)) == ("digits", "digits-cdcdcdcd")
    assert again == first
    assert {e.name for e in names.experiments_of(client, "digits", SECOND)} == {"digits", "digits-cdcdcdcd"}


def test_first_data_take_the_name_of_the_registered_model_and_others_get_one_of_their_own(client):
    assert names.model_of(client, "sweeper-digits-lenet5", SECOND) == "sweeper-digits-lenet5"
    names.take_model(client, "sweeper-digits-lenet5", FIRST)
    names.take_model(client, "sweeper-digits-lenet5", FIRST)
    found = [names.model_of(client, "sweeper-digits-lenet5", sha) for sha in (FIRST, SECOND)]
    assert found == ["sweeper-digits-lenet5", "sweeper-digits-lenet5-cdcdcdcd"]


@pytest.mark.parametrize("tag", names.RUN_TAGS)
def test_experiment_of_an_older_sweeper_belongs_to_the_data_of_its_first_run(client, store, tag):
    old = experiment_id(client, f"old {tag}", store)
    for time, sha in enumerate((FIRST, SECOND), start=1):
        client.create_run(old, start_time=time, tags={tag: sha})
    assert names.experiment_of(client, store, f"old {tag}", FIRST) == old
    assert name_of(client, names.experiment_of(client, store, f"old {tag}", SECOND)) == f"old {tag}-cdcdcdcd"


def test_study_stays_in_the_experiment_that_has_its_runs(client, store):
    shared = experiment_id(client, "shared", store)
    client.create_run(shared, start_time=1, tags={DATA_SHA256: FIRST})
    client.create_run(shared, start_time=2, tags={DATA_SHA256: SECOND, "sweeper.study_id": "abc"})
    assert names.experiment_of(client, store, "shared", SECOND, "tags.`sweeper.study_id` = 'abc'") == shared
    other = names.experiment_of(client, store, "shared", SECOND, "tags.`sweeper.study_id` = 'def'")
    assert name_of(client, other) == "shared-cdcdcdcd"


def test_registered_model_of_an_older_sweeper_belongs_to_the_data_of_its_first_version(client):
    client.create_registered_model("old")
    for sha in (FIRST, SECOND):
        client.create_model_version("old", "/nowhere", tags={DATA_SHA256: sha})
    assert names.model_of(client, "old", SECOND) == "old-cdcdcdcd"
    assert names.model_of(client, "old", FIRST) == "old"
    names.take_model(client, "old", FIRST)
    assert client.get_registered_model("old").tags == {DATA_SHA256: FIRST}


def test_registered_model_that_somebody_else_made_is_left_alone(client):
    client.create_registered_model("theirs")
    client.create_model_version("theirs", "/nowhere")
    assert names.model_of(client, "theirs", FIRST) == "theirs-abababab"


def test_names_that_both_belong_to_other_data_are_refused_in_one_line(client, store):
    for name in ("both", "both-cdcdcdcd"):
        client.set_experiment_tag(experiment_id(client, name, store), DATA_SHA256, FIRST)
        names.take_model(client, name, FIRST)
    with pytest.raises(SweeperError, match="experiments both and both-cdcdcdcd in MLflow belong to data with another"):
        names.experiment_of(client, store, "both", SECOND)
    with pytest.raises(SweeperError, match="registered models both and both-cdcdcdcd"):
        names.model_of(client, "both", SECOND)
