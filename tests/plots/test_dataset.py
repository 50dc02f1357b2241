import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sweeper.plots.dataset import class_distribution, pixel_statistics, sample_grid
from tests.plots.drawn import AWKWARD_NAMES, assert_nothing_is_clipped, assert_nothing_overlaps


def images(n: int, channels: int = 3, size: int = 8) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


def test_the_distribution_has_a_panel_a_part_with_a_bar_a_class():
    figure = class_distribution({"training": [1200, 0, 30], "test": [5, 6, 0]}, ["cat", "dog", "elk"], "Images")
    training, test = figure.axes
    assert [bar.get_width() for bar in training.patches] == [1200, 0, 30]
    assert [text.get_text() for text in training.texts] == ["1,200", "0", "30"]
    assert [text.get_text() for text in test.texts] == ["5", "6", "0"]
    assert training.get_title() == "training: 1,230 images"
    assert [label.get_text() for label in training.get_yticklabels()] == ["cat", "dog", "elk"]
    # The first class is uppermost.
    assert training.get_ylim()[0] > training.get_ylim()[1]
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize(("n_classes", "n_named"), [(2, 2), (21, 21), (100, 100), (1000, 100)])
def test_the_distribution_of_any_number_of_classes_stays_legible(n_classes, n_named):
    names = [f"aquarium fish {i}" for i in range(n_classes)]
    figure = class_distribution({"training": [500] * n_classes}, names, "Images")
    assert_nothing_is_clipped(figure)
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == n_named
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in itertools.pairwise(labels))
    assert max(figure.get_size_inches()) < 20


def test_a_part_without_images_is_drawn():
    assert_nothing_is_clipped(class_distribution({"test": [0, 0]}, ["cat", "dog"], "Images"))


@pytest.mark.parametrize(("counts", "error"), [({}, "got none"), ({"test": [1]}, r"each of 2 classes, got 1 \(test\)")])
def test_a_distribution_without_a_number_for_each_class_is_refused(counts, error):
    with pytest.raises(ValueError, match=error):
        class_distribution(counts, ["cat", "dog"], "Images")


def test_grey_pixel_statistics_are_two_panels_with_their_scales():
    mean, std = np.linspace(0, 1, 12).reshape(1, 3, 4), np.linspace(0, 0.5, 12).reshape(1, 3, 4)
    figure = pixel_statistics(mean, std, "Pixels")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["mean", "standard deviation"]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), mean[0])
    np.testing.assert_array_equal(panels[1].images[0].get_array(), std[0])
    assert len(figure.axes) == 4
    assert_nothing_overlaps(figure)


def test_pixel_statistics_in_colour_show_each_channel_on_one_scale():
    mean = np.random.default_rng(0).uniform(0.3, 0.6, (3, 4, 4))
    figure = pixel_statistics(mean, mean / 4, "Pixels")
    panels = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.get_title()}
    np.testing.assert_allclose(panels["mean, in colour"].get_array(), mean.transpose(1, 2, 0))
    np.testing.assert_array_equal(panels["mean, blue"].get_array(), mean[2])
    assert {panels[f"mean, {name}"].get_clim() for name in ("red", "green", "blue")} == {(mean.min(), mean.max())}
    (brightened,) = (title for title in panels if title.startswith("standard deviation x"))
    assert brightened.endswith(f"x {4 / mean.max():.3g}")
    assert panels[brightened].get_array().max() == pytest.approx(1)
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_are_all_alike_have_pixel_statistics(channels):
    assert_nothing_overlaps(pixel_statistics(np.zeros((channels, 4, 4)), np.zeros((channels, 4, 4)), "Pixels"))


@pytest.mark.parametrize("shapes", [((1, 3, 3), (1, 3, 4)), ((2, 3, 3), (2, 3, 3)), ((3, 3), (3, 3))])
def test_pixel_statistics_of_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="must have one shape"):
        pixel_statistics(*map(np.zeros, shapes), "Pixels")


def test_a_grid_has_a_tile_of_images_for_each_class_under_its_name():
    samples = [images(9), images(4), images(0)]
    figure = sample_grid(samples, ["cat", "dog", "elk"], "Images")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["cat", "dog", "elk"]
    cat, dog = (image.get_array() for image in axes.images)
    assert cat.shape == dog.shape == (26, 26, 3)
    np.testing.assert_array_equal(cat[:8, :8], samples[0][0].transpose(1, 2, 0))
    np.testing.assert_array_equal(cat[18:, 9:17], samples[0][7].transpose(1, 2, 0))
    np.testing.assert_array_equal(dog[9:17, :8], samples[1][3].transpose(1, 2, 0))
    # Beside the images, and where there are too few of them, the page is white.
    assert (dog[18:] == 255).all()
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize(("n_classes", "channels"), [(1, 1), (10, 3), (100, 1)])
def test_any_number_of_classes_has_its_tiles_apart(channels, n_classes):
    names = [(AWKWARD_NAMES * 20)[i] for i in range(n_classes)]
    figure = sample_grid([images(2, channels)] * n_classes, names, "About $x and $y")
    assert_nothing_is_clipped(figure)
    (axes,) = figure.axes
    assert len(axes.images) == n_classes
    assert max(figure.get_size_inches()) < 20
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [text.get_window_extent(renderer) for text in axes.texts]
    tiles = [image.get_window_extent(renderer) for image in axes.images]
    boxes = [*names, *tiles]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert not any(text.get_parse_math() for text in axes.texts)


def test_of_many_classes_the_grid_shows_some_and_says_so():
    figure = sample_grid([images(1, 1, 2)] * 250, [f"class {i}" for i in range(250)], "Images")
    assert figure.get_suptitle() == "Images (100 of 250 classes)"
    names = [text.get_text() for text in figure.axes[0].texts]
    assert len(set(names)) == 100
    assert (names[0], names[-1]) == ("class 0", "class 249")


@pytest.mark.parametrize("n_samples", [0, 1])
def test_a_grid_without_images_for_each_class_is_refused(n_samples):
    with pytest.raises(ValueError, match=f"each of {2 * n_samples} classes, at least one, got {n_samples}"):
        sample_grid([images(1)] * n_samples, ["cat", "dog"][: 2 * n_samples], "Images")
