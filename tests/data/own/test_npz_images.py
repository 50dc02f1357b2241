import tracemalloc

import numpy as np
import pytest

from sweeper.data import test_set
from sweeper.data.own import npz_arrays, npz_images
from sweeper.data.source import DataSource
from sweeper.data.test_set import load_test_set
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError, UsageError
from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange
from tests.data.pictures import write_npz

RNG = np.random.default_rng(0)
# 0 and 255 are among them, so that each type has its whole range.
BYTES = RNG.permutation(np.arange(240) * 255 // 239).astype(np.uint8).reshape(6, 5, 8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def load(tmp_path, images, name="some.npz", **options):
    members = {"train_images": images, "train_labels": LABELS}
    return load_training_set(DataSource(str(write_npz(tmp_path / name, members)), DataOptions(**options)))


STORED = {
    "bytes": (BYTES, None),
    "whole numbers": (BYTES.astype(np.int64), ValueRange(0, 255)),
    "big-endian words": (BYTES.astype(">u2") * 257, ValueRange(0, 65535)),
    "words of 12 bits": ((BYTES * (4095 / 255)).round().astype("<u2"), ValueRange(0, 4095)),
    "short floats": (BYTES.astype(np.float16) / np.float16(255), ValueRange(0, 1)),
    "floats": (BYTES.astype(np.float32) / 255, ValueRange(0, 1)),
    "big-endian floats": (BYTES.astype(">f4") / np.float32(255), ValueRange(0, 1)),
    "floats to 255": (BYTES.astype(np.float64), ValueRange(0, 255)),
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", STORED)
def test_values_of_any_type_become_bytes(tmp_path, monkeypatch, stored, order):
    monkeypatch.setattr(npz_images, "CHUNK", 90)  # several chunks
    array, value_range = STORED[stored]
    found = load(tmp_path, np.asarray(array, order=order))
    np.testing.assert_array_equal(found.images[:, 0], BYTES)
    assert found.value_range == value_range
    assert found.conversions == (() if value_range is None else (value_range.conversion,))


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i8", "f4"])
def test_values_of_0_and_1_become_black_and_white(tmp_path, dtype):
    found = load(tmp_path, (BYTES > 128).astype(dtype))
    np.testing.assert_array_equal(found.images[:, 0], (BYTES > 128) * 255)
    assert (found.value_range, found.conversions) == (ValueRange(0, 1), ("values 0 to 1 to 8 bits",))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
def test_black_images_stay_black(tmp_path, dtype):
    assert not load(tmp_path, np.zeros((6, 5, 8), dtype)).images.any()


def test_range_that_is_given_holds_for_every_type(tmp_path):
    path = write_npz(
        tmp_path / "some.npz",
        {
            "train_images": BYTES - np.float32(100),
            "train_labels": LABELS,
            "test_images": np.full((1, 5, 8), 100.0),
            "test_labels": LABELS[:1],
        },
    )
    notes = []
    source = DataSource(str(path), DataOptions(value_range=ValueRange(-100, 100)))
    training_set = load_training_set(source, notify=notes.append)
    n_clipped = int((BYTES > 200).sum())
    assert notes == [f"clipped {n_clipped} of 240 values ({path}, train_images), which are outside of -100 to 100"]
    expected = (BYTES.astype(float) * 255 / 200).round().clip(0, 255)
    np.testing.assert_array_equal(training_set.images[:, 0], expected)
    test = load_test_set(source, pixel_format=training_set.pixel_format)
    assert np.unique(test.images).tolist() == [255]
    assert load(tmp_path, BYTES, value_range=ValueRange(0, 255)).value_range is None
    darker = load(tmp_path, BYTES, value_range=ValueRange(0, 510))
    np.testing.assert_array_equal(darker.images[:, 0], np.rint(BYTES / 2))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BYTES / 127.5 - 1, r"floats must lie in 0 to 1, .* got -1 to 1; .* --value-range -1,1 \(.*train_images\)"),
        (BYTES / 16, r"floats must lie in .* got 0 to 15.94; say .* --value-range 0,15.94 \("),
        (BYTES.astype("i2") - 100, r"integers must not be negative, got -100 to 155; .* --value-range -100,155 \("),
        (np.where(BYTES == 0, np.nan, BYTES), r"pixels must be finite, got nan in image \d \(.*; numpy.nan_to_num"),
        (np.where(BYTES == 0, np.inf, BYTES), r"pixels must be finite, got inf in image \d \("),
        (
            BYTES.astype("f4").astype("c8"),
            "images must be integers, floats or booleans of at most 64 bits, got complex64",
        ),
        (BYTES.astype("g"), "images must be integers, floats or booleans of at most 64 bits, got float128"),
        (np.zeros((6, 192), "u1"), r"may be images of 3 x 8 x 8 .*: give one of the options \(.*train_images\)"),
    ],
)
def test_values_that_do_not_tell_their_range_are_asked_for_and_others_refused(tmp_path, array, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, array)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_image_of_a_value_that_is_not_finite_is_named(tmp_path, order):
    images = np.asarray(BYTES / 255, order=order)
    images[4, 3, 2] = np.nan
    with pytest.raises(UsageError, match="got nan in image 4 "):
        load(tmp_path, images)


def test_opacity_is_put_on_the_background(tmp_path):
    colours = RNG.integers(0, 256, (6, 5, 8, 3), dtype=np.uint8)
    opacity = np.where(np.arange(8) < 4, 255, 0).astype(np.uint8) * np.ones((6, 5, 8), np.uint8)
    rgba = np.concatenate([colours, opacity[..., None]], -1)
    on_white, on_black = load(tmp_path, rgba), load(tmp_path, rgba, background="black")
    for found, value in ((on_white, 255), (on_black, 0)):
        np.testing.assert_array_equal(found.images, np.where(opacity[:, None], colours.transpose(0, 3, 1, 2), value))
    assert (on_white.conversions, on_black.conversions) == (("transparency on white",), ("transparency on black",))
    grey = load(tmp_path, np.stack([BYTES, opacity], 1), background="black")
    np.testing.assert_array_equal(grey.images[:, 0], np.where(opacity, BYTES, 0))
    assert grey.conversions == ("channels first", "transparency on black")


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_opacity_is_of_no_range_of_values(tmp_path, monkeypatch, order, is_first):
    monkeypatch.setattr(npz_arrays, "CHUNK", 70)  # pixels are cut by the ends of chunks
    opacity = RNG.permutation(np.arange(240) % 256).astype(np.uint8).reshape(BYTES.shape)
    opacity[0, 0, 0] = 255
    for most in (1, 100):
        colours = RNG.integers(0, most + 1, (3, *BYTES.shape), dtype=np.uint8)
        colours[0, 0, 0, 0] = most
        rgba = np.stack([*colours, opacity], 1 if is_first else -1)
        value_range = ValueRange(0, most)
        found = load(tmp_path, np.asarray(rgba, order=order), value_range=value_range if most > 1 else None)
        assert (found.value_range, found.scales_bytes) == (value_range, True)
        exact = (colours / most) * opacity + 255 - opacity
        assert np.abs(found.images - exact.transpose(1, 0, 2, 3)).max() <= 1  # two numbers are rounded


@pytest.mark.parametrize("dtype", ["u2", "i8", "f4", "?"])
@pytest.mark.parametrize("shape", [(6, 5, 8, 4), (6, 5, 8, 2), (6, 2, 5, 8)])
def test_further_bands_of_other_types_are_not_taken_for_opacity(tmp_path, shape, dtype):
    last = r"images\[:, :1\]" if shape[1] == 2 else rf"images\[\.\.\., :{shape[-1] - 1}\]"
    message = rf"channel {'2' if 2 in shape else '4'} of images counts as opacity in arrays of uint8 only, got .*{last}"
    with pytest.raises(UsageError, match=message):
        load(tmp_path, np.ones(shape, dtype))


@pytest.mark.parametrize("most", [0, 1, 100, 254])
def test_a_channel_that_is_opaque_nowhere_is_not_taken_for_opacity(tmp_path, most):
    rgbx = np.full((6, 5, 8, 4), 255, np.uint8)
    rgbx[..., 3] = RNG.integers(0, most + 1, BYTES.shape)
    rgbx[0, 0, 0, 3] = most
    with pytest.raises(UsageError, match=rf"opacity, which must be 255 .* got {most} at most \(.*; images\[..., :3\] "):
        load(tmp_path, rgbx)


def test_images_tell_whether_their_bytes_were_scaled(tmp_path):
    assert load(tmp_path, (BYTES > 128).astype(np.uint8)).scales_bytes
    assert load(tmp_path, BYTES, value_range=ValueRange(0, 100)).scales_bytes
    assert not load(tmp_path, BYTES).scales_bytes
    assert not load(tmp_path, BYTES > 128).scales_bytes
    assert not load(tmp_path, BYTES.astype("u2") * 257).scales_bytes


def test_other_readings_of_the_same_arrays_are_cached_apart(tmp_path):
    rows = RNG.integers(0, 256, (6, 192), dtype=np.uint8)
    first, last = load(tmp_path, rows, channels="first"), load(tmp_path, rows, channels="last")
    assert first.sha256 == last.sha256
    np.testing.assert_array_equal(first.images, rows.reshape(6, 3, 8, 8))
    np.testing.assert_array_equal(last.images, rows.reshape(6, 8, 8, 3).transpose(0, 3, 1, 2))
    assert first.conversions != last.conversions
    small = [load(tmp_path, rows, channels=channels, resize=4).images for channels in ("first", "last")]
    assert not np.array_equal(*small)
    shades = [load(tmp_path, BYTES, value_range=given, resize=4).images for given in (None, ValueRange(0, 510))]
    assert not np.array_equal(*shades)


def both(tmp_path, train, test):
    members = {"x_train": train, "y_train": LABELS, "x_test": test, "y_test": LABELS[: len(test)]}
    return DataSource(str(write_npz(tmp_path / "some.npz", members)))


def test_test_images_have_the_range_of_the_training_images_and_are_clipped_and_told(tmp_path):
    source, notes = both(tmp_path, BYTES.astype("u2") * 16, np.where(BYTES == 7, 5000, BYTES.astype("u2") * 8)), []
    training_set = load_training_set(source)
    assert training_set.value_range == ValueRange(0, 4095)
    test = load_test_set(source, pixel_format=training_set.pixel_format, notify=notes.append)
    n_clipped = int((BYTES == 7).sum())
    assert notes == [f"clipped {n_clipped} of 240 values ({source.dataset}, x_test), which are outside of 0 to 4,095"]
    expected = np.where(BYTES == 7, 255, np.rint(BYTES * (8 * 255 / 4095)))
    np.testing.assert_array_equal(test.images[:, 0], expected)
    assert test.sha256 == test_set.test_sha256(source)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (BYTES, BYTES / 255, "images must be integers like the training images, got floats .* store all parts as one"),
        (BYTES / 255, BYTES / 1, "must have values from 0 to 1 as the training images have, got 0 to 255 .*x_test"),
        (BYTES / 1, BYTES / 255, "must have values from 0 to 255 as the training images have, got 0 to 1 .*x_test"),
        (
            BYTES.astype("u2") * 257,
            BYTES,
            "must have values from 0 to 65,535 as the training images have, got 0 to 255",
        ),
        (BYTES, BYTES.astype("u2") * 257, "must have values from 0 to 255 as the training images have, got 0 to 65535"),
        ((BYTES > 99).astype("u1"), BYTES, "must have values from 0 to 1 as the training images have, got 0 to 255"),
    ],
)
def test_parts_on_different_scales_are_refused(tmp_path, train, test, message):
    source = both(tmp_path, train, test)
    training_set = load_training_set(source)
    with pytest.raises(SweeperError, match=message):
        load_test_set(source, pixel_format=training_set.pixel_format)


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_floats_are_converted_in_little_memory(tmp_path, order):
    images = np.zeros((2000, 28, 28), order=order)
    images[:, 3] = 1.0
    path = write_npz(tmp_path / "some.npz", {"x": images, "y": np.arange(2000) % 2})
    n_bytes, n_pixels = images.nbytes, images.size
    del images
    tracemalloc.start()
    try:
        load_training_set(DataSource(str(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A few chunks; in Fortran order, also all images as bytes: each is spread over the whole array.
    assert peak < (n_pixels + 8_000_000 if order == "F" else 8_000_000) < n_bytes
