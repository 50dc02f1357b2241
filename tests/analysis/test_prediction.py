import os

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from sweeper.analysis import images, network, prediction
from sweeper.analysis.prediction import Prediction, Unreadable
from sweeper.errors import SweeperError, UsageError
from sweeper.images.preprocessing import Preprocessing
from sweeper.images.value_range import ValueRange
from sweeper.models.predictor import logits_of
from sweeper.promotion import study_data
from sweeper.studies import data_source
from tests.data.pictures import deep_png, encoded, picture, write_folder

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def champion(promoted):
    return network.find(promoted.store, f"{promoted.outcome.model_name}@champion", "MODEL")


def predict(promoted, found, *paths, **options):
    return list(prediction.predict_files(promoted.store, found, paths, **options))


def expected(found, pixels):
    """The probabilities of pixels (n, channels, height, width)."""
    return softmax(logits_of(found.network, np.asarray(pixels), torch.device("cpu")).astype(float), axis=1)


def test_training_images_written_to_files_are_predicted_as_the_network_predicts_them(promoted, champion, tmp_path):
    source = data_source.source_of(promoted.study, promoted.data_access)
    training_set, _ = study_data.load(promoted.study, source, lambda event: None)
    files = [tmp_path / f"{place}.png" for place in range(9)]
    for place, file in enumerate(files):
        Image.fromarray(training_set.images[place, 0]).save(file)
    shares = expected(champion, training_set.images[:9])
    found = predict(promoted, champion, *files, top=2, batch_size=4)
    for file, each, row in zip(files, found, shares, strict=True):
        order = np.argsort(-row)[:2]
        assert each == Prediction(
            str(file), tuple(champion.classes[place] for place in order), pytest.approx(tuple(row[order])), ""
        )


def test_photograph_of_another_size_is_fitted_as_for_training_and_told(promoted, champion, tmp_path):
    photo = Image.fromarray(RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "photo.png", exif=exif)
    [found] = predict(promoted, champion, tmp_path / "photo.png")
    assert found.changed == "64x48 to 28x28, padded with white, colour to grey, orientation by EXIF"
    given = images.from_paths([tmp_path / "photo.png"], champion, store=promoted.store, resize=True)
    assert found.probabilities == pytest.approx(np.sort(expected(champion, given.images)[0])[:-4:-1])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Preprocessing(fit="crop"), "48x64 to 28x28, cropped"),
        (Preprocessing(fit="stretch"), "48x64 to 28x28, stretched"),
        (Preprocessing(background="black"), "48x64 to 28x28, padded with black"),
    ],
)
def test_other_ways_of_fitting_are_those_of_the_training_images(promoted, champion, tmp_path, made, told):
    other = network.TrainedNetwork(**{**vars(champion), "preprocessing": made})
    values = RNG.integers(0, 256, (48, 64), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    [found] = predict(promoted, other, tmp_path / "a.png", top=10)
    assert found.changed == told
    [row] = prediction.probabilities(other, values)
    assert found.probabilities == pytest.approx(np.sort(row)[::-1])
    [of_array] = prediction.predict_images(other, values, top=10)
    assert (of_array.file, of_array.classes, of_array.changed) == (None, found.classes, told)


def test_folders_are_walked_and_what_is_unreadable_is_named_in_its_place(promoted, champion, tmp_path):
    root = write_folder(
        tmp_path / "mine",
        {"b/2.png": picture(90, (28, 28)), "b/1.png": picture(80, (28, 28)), "a.png": b"no image", "notes.txt": b"x"},
    )
    (tmp_path / "empty").mkdir()
    others = [str(tmp_path / "gone.png"), str(tmp_path / "empty")]
    found = predict(promoted, champion, root, *others)
    inside = [str(root / name) for name in ("a.png", "b/1.png", "b/2.png")]
    assert [each.file for each in found] == inside + others
    kinds = [type(each) for each in found]
    assert kinds == [Unreadable, Prediction, Prediction, Unreadable, Unreadable]
    assert (found[3].reason, found[4].reason) == ("No such file or directory", "a folder without images")


def test_bad_files_of_all_kinds_are_named_and_hinder_no_other(promoted, champion, tmp_path):
    good = encoded(picture(90, (28, 28)))
    photo = encoded(Image.fromarray(RNG.integers(0, 256, (90, 90, 3), dtype=np.uint8)), "JPEG")
    contents = {
        "empty.png": b"", "text.jpg": b"hello", "cut.jpg": photo[:900], "page.pdf": b"%PDF-1.7 ...",
        "phone.heic": b"\0\0\0\x18ftypheic", "huge.png": good[:16] + b"\0\1\0\0" * 2 + good[24:],
        "deep.png": deep_png(np.full((28, 28), 4000)),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "good.png").write_bytes(good)
    names = [*contents, "link.png", "pipe.png", "good.png"]
    *bad, last = predict(promoted, champion, *(tmp_path / name for name in names))
    assert (len(bad), {type(each) for each in bad}, type(last)) == (9, {Unreadable}, Prediction)
    assert [each.file for each in bad] == [str(tmp_path / name) for name in names[:-1]]
    assert all(each.reason and "\n" not in each.reason for each in bad)


def test_pixels_of_no_more_than_a_batch_are_held(promoted, champion, tmp_path, monkeypatch):
    files = [tmp_path / f"{place}.png" for place in range(7)]
    for file in files:
        picture(90, (28, 28)).save(file)
    sizes, real = [], prediction.logits_of

    def counted(network, pixels, device):
        sizes.append(len(pixels))
        return real(network, pixels, device)

    monkeypatch.setattr(prediction, "logits_of", counted)
    done = []
    found = prediction.predict_files(
        promoted.store, champion, files, batch_size=3, progress=lambda n, total: done.append((n, total))
    )
    next(found)
    assert sizes == [3]  # nothing is read ahead of who takes the predictions
    assert len(list(found)) == 6
    assert (sizes, done) == ([3, 3, 1], [(3, 7), (6, 7), (7, 7)])


def test_file_of_more_bits_is_scaled_by_the_range_of_the_training_images_or_refused(promoted, champion, tmp_path):
    values = RNG.integers(0, 4096, (28, 28))
    (tmp_path / "deep.png").write_bytes(deep_png(values))
    [refused] = predict(promoted, champion, tmp_path / "deep.png")
    assert refused.reason.startswith("more than 8 bits a channel, unlike the training images")
    deep = network.TrainedNetwork(**{**vars(champion), "preprocessing": Preprocessing(value_range=ValueRange(0, 4095))})
    [found] = predict(promoted, deep, tmp_path / "deep.png", top=10)
    assert found.changed == "values 0 to 4,095 to 8 bits"
    [row] = prediction.probabilities(deep, values.astype(np.uint16))
    assert found.probabilities == pytest.approx(np.sort(row)[::-1])


def test_range_of_values_is_asked_for_once_and_not_again_where_it_is_unknown(promoted, champion, tmp_path, monkeypatch):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(deep_png(np.full((28, 28), 4000)))
    asked = []

    def unknown(store, network):
        asked.append(network)
        raise SweeperError("the images are gone")

    monkeypatch.setattr(prediction, "value_range_of", unknown)
    found = predict(promoted, champion, tmp_path, batch_size=2)
    assert {each.reason for each in found} == {
        "more than 8 bits a channel, and their range is unknown: the images are gone"
    }
    assert len(asked) == 1


def test_array_that_is_no_image_is_refused(champion):
    with pytest.raises(UsageError, match="images must hold numbers"):
        prediction.probabilities(champion, np.full((28, 28), "1"))


def test_network_without_a_record_says_how_its_images_are_read(promoted, champion, tmp_path):
    picture(90, (28, 28)).save(tmp_path / "a.png")
    old = network.TrainedNetwork(**{**vars(champion), "preprocessing_from": "nothing"})
    notes = []
    predict(promoted, old, tmp_path / "a.png", notify=notes.append)
    assert notes == [
        f"{champion.name} was trained by an older sweeper, which did not record how its images were read: these are "
        "fitted by pad on white"
    ]
