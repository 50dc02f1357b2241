import numpy as np
import pytest
from PIL import Image

from sweeper.data.source import DataSource
from sweeper.data.training_set import load_training_set
from sweeper.images.alpha import composited
from sweeper.images.options import DataOptions
from sweeper.images.pixels import Pixels
from sweeper.images.resize import fitted
from sweeper.images.scaling import to_bytes
from sweeper.images.value_range import ValueRange
from tests.data.pictures import write_npz

RNG = np.random.default_rng(0)
N, SIZE = 5, (6, 7)
GREY, COLOUR = Pixels([1, *SIZE], 255, None), Pixels([3, *SIZE], 255, None)


def images(channels, dtype=np.uint8, most=256):
    return RNG.integers(0, most, (N, channels, *SIZE)).astype(dtype)


def last(values):
    return values.transpose(0, 2, 3, 1)


def trained_on(values, *, grey, background="white"):
    """What training makes of images (n, 1 to 4, height, width)."""
    if values.shape[1] in (2, 4):
        values = composited(last(values), background).transpose(0, 3, 1, 2)
    files = [Image.fromarray(each[0] if len(each) == 1 else each.transpose(1, 2, 0)) for each in values]
    return np.stack([fitted(file, SIZE[::-1], grey=grey, fit="pad", background=255) for file in files])


def test_pixels_that_the_network_takes_are_passed_on_as_they_are():
    for pixels, values in ((GREY, images(1)), (COLOUR, images(3))):
        assert pixels.of(values) is values
        values.flags.writeable = False
        assert pixels.of(values).flags.writeable


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("grey", [True, False])
def test_images_of_any_channels_become_what_training_makes_of_them(channels, grey):
    values = images(channels)
    expected = trained_on(values, grey=grey)
    pixels = GREY if grey else COLOUR
    for given in (values, last(values), values.astype(np.int64), values.astype(object), last(values).tolist()):
        found = pixels.of(given)
        assert (found.dtype, found.flags["C_CONTIGUOUS"]) == (np.uint8, True)
        np.testing.assert_array_equal(found, expected)


def test_transparent_pixels_are_put_on_the_background_of_the_training_images():
    values = images(4)
    found = Pixels([3, *SIZE], 0, None).of(values)
    np.testing.assert_array_equal(found, trained_on(values, grey=False, background="black"))


def test_one_image_and_grey_images_need_no_further_dimension():
    values = images(1)
    for pixels in (GREY, COLOUR):
        np.testing.assert_array_equal(pixels.of(values[:, 0]), pixels.of(values))
        np.testing.assert_array_equal(pixels.of(values[0, 0]), pixels.of(values[:1]))
    colour = images(3)
    np.testing.assert_array_equal(COLOUR.of(colour[0]), colour[:1])
    np.testing.assert_array_equal(COLOUR.of(last(colour)[0]), colour[:1])
    np.testing.assert_array_equal(GREY.of(last(colour)[0]), GREY.of(colour[:1]))


@pytest.mark.parametrize(("pixels", "n_images"), [(GREY, 3), (GREY, 2), (COLOUR, 4), (COLOUR, 2)])
def test_array_that_may_be_one_image_or_several_is_refused(pixels, n_images):
    with pytest.raises(ValueError, match=f"may be one image or {n_images} grey ones: add the dimension"):
        pixels.of(images(1)[:n_images, 0])


@pytest.mark.parametrize("shape", [(N, 5, *SIZE), (N, 9, 8, 6), (7,), (), (1, N, 3, *SIZE), (N, 3, 0, 7)])
def test_array_of_another_shape_is_refused_with_what_is_wanted(shape):
    with pytest.raises(ValueError, match=r"images must be of 1 or 3 channels .*, best 6 high and 7 wide, got an array"):
        COLOUR.of(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(N, 42), (1, 42), (N, 1, 42), (N, 1, 1, 42), (N, 42, 1), (N, 126)])
def test_rows_of_pixels_are_not_taken_for_images(shape):
    with pytest.raises(ValueError, match=r"may hold an image in each row: reshape it to \(n, 3, 6, 7\)"):
        COLOUR.of(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(N, 3, 20, 1), (N, 2, 20, 3), (4, 20, 3), (3, 20, 30)])
def test_array_whose_channels_are_not_known_is_refused(shape):
    with pytest.raises(ValueError, match=r"may have its channels before or after|may be one image or . grey ones"):
        GREY.of(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("grey", [True, False])
def test_images_of_another_size_become_what_training_makes_of_them(fit, channels, grey):
    values = RNG.integers(0, 256, (N, channels, 30, 20), dtype=np.uint8)
    pixels = Pixels([1 if grey else 3, *SIZE], 0, None, fit=fit)
    opaque = composited(last(values), "black").transpose(0, 3, 1, 2) if channels in (2, 4) else values
    files = [Image.fromarray(each[0] if len(each) == 1 else each.transpose(1, 2, 0)) for each in opaque]
    expected = np.stack([fitted(file, SIZE[::-1], grey=grey, fit=fit, background=0) for file in files])
    for given in (values, last(values), last(values).astype(object)):
        np.testing.assert_array_equal(pixels.of(given), expected)
    np.testing.assert_array_equal(pixels.of(last(values)[0] if channels > 1 else values[0, 0]), expected[:1])
    if channels == 1:
        np.testing.assert_array_equal(pixels.of(values[:, 0]), expected)


def test_what_was_changed_is_told():
    def told(pixels, values):
        return pixels.converted(values)[1]

    assert told(COLOUR, images(3)) == told(COLOUR, last(images(3))) == told(GREY, images(1)) == ""
    assert told(COLOUR, images(1)) == "grey to colour"
    assert told(GREY, np.zeros((2, 3, 12, 14), np.uint8)) == "12x14 to 6x7, colour to grey"
    assert told(GREY, np.zeros((14, 12), np.uint8)) == "14x12 to 6x7, padded with white"
    assert told(COLOUR, images(4)) == "transparency on white"
    assert told(COLOUR, np.full((1, 4, *SIZE), 255)) == ""


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_stored_values_are_scaled_by_the_range_of_the_training_images_and_clipped(dtype):
    value_range = ValueRange(10, 1000)
    values = images(3, dtype, 1200)
    found = Pixels([3, *SIZE], 255, [10, 1000]).of(values)
    np.testing.assert_array_equal(found, to_bytes(values, value_range))
    bytes_ = images(3)
    np.testing.assert_array_equal(Pixels([3, *SIZE], 255, [10, 1000]).of(bytes_), bytes_)


def test_bytes_that_training_scaled_are_scaled():
    pixels = Pixels([1, *SIZE], 255, [0, 1], scales_bytes=True)
    values = images(1, np.uint8, 2)
    for given in (values, values.astype(bool), values.astype(np.float32), values.astype(np.int64)):
        np.testing.assert_array_equal(pixels.of(given), values * np.uint8(255))


@pytest.mark.parametrize("scales_bytes", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_becomes_of_an_image_does_not_depend_on_those_beside_it(channels, scales_bytes):
    for dtype in (np.uint8, np.uint16, np.int64):
        values = images(channels, dtype, 256)
        values[:3] //= 3  # dark images beside light ones
        pixels = Pixels([3, *SIZE], 255, [0, 100], scales_bytes)
        alone = [pixels.of(values[place : place + 1]) for place in range(N)]
        np.testing.assert_array_equal(pixels.of(values), np.concatenate(alone))


def test_opacity_is_that_of_the_type_whatever_the_range_of_values():
    for dtype, opaque, scales_bytes in ((np.uint16, 65535, False), (np.uint8, 255, True)):
        for most in (1, 100, opaque):
            values = np.concatenate([images(3, dtype, most + 1), images(1, dtype, opaque + 1)], axis=1)
            values[0, 3] = opaque
            exact = (values[:, :3] / most) * 255 * (values[:, 3:] / opaque) + 255 * (1 - values[:, 3:] / opaque)
            pixels = Pixels([3, *SIZE], 255, [0, most], scales_bytes)
            for given in (values, values.tolist()):  # numbers without a type are of the type of the training images
                assert np.abs(pixels.of(given) - exact).max() <= 1.5  # each of three numbers is rounded
    with pytest.raises(ValueError, match="images with transparency must be of type uint8 or uint16, got float32"):
        Pixels([1, *SIZE], 255, [0, 65535]).of(images(2, np.float32))
    for pixels, opaque in ((GREY, 255), (Pixels([1, *SIZE], 255, [0, 4095]), 65535)):
        with pytest.raises(ValueError, match=f"opacity must be from 0 to {opaque}, got 7 to 65536"):
            pixels.of(np.where(np.arange(7) < 3, np.full((1, 2, *SIZE), 7), 65536))


@pytest.mark.parametrize("value_range", [None, ValueRange(0, 1), ValueRange(0, 100)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_bytes_become_what_reading_them_for_training_made_of_them(tmp_path, channels, value_range):
    most = 255 if value_range is None else value_range.high
    values = images(channels, np.uint8, int(most) + 2 if most < 255 else 256)
    if value_range == ValueRange(0, 1):
        values[values == 2] = 1
    if channels in (2, 4):
        values[:, -1] = images(1)[:, 0]
        values[0, -1] = 255
    arrays = {"train_images": last(values), "train_labels": np.arange(N) % 2}
    source = DataSource(str(write_npz(tmp_path / "some.npz", arrays)), DataOptions(value_range=value_range))
    trained = load_training_set(source)
    assert trained.scales_bytes == (value_range is not None)
    limits = trained.value_range and [trained.value_range.low, trained.value_range.high]
    pixels = Pixels([*trained.images.shape[1:]], 255, limits, trained.scales_bytes)
    np.testing.assert_array_equal(pixels.of(values), trained.images)
    np.testing.assert_array_equal(pixels.of(values[1:2]), trained.images[1:2])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((N, 3, *SIZE), 0.5), "pixels must be whole numbers from 0 to 255, .* got float64 from 0.5 to 0.5"),
        (np.full((N, 3, *SIZE), 300), "pixels must be whole numbers from 0 to 255, .* got int64 from 300 to 300"),
        (np.full((N, 3, *SIZE), -1), "pixels must be whole numbers from 0 to 255, .* got int64 from -1 to -1"),
        (np.full((N, 3, *SIZE), np.nan), "images must hold finite numbers"),
        (np.full((N, 3, *SIZE), "1"), "images must hold numbers, got <U1"),
        ([np.zeros((3, 6, 7)).tolist(), np.zeros((3, 6, 8)).tolist()], "images must all have one shape"),
    ],
)
def test_what_holds_no_pixels_is_refused_with_what_it_holds(values, told):
    with pytest.raises(ValueError, match=told):
        COLOUR.of(values)


def test_black_and_white_is_taken():
    values = images(1, np.bool_, 2)
    np.testing.assert_array_equal(GREY.of(values), values * np.uint8(255))


def test_values_of_any_range_are_rounded_as_training_rounds_them():
    for _ in range(200):
        low, width = float(RNG.integers(-1000, 1000)) / 10, float(RNG.integers(1, 10_000)) / 10
        values = np.append(RNG.integers(0, 11, 50) / 10, [0.25, 0.75]) * width + low  # halves and quarters lie between
        values = values.reshape(1, 1, 1, -1)
        model = Pixels([1, 1, values.size], 255, [low, low + width])
        np.testing.assert_array_equal(model.of(values), to_bytes(values, ValueRange(low, low + width)))
