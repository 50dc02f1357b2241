"""Studies of two data sets whose files have one name."""

import json

import numpy as np
import pytest

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
    assert models == ["sweeper-digits-tiny_space", f"sweeper-digits-tiny_space-{sha256}"]
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
