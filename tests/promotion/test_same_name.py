"""Studies of one data set and space, and studies of two data sets whose files have one name."""

import json

import numpy as np
import pytest

from sweeper.tracking.registry import Registry
from tests.fake_data import fake_images
from tests.promotion.conftest import SPACE


@pytest.fixture(scope="module")
def promoted(workplace):
    """The outcomes of both promotions, by the seed of the images, and the data sets' files."""
    found = {}
    for seed in (1, 2):
        images, labels = fake_images(200, 10, 28, seed)
        path = workplace.folder / f"from {seed}" / "digits.npz"
        path.parent.mkdir()
        np.savez(path, train_images=images, train_labels=labels)
        study, store = f"digits-{seed}", ("--store", workplace.store)
        workplace.space.write_text(SPACE.format(confirm=0.2))
        options = f"--space {workplace.space} --trials 2 --pruner none --keep 0 --jobs 1 -q".split()
        workplace.run("search", path, *options, "--study", study, *store)
        shown = workplace.run("promote", study, "--seeds", 1, "--jobs", 1, *store, "--json", "-q")
        found[seed] = json.loads(shown.stdout)
    return found


def test_each_has_an_experiment_and_a_registered_model_of_its_own(workplace, promoted, client):
    names = {experiment.name for experiment in client.search_experiments() if experiment.name.startswith("digits")}
    [second] = names - {"digits"}
    sha256 = second.removeprefix("digits-")
    assert len(sha256) == 8
    models = [promoted[seed]["model_name"] for seed in (1, 2)]
    assert models == ["sweeper-digits-1", "sweeper-digits-2"]
    for seed, name, experiment in ((1, models[0], "digits"), (2, models[1], second)):
        version = client.get_model_version_by_alias(name, "champion")
        assert version.tags["sweeper.study"] == f"digits-{seed}"
        assert (
            client.get_experiment_by_name(experiment).tags["sweeper.data_sha256"]
            == (version.tags["sweeper.data_sha256"])
        )


def test_deleting_a_study_deletes_its_runs_in_the_experiment_of_its_own(workplace, promoted, client):
    [experiment] = [e for e in client.search_experiments() if e.name.startswith("digits-")]
    query = "tags.`sweeper.kind` = 'study' AND tags.`sweeper.study` = 'digits-2'"
    assert len(client.search_runs([experiment.experiment_id], query)) == 1
    workplace.run("delete", "digits-2", "--yes", "--store", workplace.store)
    assert client.search_runs([experiment.experiment_id], query) == []


def test_studies_of_one_data_set_and_space_each_have_a_champion(workplace, client):
    for study in ("one", "other"):
        workplace.search(study, "--trials", 2)
    found = {study: workplace.promoted(study, "--seeds", 1) for study in ("one", "other")}
    assert {study: outcome["registration"] for study, outcome in found.items()} == {"one": [], "other": []}
    for study, outcome in found.items():
        assert outcome["model_name"] == f"sweeper-{study}"
        assert outcome["registered_champion"] == outcome["finalists"][0]["version"]
        version = client.get_model_version_by_alias(f"sweeper-{study}", "champion")
        assert version.tags["sweeper.study"] == study


def test_study_whose_champion_an_older_sweeper_registered_goes_on_under_that_name(workplace, client, monkeypatch):
    workplace.search("before", "--trials", 2)
    monkeypatch.setattr(Registry, "name_of", lambda registry, study, study_id, data_sha256: "sweeper-tiny-older_space")
    before = workplace.promoted("before", "--seeds", 1)
    monkeypatch.undo()
    again = workplace.promoted("before", "--again", "--seeds", 1, "--top", 1)
    assert (again["model_name"], again["registered_champion"]) == (before["model_name"], before["registered_champion"])
    assert client.get_model_version_by_alias("sweeper-tiny-older_space", "champion").tags["sweeper.study"] == "before"
