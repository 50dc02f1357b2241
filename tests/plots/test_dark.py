import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.text import Text

from sweeper.plots import Plot
from sweeper.plots.dark import BACKGROUND, FOREGROUND, SCALES, darken
from sweeper.plots.panels import COLOURS, empty_figure
from tests.plots.drawn import draw
from tests.plots.test_plots import ARGUMENTS


def luminance(colour):
    """The relative luminance of the Web Content Accessibility Guidelines 2.2."""
    shares = np.array(to_rgb(colour))
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("function", ARGUMENTS)
def test_every_plot_is_legible_on_a_dark_page(function):
    figure = Plot(function, ARGUMENTS[function]).draw(dark=True)
    draw(figure)  # which makes the ticks
    assert contrast(figure.get_facecolor(), BACKGROUND) == pytest.approx(1)
    images = [axes for axes in figure.axes if axes.images]
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text()):
        if text.axes not in images:
            assert contrast(text.get_color(), BACKGROUND) >= 4.5, text
    for axes in figure.axes:
        assert all(contrast(line.get_color(), BACKGROUND) >= 3 for line in axes.lines)
        assert all(contrast(spine.get_edgecolor(), BACKGROUND) >= 4.5 for spine in axes.spines.values())
    for collection in figure.findobj(Collection):
        if collection.get_array() is None:
            assert all(contrast(colour[:3], BACKGROUND) >= 3 for colour in collection.get_facecolor())


@pytest.mark.parametrize("function", ARGUMENTS)
def test_a_plot_for_a_light_page_stays_black_on_white(function):
    figure = Plot(function, ARGUMENTS[function]).draw()
    assert to_rgb(figure.get_facecolor()) == (1, 1, 1)
    assert {to_rgb(text.get_color()) for text in figure.texts} <= {(0, 0, 0)}


def test_counts_are_legible_on_the_dark_scale_of_a_confusion_matrix():
    shares = np.linspace(0, 100, 20).round().astype(int)
    matrix = np.diag(shares)
    matrix[:, 0] += 100 - shares
    arguments = {"matrix": matrix.tolist(), "classes": [f"c{i}" for i in range(20)], "title": "t"}
    axes = Plot("confusion_matrix", arguments).draw(dark=True).axes[0]
    [image] = axes.images
    assert image.get_cmap() is SCALES["Blues"]
    for text in axes.texts:
        j, i = text.get_position()
        cell = image.cmap(image.norm(image.get_array()[i, j]))
        assert contrast(text.get_color(), cell[:3]) >= 3


def test_the_scale_of_a_dark_confusion_matrix_still_shows_percent():
    figure = Plot("confusion_matrix", ARGUMENTS["confusion_matrix"]).draw(dark=True)
    draw(figure)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()][-2:] == ["50 %", "100 %"]


def test_black_becomes_light_and_colours_stay():
    figure = empty_figure(3, 3)
    axes = figure.add_subplot()
    lines = [axes.plot([0, 1], [0, i], color=colour)[0] for i, colour in enumerate(COLOURS)]
    points = axes.scatter([0, 1], [0, 1], c=["black", "#0072B2"])
    darken(figure)
    shown = [FOREGROUND if colour == "#000000" else colour for colour in COLOURS]
    np.testing.assert_allclose([to_rgb(line.get_color()) for line in lines], [to_rgb(colour) for colour in shown])
    np.testing.assert_allclose(points.get_facecolor(), to_rgba_array([FOREGROUND, "#0072B2"]))


def test_what_is_not_filled_stays_so():
    figure = empty_figure(3, 3)
    (ring,) = figure.add_subplot().plot([0], [0], "o", markerfacecolor="none", markeredgecolor="black")
    darken(figure)
    assert ring.get_markerfacecolor() == "none"
    assert to_rgb(ring.get_markeredgecolor()) == to_rgb(FOREGROUND)
