from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sweeper.analysis import images, network
from sweeper.errors import SweeperError, UsageError
from sweeper.promotion import study_data
from sweeper.studies import data_source, trial_records
from tests.data.pictures import deep_png, picture, write_folder


@pytest.fixture(scope="module")
def split(promoted):
    source = data_source.source_of(promoted.study, promoted.data_access)
    return study_data.load(promoted.study, source, lambda event: None)


def part_of(promoted, found, part=None):
    return images.part_of(promoted.store, found, part, data_access=promoted.data_access)


def test_network_of_a_promoted_study_is_looked_at_on_the_confirm_part(promoted, trial, split):
    found = part_of(promoted, trial)
    training_set, parts = split
    assert found.part == "confirm"
    assert np.array_equal(found.images, training_set.images[parts.confirm])
    assert np.array_equal(found.labels, training_set.labels[parts.confirm])
    assert found.described == "60 confirm images, which no choice has used"


def test_before_a_promotion_confirm_images_are_looked_at_only_when_named_and_with_a_warning(
    promoted, trial, monkeypatch
):
    monkeypatch.setattr(images.recorded, "find", lambda store, study: None)
    notes = []
    looked = {"data_access": promoted.data_access, "notify": notes.append}
    assert images.part_of(promoted.store, trial, None, **looked).part == "validation"
    assert notes == []
    assert images.part_of(promoted.store, trial, "confirm", **looked).part == "confirm"
    [warning] = notes
    assert warning.startswith("Study seen is not promoted yet: ")


@pytest.mark.parametrize("part", ["validation", "train"])
def test_another_part_is_given_when_it_is_named_and_says_what_it_was_used_for(promoted, trial, split, part):
    found = part_of(promoted, trial, part)
    training_set, parts = split
    assert np.array_equal(found.images, training_set.images[getattr(parts, part)])
    assert found.described.endswith(f" {part} images, {images.USED[part]}")


def test_parts_of_the_test_set_are_not_given(promoted, trial):
    with pytest.raises(UsageError, match="a part must be confirm, validation or train, got 'test'"):
        part_of(promoted, trial, "test")


@pytest.mark.parametrize("part", [None, "confirm", "validation"])
def test_refit_is_not_looked_at_on_images_that_it_has_learned_from(promoted, refit, part, monkeypatch):
    def find(store, name, option):
        raise UsageError(f"{name} has no weights ({option})")

    monkeypatch.setattr(images, "find", find)
    with pytest.raises(SweeperError, match="was refitted on all images of study seen") as refused:
        part_of(promoted, refit, part)
    named = str(refused.value).partition("train part alone (")[2][:32]
    fresh = network.find(promoted.store, named, "MODEL")
    assert (fresh.trained_on, fresh.trial) == ("train", refit.trial)


def test_a_trial_whose_weights_are_kept_is_named_in_place_of_its_refit(promoted, trial):
    [version] = [entrant.version for entrant in promoted.outcome.entrants if entrant.trial == trial.trial]
    refit = network.find(promoted.store, f"{promoted.outcome.model_name}/{version}", "MODEL")
    with pytest.raises(SweeperError, match=rf"has seen the train part alone \(seen:{trial.trial}\), or take --part"):
        part_of(promoted, refit)


def test_refit_may_be_looked_at_knowingly_on_trained_images(promoted, refit):
    assert part_of(promoted, refit, "train").part == "train"


def test_fresh_networks_are_those_of_the_first_seed_of_the_estimate(promoted):
    found = images.fresh_networks(promoted.store, promoted.study, promoted.outcome)
    roles = {e.alias or "baseline": e.trial for e in promoted.outcome.entrants if e.alias or e.is_baseline}
    assert {role: each.trial for role, each in found.items()} == roles
    assert all(each.trained_on == "train" for each in found.values())
    assert all(each.name == f"{_named(promoted, each.trial)}, seed 2 of seen" for each in found.values())


def _named(promoted, number):
    return trial_records.records(promoted.study)[number].name


def test_role_whose_weights_are_gone_is_left_out_with_the_reason(promoted):
    folder = promoted.store.root / "promotions"
    gone = list(folder.glob("*/trial-*-seed-2-*/model.safetensors"))
    notes = []
    for path in gone:
        path.rename(path.with_name("away"))
    try:
        assert not images.fresh_networks(promoted.store, promoted.study, promoted.outcome, notes.append)
    finally:
        for path in gone:
            path.with_name("away").rename(path)
    assert any(note.startswith("The weights of the champion's fresh seeds are gone: ") for note in notes)


def test_images_of_a_study_that_was_deleted_and_made_anew_are_not_those_of_the_network(promoted, trial):
    other = network.TrainedNetwork(**{**vars(trial), "study_id": "f" * 32})
    with pytest.raises(SweeperError, match="is of another study than the seen in this store"):
        part_of(promoted, other)


def test_network_without_a_study_needs_given_images(promoted, trial):
    alone = network.TrainedNetwork(**{**vars(trial), "study": None, "study_id": None, "trained_on": "unknown"})
    with pytest.raises(SweeperError, match=r"belongs to no study.*give images"):
        part_of(promoted, alone)


def test_fold_is_looked_at_on_its_own_validation_part(promoted, folded):
    number = trial_records.best(trial_records.records(folded), "accuracy").number
    first = network.find(promoted.store, f"folded:{number}", "MODEL")
    source = data_source.source_of(folded, promoted.data_access)
    for fold in range(3):
        training_set, parts = study_data.load(folded, source, lambda event: None, fold=fold)
        found = part_of(promoted, network.TrainedNetwork(**{**vars(first), "fold": fold}))
        assert found.part == "validation"  # there is no confirm part
        assert np.array_equal(found.images, training_set.images[parts.validation])


def from_paths(promoted, found, *paths, **options):
    return images.from_paths(paths, found, store=promoted.store, data_access=promoted.data_access, **options)


def test_given_files_are_read_in_the_networks_channels_without_labels(promoted, trial, tmp_path):
    grey, colour = tmp_path / "a.png", tmp_path / "b.png"
    picture(90, (28, 28)).save(grey)
    Image.new("RGB", (28, 28), (255, 0, 0)).save(colour)
    found = from_paths(promoted, trial, grey, colour)
    assert found.images.shape == (2, 1, 28, 28)
    assert found.images[0, 0, 1, 1] == 90
    assert found.images[1, 0, 1, 1] == 76  # ITU-R 601-2, as Pillow has it
    assert (found.labels, found.part, found.described) == (None, "given", "2 given images")
    assert found.files == (str(grey), str(colour))


def test_folder_of_class_folders_gives_labels(promoted, trial, tmp_path):
    root = write_folder(
        tmp_path / "mine",
        {f"class {label}/{n}.png": picture(9 * n + 90, (28, 28)) for n in range(2) for label in (7, 3)},
    )
    found = from_paths(promoted, trial, root)
    assert found.labels.tolist() == [3, 3, 7, 7]
    assert found.classes == promoted.dataset.classes


def test_folder_of_another_class_is_refused_with_the_networks_classes(promoted, trial, tmp_path):
    root = write_folder(tmp_path / "mine", {"sock/1.png": picture(90, (28, 28))})
    with pytest.raises(UsageError, match=r"must be named as classes of the network, got sock .* are class 0, class 1"):
        from_paths(promoted, trial, root)


def test_other_sizes_are_refused_unless_resizing_is_asked_for(promoted, trial, tmp_path):
    picture(90, (40, 20)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="must be 28x28 like the training images, got 20x40 "):
        from_paths(promoted, trial, tmp_path / "a.png")
    found = from_paths(promoted, trial, tmp_path / "a.png", resize=True)
    assert found.images.shape == (1, 1, 28, 28)
    assert found.images[0, 0, 0, 0] == 255  # padded with the study's background


def test_resizing_to_a_square_is_not_advised_to_a_network_of_other_images(promoted, trial, tmp_path):
    picture(90, (28, 28)).save(tmp_path / "a.png")
    wide = replace(trial, input_shape=(1, 28, 40))
    with pytest.raises(UsageError, match=r"must be 28x40 .*, got 28x28 .*; store them at that size$"):
        from_paths(promoted, wide, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"no image", "all files must be images: 1 is not"),
        ("a.png", deep_png(np.full((28, 28), 40_000)), "must have 8 bits a channel like the training images"),
        (None, b"", "must be files or folders that exist"),
    ],
)
def test_what_cannot_be_read_as_the_training_images_were_is_refused(promoted, trial, tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SweeperError, match=message):
        from_paths(promoted, trial, tmp_path / (name or "missing.png"))


def test_folder_without_images_and_one_with_images_beside_class_folders_are_refused(promoted, trial, tmp_path):
    with pytest.raises(UsageError, match="there must be at least one image, got none"):
        from_paths(promoted, trial, tmp_path)
    root = write_folder(tmp_path / "mine", {"class 1/1.png": picture(90, (28, 28)), "2.png": picture(90, (28, 28))})
    with pytest.raises(UsageError, match="images or folders of classes, got both"):
        from_paths(promoted, trial, root)
