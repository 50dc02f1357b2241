import numpy as np
import pytest

from sweeper.images.array_layout import layout_of

RNG = np.random.default_rng(0)


def laid_out(shape, channels=None):
    """Random values of this shape as (n, channels, height, width), as their layout says."""
    values = RNG.integers(0, 256, shape, dtype=np.uint8)
    layout = layout_of(shape, channels)
    found = layout.arranged(values).transpose(0, 3, 1, 2)
    assert found.shape == (layout.n, layout.channels, layout.height, layout.width)
    return values, found


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
def test_channels_are_found_first_or_last(n_channels):
    values, found = laid_out((6, 8, 9, n_channels))
    np.testing.assert_array_equal(found, values.transpose(0, 3, 1, 2))
    values, found = laid_out((6, n_channels, 8, 9))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("shape", "stored"),
    [((6, 8, 9), (6, 8, 9)), ((6, 3, 4), (6, 3, 4)), ((6, 81), (6, 9, 9)), ((6, 4096), (6, 64, 64))],
)
def test_images_without_channels_and_square_rows_are_grey(shape, stored):
    values, found = laid_out(shape)
    np.testing.assert_array_equal(found[:, 0], values.reshape(stored))


def test_low_colour_images_have_their_channels_last_as_they_always_had():
    for shape in [(6, 4, 5, 3), (6, 2, 2, 1)]:
        assert not layout_of(shape, None).is_first


@pytest.mark.parametrize("shape", [(6, 3, 9, 3), (6, 3, 3, 3), (6, 1, 9, 3), (6, 3, 9, 4), (6, 4, 9, 4), (6, 1, 9, 1)])
def test_images_that_can_be_read_in_two_ways_are_asked_for(shape):
    _, first, middle, last = shape
    readings = (
        rf"{middle} x {last} pixels with {first} channels \(--channels first\) .* {first} x {middle} with {last} "
    )
    with pytest.raises(ValueError, match=readings):
        layout_of(shape, None)
    values, found = laid_out(shape, "first")
    np.testing.assert_array_equal(found, values)
    values, found = laid_out(shape, "last")
    np.testing.assert_array_equal(found, values.transpose(0, 3, 1, 2))


def test_rows_of_three_channels_are_asked_for():
    with pytest.raises(
        ValueError, match=r"rows of 192 .* 3 x 8 x 8 \(--channels first, .* 8 x 8 x 3 \(--channels last"
    ):
        layout_of((6, 192), None)
    values, found = laid_out((6, 192), "first")
    np.testing.assert_array_equal(found, values.reshape(6, 3, 8, 8))
    values, found = laid_out((6, 192), "last")
    np.testing.assert_array_equal(found, values.reshape(6, 8, 8, 3).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
def test_images_whose_pixels_may_be_one_axis_are_asked_for(n_channels):
    for shape, channels, other in (
        ((6, n_channels, 1024), "first", "last"),
        ((6, 1024, n_channels), "last", "first"),
    ):
        sizes = f"{n_channels} x 32 x 32" if channels == "first" else f"32 x 32 x {n_channels}"
        grey = " x ".join(map(str, shape[1:]))
        for given in (None, other):
            with pytest.raises(
                ValueError,
                match=rf"{sizes} \(--channels {channels}\) or grey ones of {grey}: .*, 1\) with --channels last$",
            ):
                layout_of(shape, given)
        assert layout_of((*shape, 1), "last").shape == (6, 1, *shape[1:])
        values, found = laid_out(shape, channels)
        expected = values if channels == "first" else values.transpose(0, 2, 1)
        np.testing.assert_array_equal(found, expected.reshape(6, n_channels, 32, 32))


@pytest.mark.parametrize(
    ("shape", "channels", "message"),
    [
        ((), None, r"images must have shape \(n, height, width\), .* got \(\)"),
        ((6,), None, r"images must have shape \(n, height, width\), .* got \(6\)$"),
        ((6, 28, 28, 1, 3), None, r"got \(6, 28, 28, 1, 3\); 3-D volumes cannot be used: make each slice an image"),
        ((6, 28, 28, 28), None, r"1 to 4 channels, got \(6, 28, 28, 28\); 3-D volumes and images of more bands cannot"),
        (
            (32, 32, 3, 60),
            None,
            r"must be counted by the first axis, got \(32, 32, 3, 60\); numpy.moveaxis makes the last",
        ),
        ((6, 28, 28, 13), "last", r"1 to 4 channels, got 13 of \(6, 28, 28, 13\) \(--channels\)"),
        ((6, 28, 28, 3), "first", r"1 to 4 channels, got 28 of \(6, 28, 28, 3\) \(--channels\)"),
        (
            (6, 785),
            None,
            r"rows must be square images, .* got rows of 785 values; reshape them to \(n, height, width\)",
        ),
        ((0, 28, 28), None, r"at least one image, got shape \(0, 28, 28\)"),
        ((6, 0), None, r"at least one image, got shape \(6, 0\)"),
    ],
)
def test_shapes_that_are_none_of_images_are_refused(shape, channels, message):
    with pytest.raises(ValueError, match=message):
        layout_of(shape, channels)


@pytest.mark.parametrize(
    ("shape", "channels", "told"),
    [
        ((6, 8, 9), None, ()),
        ((6, 8, 9, 3), None, ()),
        ((6, 3, 8, 9), None, ("channels first",)),
        ((6, 81), None, ("rows of 81 values to 9x9 pixels",)),
        ((6, 3, 1024), "first", ("rows of 3,072 values to 3x32x32 pixels, channels first",)),
        ((6, 3072), "first", ("rows of 3,072 values to 3x32x32 pixels, channels first",)),
    ],
)
def test_conversions_tell_what_is_not_the_usual_layout(shape, channels, told):
    assert layout_of(shape, channels).conversions == told


def test_opacity_is_no_channel_of_the_images():
    assert layout_of((6, 8, 9, 4), None).shape == (6, 3, 8, 9)
    assert layout_of((6, 2, 8, 9), None).shape == (6, 1, 8, 9)
    assert not layout_of((6, 8, 9, 3), None).has_opacity
