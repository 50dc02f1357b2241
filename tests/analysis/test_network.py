import json
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sweeper.analysis import network
from sweeper.errors import SweeperError, UsageError
from sweeper.images.options import DataOptions
from sweeper.images.preprocessing import Preprocessing
from sweeper.images.value_range import ValueRange
from sweeper.models.predictor import logits_of
from sweeper.promotion import study_data
from sweeper.store.options import StoreOptions
from sweeper.studies import data_source, trial_records
from sweeper.studies.queries import find_study
from sweeper.tracking import trained_runs
from sweeper.tracking.client import connect

ID = "0123456789abcdef" * 2


def champion_name(promoted):
    return promoted.outcome.model_name


def find(promoted, reference):
    return network.find(promoted.store, reference, "MODEL")


def best_trial(promoted):
    return trial_records.best(trial_records.records(promoted.study), "accuracy").number


@pytest.mark.parametrize("prefix", ["", "models:/"])
def test_registered_model_is_found_by_alias_and_by_version(promoted, prefix):
    name = champion_name(promoted)
    version = promoted.outcome.entrants[0].version
    by_alias = find(promoted, f"{prefix}{name}@champion")
    by_version = find(promoted, f"{prefix}{name}/{version}")
    assert by_alias.name == f"{name}@champion (version {version})"
    assert by_version.name == f"{name}/{version}"
    assert by_alias.run_id == by_version.run_id
    assert (by_alias.study, by_alias.trained_on) == ("seen", "pool")
    assert by_alias.trial == promoted.outcome.entrants[0].trial
    assert by_alias.classes == promoted.dataset.classes
    assert by_alias.input_shape == (1, 28, 28)


def test_kept_trial_is_found_by_study_and_number_and_gives_the_scores_that_its_run_has(promoted):
    number = best_trial(promoted)
    found = find(promoted, f"seen:{number}")
    assert (found.name, found.trial, found.trained_on) == (f"trial {number} of seen", number, "train")
    record = trial_records.records(promoted.study)[number]
    assert (found.run_id, found.seed, found.configuration) == (record.run_id, record.seed, record.configuration)
    source = data_source.source_of(promoted.study, promoted.data_access)
    training_set, split = study_data.load(promoted.study, source, lambda event: None)
    images, labels = training_set.images[split.validation], training_set.labels[split.validation]
    logits = logits_of(found.network, images, torch.device("cpu"))
    assert (logits.argmax(1) == labels).mean() == pytest.approx(record.value)


def test_networks_of_a_study_with_a_test_flip_give_its_scores_by_image_and_mirror_image(promoted):
    options = ["--set", "test_flip=true", "--set", "ema_decay=0.9", "--set", "lr=0.01", "--trials", "1", "--keep", "1"]
    promoted.workplace.search("flipped", *options)
    outcome = promoted.workplace.promoted("flipped", "--top", 1, "--seeds", 1)
    study = find_study(promoted.store, "flipped")
    source = data_source.source_of(study, promoted.data_access)
    training_set, split = study_data.load(study, source, lambda event: None)
    trial = find(promoted, "flipped:0")
    [record] = trial_records.records(study)
    images, labels = training_set.images[split.validation], training_set.labels[split.validation]
    logits = logits_of(trial.network, images, torch.device("cpu"))
    assert (logits.argmax(1) == labels).mean() == pytest.approx(record.value)
    mirrored = logits_of(trial.network, images[..., ::-1].copy(), torch.device("cpu"))
    np.testing.assert_allclose(mirrored, logits, atol=1e-5)
    registered = find(promoted, f"{outcome['model_name']}@champion")
    assert registered.network.test_flip


def test_trial_and_its_run_are_the_same_network(promoted):
    trial = find(promoted, f"seen:{best_trial(promoted)}")
    run = find(promoted, trial.run_id)
    assert run.run_id == trial.run_id
    assert run.name == f"trial {trial.trial} of seen"


def test_network_of_a_fresh_seed_is_found_by_its_run_though_its_weights_lie_in_the_store(promoted):
    client = connect(promoted.store)
    run = fresh_run(promoted, client)
    found = find(promoted, run.info.run_id)
    assert (found.trained_on, found.study) == ("train", "seen")
    assert not client.list_artifacts(run.info.run_id, "weights")


def test_trial_without_weights_is_refused_and_those_with_weights_are_named(promoted):
    best = best_trial(promoted)
    other = next(number for number in range(3) if number != best)
    with pytest.raises(UsageError) as refused:
        find(promoted, f"seen:{other}")
    assert str(refused.value).startswith(f"trial {other} of seen has no weights: ")
    assert str(refused.value).endswith(f"; trials of seen with weights: {best}")


def test_runs_that_mlflow_does_not_have_are_not_among_those_with_weights(promoted):
    kept = find(promoted, f"seen:{best_trial(promoted)}").run_id
    assert trained_runs.with_weights(promoted.store, [ID, kept]) == [kept]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("seen:99", "study seen has no trial 99"),
        ("unseen:1", "no study 'unseen' in this store; it has seen"),
        (ID, f"MLflow has no run {ID} (MODEL)"),
        ("nosuch@champion", "MLflow has no registered model nosuch@champion (MODEL); there are "),
        ("seen", "a trained network must be named as NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL"),
        ("a\nb", "a trained network must be named as"),
        ("x" * 5000, "a trained network must be named as"),
    ],
)
def test_what_names_no_network_is_refused_in_one_line(promoted, reference, message):
    with pytest.raises(UsageError) as refused:
        find(promoted, reference)
    assert str(refused.value).startswith(message)
    assert str(refused.value).isprintable()


def test_model_that_does_not_exist_is_refused_with_those_that_do(promoted):
    with pytest.raises(UsageError, match=f"there are .*{champion_name(promoted)}@champion"):
        find(promoted, "nosuch@champion")


def test_run_of_a_study_is_no_network_and_those_below_it_are_named(promoted):
    client = connect(promoted.store)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    [run] = client.search_runs([experiment], "tags.`sweeper.kind` = 'study' AND tags.`sweeper.study` = 'seen'")
    with pytest.raises(UsageError, match=r"is of no training, it has no config\.json: give a run below it: "):
        find(promoted, run.info.run_id)


def test_store_without_runs_has_no_networks(tmp_path):
    with pytest.raises(UsageError, match="has no runs yet"):
        network.find(StoreOptions(tmp_path / "new").resolve({}), ID, "MODEL")
    assert not (tmp_path / "new").exists()


def test_training_of_a_fold_is_found_as_that_of_the_fold(promoted, folded):
    number = trial_records.best(trial_records.records(folded), "accuracy").number
    first = find(promoted, f"folded:{number}")
    assert (first.name, first.fold) == (f"trial {number} of folded, fold 1", 0)
    runs = dict(trained_runs.below(promoted.store, trial_records.records(folded)[number].run_id, "MODEL"))
    run_id = next(run_id for run_id, tags in runs.items() if tags["sweeper.trial"] == f"{number}, fold 3")
    third = find(promoted, run_id)
    assert (third.study, third.trial, third.fold, third.trained_on) == ("folded", number, 2, "train")


@pytest.mark.parametrize(
    ("tags", "part"),
    [
        ({"sweeper.study": "seen", "sweeper.trial": "1"}, "train"),
        ({"sweeper.study": "seen", "sweeper.trial": "1", "sweeper.part": "pool"}, "pool"),
        # Networks of an ablation are no trial's.
        ({"sweeper.study": "seen", "sweeper.set_back": "lr", "sweeper.part": "train"}, "train"),
        ({"sweeper.study": "seen", "sweeper.trial": "1", "sweeper.part": "moon"}, "unknown"),
        ({"sweeper.trial": "1"}, "unknown"),
    ],
)
def test_part_that_a_training_has_learned_from_is_told_by_its_tags(tags, part):
    assert network._trained_on(tags) == part


@contextmanager
def config_of(promoted, run_id):
    """The file with a run's configuration, which is as before at the end."""
    path = promoted.store.artifacts / "tiny" / run_id / "artifacts" / "config.json"
    before = path.read_text()
    try:
        yield path
    finally:
        path.write_text(before)


def test_how_training_images_were_read_is_what_the_run_has_recorded(promoted):
    found = find(promoted, f"{champion_name(promoted)}@champion")
    assert (found.preprocessing, found.preprocessing_from) == (Preprocessing(), "run")
    made = {"fit": "crop", "background": "black", "exif": False, "value_range": {"low": 0, "high": 4095}}
    with config_of(promoted, found.run_id) as path:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"preprocessing": made}))
        changed = find(promoted, found.run_id).preprocessing
    assert changed == Preprocessing("crop", "black", exif=False, value_range=ValueRange(0, 4095))


def test_run_of_an_older_sweeper_has_the_preprocessing_of_its_study_or_the_default(promoted, monkeypatch):
    found = find(promoted, f"{champion_name(promoted)}@champion")
    older = DataOptions(fit="stretch", no_exif=True)
    monkeypatch.setattr(network, "spec_of", lambda study: SimpleNamespace(data_options=older))
    with config_of(promoted, found.run_id) as path:
        config = json.loads(path.read_text())
        del config["preprocessing"]
        path.write_text(json.dumps(config))
        old = find(promoted, found.run_id)
        assert (old.preprocessing, old.preprocessing_from) == (Preprocessing("stretch", exif=False), "study")
        client = connect(promoted.store)
        client.set_tag(found.run_id, "sweeper.study", "gone")
        try:
            alone = find(promoted, found.run_id)
        finally:
            client.set_tag(found.run_id, "sweeper.study", "seen")
        assert (alone.preprocessing, alone.preprocessing_from) == (Preprocessing(), "nothing")


def fresh_run(promoted, client):
    experiment = client.get_experiment_by_name("tiny").experiment_id
    return client.search_runs([experiment], "tags.`sweeper.part` = 'train' AND tags.`sweeper.study` = 'seen'")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": "abc"}, "config.classes should be a valid"),
        ({"input_shape": [1, 28]}, "config.json"),
        ({"model": {"family": "resnet"}}, "family must be one of"),
        ({"input_shape": [1, 40, 40]}, "of another network"),
        ({"seed": "x" * 5000}, "seed"),
        ({"preprocessing": {"fit": "twist"}}, "config.json.preprocessing.fit should be 'pad', 'crop' or 'stretch'"),
        ({"preprocessing": {"value_range": {"low": 2, "high": 1}}}, "the lower first"),
        ({"pixels": {"mean": [0.1], "std": [0.0]}}, "std greater than 0"),
        ({"pixels": {"mean": [1e308], "std": [0.1]}}, "mean must be finite"),
        ({"pixels": {"mean": [0.1] * 3, "std": [0.1] * 3}}, "as many values as images have channels, 1, got"),
        ({"pixels": {"mean": [], "std": []}}, "as many values as images have channels, 1, got"),
        ({"classes": ["a"] * 10}, "config.json.classes must differ from each other, got a, a"),
        (None, "config.json"),
    ],
)
def test_damaged_description_of_a_network_is_refused_in_one_line(promoted, change, message):
    client = connect(promoted.store)
    run = fresh_run(promoted, client)
    with config_of(promoted, run.info.run_id) as path:
        path.write_text("[" * 5000 if change is None else json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(SweeperError) as refused:
            find(promoted, run.info.run_id)
    assert "cannot be loaded: " in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable()


def test_damaged_weights_in_mlflow_are_refused_by_the_name_of_their_run(promoted):
    found = find(promoted, f"{champion_name(promoted)}@champion")
    path = promoted.store.artifacts / "tiny" / found.run_id / "artifacts" / "weights" / "model.safetensors"
    before = path.read_bytes()
    refusals = []
    try:
        for content in (before[:-4] + np.float32(np.nan).tobytes(), before[:-4]):
            path.write_bytes(content)
            with pytest.raises(SweeperError) as refused:
                find(promoted, found.run_id)
            refusals.append(str(refused.value))
    finally:
        path.write_bytes(before)
    where = f"the weights weights/model.safetensors of run {found.run_id}"
    assert f"{where} are damaged: the values of " in refusals[0]
    assert f"{where} cannot be read: " in refusals[1]


def test_weights_are_read_from_no_other_folder_than_the_studys_own(promoted, tmp_path):
    client = connect(promoted.store)
    run = fresh_run(promoted, client)
    key = run.data.tags["sweeper.training"]
    own = promoted.store.training_folder("seen", find(promoted, run.info.run_id).study_id, key)
    shutil.copytree(own, promoted.store.root / "promotions" / "other")
    client.set_tag(run.info.run_id, "sweeper.training", "../other")
    try:
        with pytest.raises(SweeperError, match="is no file of seen"):
            find(promoted, run.info.run_id)
    finally:
        client.set_tag(run.info.run_id, "sweeper.training", key)
        shutil.rmtree(promoted.store.root / "promotions" / "other")
