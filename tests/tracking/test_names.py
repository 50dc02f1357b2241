"""Against a real MLflow store in SQLite."""

import pytest

from sweeper.errors import SweeperError
from sweeper.store.names import check_study_name
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


def model_of(client, study, sha, study_id="0" * 32):
    return names.model_of(client, study, study_id, sha)


def test_first_data_take_the_name_of_the_registered_model_and_others_get_one_of_their_own(client):
    assert model_of(client, "digits-lenet5", SECOND) == "sweeper-digits-lenet5"
    names.take_model(client, "sweeper-digits-lenet5", FIRST)
    names.take_model(client, "sweeper-digits-lenet5", FIRST)
    found = [model_of(client, "digits-lenet5", sha) for sha in (FIRST, SECOND)]
    assert found == ["sweeper-digits-lenet5", "sweeper-digits-lenet5-cdcdcdcd"]


def test_every_name_of_a_study_is_one_for_a_registered_model(client):
    longest = "A9._-" * 20
    name = model_of(client, check_study_name(longest), FIRST)
    names.take_model(client, name, FIRST)
    assert client.get_registered_model(name).name == f"sweeper-{longest}"


def test_study_keeps_the_older_name_whose_champion_it_is_and_others_there_get_their_own(client):
    older, ids = "sweeper-shared-space", [digit * 32 for digit in "123"]
    names.take_model(client, older, FIRST)
    for study_id in ids[:2]:
        client.create_model_version(older, "/nowhere", tags={DATA_SHA256: FIRST, names.STUDY_ID: study_id})
    client.set_registered_model_alias(older, "champion", "2")
    found = [model_of(client, study, FIRST, study_id) for study, study_id in zip("abc", ids, strict=True)]
    assert found == ["sweeper-a", older, "sweeper-c"]
    # Once it has versions of its own name, it stays there, whoever gives it the other alias again.
    names.take_model(client, "sweeper-b", FIRST)
    client.create_model_version("sweeper-b", "/nowhere", tags={DATA_SHA256: FIRST, names.STUDY_ID: ids[1]})
    assert model_of(client, "b", FIRST, ids[1]) == "sweeper-b"


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
    client.create_registered_model("sweeper-old")
    for sha in (FIRST, SECOND):
        client.create_model_version("sweeper-old", "/nowhere", tags={DATA_SHA256: sha})
    assert model_of(client, "old", SECOND) == "sweeper-old-cdcdcdcd"
    assert model_of(client, "old", FIRST) == "sweeper-old"
    names.take_model(client, "sweeper-old", FIRST)
    assert client.get_registered_model("sweeper-old").tags == {DATA_SHA256: FIRST}


def test_registered_model_that_somebody_else_made_is_left_alone(client):
    client.create_registered_model("sweeper-theirs")
    client.create_model_version("sweeper-theirs", "/nowhere")
    assert model_of(client, "theirs", FIRST) == "sweeper-theirs-abababab"


def test_names_that_both_belong_to_other_data_are_refused_in_one_line(client, store):
    for name in ("both", "both-cdcdcdcd"):
        client.set_experiment_tag(experiment_id(client, name, store), DATA_SHA256, FIRST)
        names.take_model(client, f"sweeper-{name}", FIRST)
    with pytest.raises(SweeperError, match="experiments both and both-cdcdcdcd in MLflow belong to data with another"):
        names.experiment_of(client, store, "both", SECOND)
    with pytest.raises(SweeperError, match="registered models sweeper-both and sweeper-both-cdcdcdcd"):
        model_of(client, "both", SECOND)
