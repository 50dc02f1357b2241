"""Studies whose networks start from pretrained weights, which stay the study's, and are not needed behind it."""

import numpy as np
import optuna
import pytest
from huggingface_hub import constants

from sweeper.analysis import network
from sweeper.analysis.images import part_of
from sweeper.store.options import StoreOptions
from sweeper.studies.attributes import SPEC
from tests.engine.inline import InlinePool
from tests.fake_data import fake_images
from tests.models.pretrained_weights import small, write, write_folder

SPACE = """
[protocol]
epochs = 2
confirm = 0.2

[model]
family = "timm"
model_name = "test_resnet"
{pretrained}

[train]
lr = {{ type = "float", low = 1e-3, high = 1e-2, log = true }}
batch_size = 32
freeze_epochs = 1

[variants.baseline]
lr = 1e-7
{baseline}
"""
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]


class Pretrained:
    """A place with grey images, a space file, and a folder of weights beside it."""

    def __init__(self, workplace, folder):
        self.workplace, self.folder = workplace, folder
        self.images = folder / "grey.npz"
        images, labels = fake_images(150, 3, 16, seed=0)
        np.savez(self.images, images=images.astype(np.uint8), labels=labels)

    def search(self, study, *more, pretrained='pretrained_file = "weights"', code=0, trials=2):
        space = self.folder / "mine.toml"
        baseline = "pretrained = false" if "choices" in pretrained else ""
        space.write_text(SPACE.format(pretrained=pretrained, baseline=baseline))
        options = f"--study {study} --trials {trials} --pruner none --keep 1 --jobs 1 --seed 2".split()
        return self.run("search", self.images, "--space", space, *options, *more, code=code)

    def run(self, *arguments, code=0):
        return self.workplace.run(*arguments, "--store", self.workplace.store, code=code)

    @property
    def store(self):
        return StoreOptions(self.workplace.store).resolve({})

    def error(self, *arguments):
        return self.run(*arguments, code=1).stderr.splitlines()[-1]


@pytest.fixture
def place(workplace, tmp_path):
    return Pretrained(workplace, tmp_path)


def test_weights_are_the_studys_until_its_end_and_not_needed_behind_it(place, monkeypatch):
    folder = write_folder(place.folder / "weights", small(), mean=MEAN, std=STD)
    monkeypatch.chdir("/")  # the path is relative to the space file
    told = place.search("filed").stderr
    assert f"Pretrained: test_resnet from {folder}, SHA-256 " in told
    assert "trained on images of 160x160, these have 16x16: input_size in [model] scales them" in told
    spec = optuna.load_study(study_name="filed", storage=f"sqlite:///{place.store.root}/optuna.db").user_attrs[SPEC]
    [weights] = spec["pretrained"].values()
    assert (weights["mean"], weights["std"]) == ([pytest.approx(0.5)], [pytest.approx(0.2)])  # of grey images
    repeated = ["train", "--from", "filed:1", "--jobs", 1]
    assert "equals that of trial filed:1 to the last bit" in place.run(*repeated).stdout
    assert place.run("promote", "filed", "--top", 1, "--seeds", 1, "--jobs", 1)

    write(folder / "model.safetensors", small(seed=1))
    InlinePool.made.clear()
    changed = (
        f"the pretrained weights test_resnet from {folder} have changed: their SHA-256 was {weights['sha256'][:12]}"
    )
    assert place.error(*repeated).startswith(f"Error: a trial of study filed cannot be repeated: {changed}")
    assert place.error("promote", "filed", "--again").startswith(f"Error: study filed cannot go on: {changed}")
    resumed = place.search("filed", trials=3, code=2).stderr.splitlines()[-1]
    assert "study filed was started with pretrained." in resumed
    assert "put the old weights back" in resumed
    (folder / "model.safetensors").unlink()
    assert f"{folder} holds no pretrained weights" in place.error("promote", "filed", "--again")
    assert not InlinePool.made

    kept = network.find(place.store, "filed:0", "MODEL")  # as good as trial 1, and before it
    assert part_of(place.store, kept, "validation").images.shape == (15, 1, 16, 16)
    assert kept.configuration.model.weights == f"test_resnet from {folder}"
    assert kept.network.mean.flatten().tolist() == pytest.approx([255 * 0.5])
    assert kept.network.std.flatten().tolist() == pytest.approx([255 * 0.2])


def test_study_of_an_older_sweeper_goes_on_with_the_mean_and_std_of_its_data(place, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place.folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = place.folder / "models--timm--test_resnet.r160_in1k"
    write(repository / "snapshots" / "1" / "model.safetensors", small(classes=1000))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1")
    place.search("older", "--offline", pretrained="pretrained = true")
    study = optuna.load_study(study_name="older", storage=f"sqlite:///{place.store.root}/optuna.db")
    spec = study.user_attrs[SPEC]
    assert list(spec["pretrained"]) == ["test_resnet"]
    # As an older sweeper has stored it.
    study.set_user_attr(SPEC, {name: value for name, value in spec.items() if name != "pretrained"})
    place.search("older", pretrained="pretrained = true", trials=3)
    study = optuna.load_study(study_name="older", storage=f"sqlite:///{place.store.root}/optuna.db")
    assert "pretrained" not in study.user_attrs[SPEC]
    assert InlinePool.made[-1].jobs[-1].pretrained is None


def test_weights_that_cannot_be_had_are_told_before_anything_is_trained(place, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place.folder))
    InlinePool.made.clear()
    pretrained = "pretrained = { choices = [false, true] }"
    told = place.search("none", "--offline", pretrained=pretrained, code=2).stderr.splitlines()[-1]
    assert told.startswith("Error: the pretrained weights of test_resnet are not in the hub's cache")
    assert "pretrained_file in [model]" in told
    assert not InlinePool.made
