import numpy as np
import pytest

from sweeper.data.own.npz_keys import keys_of
from sweeper.errors import SweeperError, UsageError
from tests.data.pictures import npy_claiming, write_npz

ARRAY = np.zeros((2, 3), np.uint8)


def keys(tmp_path, *names):
    return keys_of(write_npz(tmp_path / "some.npz", dict.fromkeys(names, ARRAY)))


@pytest.mark.parametrize(
    "names",
    [
        "train_images train_labels val_images val_labels test_images test_labels",
        "x_train y_train x_val y_val x_test y_test",
        "X_train Y_train X_valid Y_valid X_test Y_test",
        "xtrain ytrain xval yval xtest ytest",
        "XTrain YTrain XDev YDev XTest YTest",
        "trainImages trainLabels valImages valLabels testImages testLabels",
        "images_train labels_train images_validation labels_validation images_test labels_test",
        "train_data train_labels dev_data dev_labels eval_data eval_labels",
        "TRAIN_DATA TRAIN_TARGETS VALIDATION_DATA VALIDATION_TARGETS TEST_DATA TEST_TARGETS",
        "Xtr Ytr Xval Yval Xte Yte",
        "trainx trainy valx valy testx testy",
        "train_dataset train_labels valid_dataset valid_labels test_dataset test_labels",
        "train_set_x train_set_y valid_set_x valid_set_y test_set_x test_set_y",
        "training-img training-label val-img val-label holdout-img holdout-label",
        "train/images train/image_labels val/images val/image_labels test/images test/image_labels",
    ],
)
def test_parts_and_kinds_are_understood_in_the_customs_of_data_sets(tmp_path, names):
    found = keys(tmp_path, *names.split(), "class_names")
    read = [found.array(part, kind) for part in ("train", "val", "test") for kind in ("images", "labels")]
    assert read == names.split()
    assert found.has("val")
    assert found.has("test")
    assert (found.of_classes(), list(found.others), found.are_without_parts) == ("class_names", [], False)


@pytest.mark.parametrize("names", ["X y", "x y", "images labels", "data target", "data targets", "imgs labels", "X Y"])
def test_a_pair_without_a_part_is_the_training_part(tmp_path, names):
    for others in ((), ("test_x", "test_y")):
        found = keys(tmp_path, *names.split(), *others)
        assert [found.array("train", kind) for kind in ("images", "labels")] == names.split()
        assert found.are_without_parts == (not others)
        assert found.has("test") == bool(others)
        assert not found.has("val")


@pytest.mark.parametrize("name", ["classes", "class_names", "label_names", "target_names", "ClassNames", "CLASS NAMES"])
def test_class_names_have_several_usual_names(tmp_path, name):
    assert keys(tmp_path, "x", "y", name).of_classes() == name


def test_other_arrays_are_told(tmp_path):
    found = keys(tmp_path, "x_train", "y_train", "feature_names", "x_train_small", "notes", "train_test_images")
    assert list(found.others) == ["feature_names", "x_train_small", "notes", "train_test_images"]


@pytest.mark.parametrize("name", ["split", "is_train", "test_idx", "folds", "TrainMask"])
def test_an_array_that_divides_images_without_parts_is_not_passed_over(tmp_path, name):
    with pytest.raises(
        UsageError, match=rf"arrays of its own, got {name} beside images without a part \(.*; store the"
    ):
        keys(tmp_path, "X", "y", name).refuse_division()
    keys(tmp_path, "x_train", "y_train", name).refuse_division()


def test_one_array_without_a_part_beside_parts_is_no_second_reading(tmp_path):
    assert keys(tmp_path, "x_train", "y_train", "data").array("train", "images") == "x_train"


@pytest.mark.parametrize("others", ["images labels", "x_train y_train", "data", "dev_images dev_labels Xte"])
def test_arrays_of_the_plainest_names_are_read_whatever_else_there_is(tmp_path, others):
    named = [f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("images", "labels")]
    found = keys(tmp_path, *others.split(), *named)
    assert [found.array(part, kind) for part in ("train", "val", "test") for kind in ("images", "labels")] == named
    assert found.unused == others.split()
    assert keys(tmp_path, *named).unused == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("train_images x_train y_train", "the images of the train part, got train_images and x_train "),
        ("x_train y_train X y", "the images of the train part, got x_train and X "),
        ("data images target target_names", "the images of the train part, got data and images "),
        ("x_train y_train labels_train", "the labels of the train part, got y_train and labels_train "),
    ],
)
def test_two_readings_are_refused_with_both(tmp_path, names, message):
    found = keys(tmp_path, *names.split())
    with pytest.raises(UsageError, match=rf"^one array must hold {message}\(.*some.npz\); store the file without"):
        [found.array("train", kind) for kind in ("images", "labels")]


def test_two_arrays_of_class_names_are_refused_with_both(tmp_path):
    with pytest.raises(UsageError, match=r"hold the class names, got classes and label_names \(.*; store the file"):
        keys(tmp_path, "classes", "label_names").of_classes()


def test_a_file_with_other_keys_lists_those_found_and_those_understood(tmp_path):
    path = write_npz(tmp_path / "some.npz", {"arr_0": ARRAY, "arr_1": npy_claiming((3,), "|O"), "b": b"junk"})
    with pytest.raises(UsageError) as refusal:
        keys_of(path).array("train", "images")
    assert str(refusal.value) == (
        "the file must hold images and labels under names such as train_images and train_labels, x_train and y_train, "
        "images and labels, or X and y, got no train images among arr_0 (uint8, 2 x 3), arr_1 (no numbers or text), b "
        f"(no numbers or text) ({path}); numpy.savez(FILE, train_images=..., train_labels=...) names them"
    )


def test_a_part_with_images_or_labels_only_is_refused(tmp_path):
    found = keys(tmp_path, "x_train", "y_train", "x_val", "y_test")
    with pytest.raises(UsageError, match=r"got x_val and no val labels \(.*\); val_labels would be understood$"):
        found.has("val")
    with pytest.raises(UsageError, match=r"got y_test and no test images \(.*\); test_images would be understood$"):
        found.has("test")


def test_many_keys_are_listed_in_part_and_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"arr_9 \(uint8, 2 x 3\) and 30 more \("):
        keys(tmp_path, *(f"arr_{number}" for number in range(40))).array("train", "images")
    (tmp_path / "some.npz").write_bytes(b"PK")
    with pytest.raises(SweeperError, match=r"must be readable as .npz data"):
        keys_of(tmp_path / "some.npz")
