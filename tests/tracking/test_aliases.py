"""Against a real MLflow store in SQLite."""

import json

import pytest

from sweeper.tracking import aliases
from sweeper.tracking.aliases import RegisteredVersion
from sweeper.tracking.client import connect, experiment_id

STUDY_ID = "ab" * 16
TAGS = {"sweeper.study": "digits", "sweeper.study_id": STUDY_ID, "sweeper.trial": "7"}


@pytest.fixture(scope="module")
def client(store):
    return connect(store)


@pytest.fixture
def run_id(client, store):
    return client.create_run(experiment_id(client, "tiny", store)).info.run_id


def register(client, name, *, n_versions=3, run_id=None, **tags):
    """A registered model with versions that sweeper has made."""
    client.create_registered_model(name)
    for _ in range(n_versions):
        client.create_model_version(name, "/nowhere", run_id, tags=TAGS | tags)


def of(client, name):
    found = aliases.champion(client, name)
    return found and (found[0].version, found[1])


def test_champion_is_the_version_with_the_alias(client):
    register(client, "moving")
    assert of(client, "moving") is None
    for champion, challenger in (("1", "2"), ("3", None), ("3", None)):
        aliases.move(client, "moving", champion, challenger)
        assert of(client, "moving") == (champion, False)
    assert set(client.get_registered_model("moving").aliases) == {"champion"}


def test_alias_that_was_moved_by_hand_is_known_as_such(client):
    register(client, "by hand")
    aliases.move(client, "by hand", "1", None)
    client.set_registered_model_alias("by hand", "champion", "2")
    assert of(client, "by hand") == ("2", True)
    client.set_registered_model_alias("by hand", "champion", "1")
    assert of(client, "by hand") == ("1", False)
    client.delete_registered_model_alias("by hand", "champion")
    assert of(client, "by hand") is None


@pytest.mark.parametrize("n_done", range(4))
def test_alias_that_was_being_moved_when_the_process_was_killed_was_not_moved_by_hand(client, monkeypatch, n_done):
    register(client, f"killed {n_done}")
    aliases.move(client, f"killed {n_done}", "1", None)
    n_calls = iter(range(10))

    def killed_at_the_end(original):
        def call(*arguments):
            if next(n_calls) == n_done:
                raise KeyboardInterrupt
            return original(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in ("set_registered_model_tag", "set_registered_model_alias"):
            patch.setattr(client, name, killed_at_the_end(getattr(client, name)))
        with pytest.raises(KeyboardInterrupt):
            aliases.move(client, f"killed {n_done}", "2", "3")
    assert of(client, f"killed {n_done}") == ("1" if n_done < 3 else "2", False)
    aliases.move(client, f"killed {n_done}", "2", "3")
    client.set_registered_model_alias(f"killed {n_done}", "champion", "1")
    assert of(client, f"killed {n_done}") == ("1", True)


def test_champion_of_an_older_sweeper_was_not_moved_by_hand_and_a_strangers_was(client):
    register(client, "older", n_versions=1)
    client.set_registered_model_alias("older", "champion", "1")
    assert of(client, "older") == ("1", False)
    client.create_model_version("older", "/nowhere")
    client.set_registered_model_alias("older", "champion", "2")
    assert of(client, "older") == ("2", True)


def test_version_has_the_estimate_that_its_promotion_recorded(client, run_id):
    client.log_text(run_id, json.dumps({"part": "confirm", "correct": ["01"]}), aliases.ESTIMATE)
    register(client, "recorded", run_id=run_id)
    found = aliases.registered(client, "recorded", "2")
    assert found == RegisteredVersion("2", "digits", "7", {"part": "confirm", "correct": ["01"]}, STUDY_ID)
    assert found.label() == "version 2 (study digits, trial 7)"


def test_version_of_an_older_sweeper_has_the_estimate_of_its_tags_and_the_split_of_its_study(client, store, run_id):
    study = client.create_run(
        experiment_id(client, "tiny", store), tags={"sweeper.kind": "study", "sweeper.study_id": STUDY_ID}
    )
    client.log_param(study.info.run_id, "split_sha256", "cd" * 32)
    client.log_text(run_id, json.dumps({"classes": ["a", "b"], "input_shape": [1, 28, 28]}), "weights/config.json")
    tags = {"sweeper.confirm_estimate": "0.9238 [0.9180, 0.9295]", "sweeper.data_sha256": "ef" * 32}
    register(client, "old tags", run_id=run_id, **tags)
    assert aliases.registered(client, "old tags", "1").estimate == {
        "data_sha256": "ef" * 32,
        "split_sha256": "cd" * 32,
        "classes": ["a", "b"],
        "input_shape": [1, 28, 28],
        "part": "confirm",
        "accuracy": 0.9238,
        "low": 0.918,
        "high": 0.9295,
        "correct": None,
    }
    register(client, "one seed", run_id=run_id, **{"sweeper.validation_estimate": "0.9"})
    found = aliases.registered(client, "one seed", "1").estimate
    assert (found["part"], found["accuracy"], found["low"], found["high"]) == ("validation", 0.9, None, None)


@pytest.mark.parametrize("text", ["{", "[1]", "5"])
def test_estimate_that_was_damaged_is_empty(client, run_id, text):
    client.log_text(run_id, text, aliases.ESTIMATE)
    register(client, f"damaged {text}", run_id=run_id)
    assert aliases.registered(client, f"damaged {text}", "1").estimate == {}


def test_estimate_that_was_never_recorded_is_empty(client, run_id):
    register(client, "bare", run_id=run_id)
    assert aliases.registered(client, "bare", "1").estimate == {}
