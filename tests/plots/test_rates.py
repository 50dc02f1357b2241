import math

import numpy as np
import pytest
from matplotlib.axes import Axes

from sweeper.plots.rates import learning_rates
from tests.plots.drawn import AWKWARD_NAMES, DRAWN_NAMES, assert_nothing_overlaps, draw

STEPS = [0.0, 0.5, 1.0, 1.5]


def variant(name: str, rates: list[float], momenta: list[float] | None = None) -> dict:
    return {"name": name, "steps": STEPS[: len(rates)], "rates": rates, "momenta": momenta}


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_rate_holds_until_the_next_and_the_last_as_long_as_the_one_before_it():
    figure = learning_rates([variant("step", [0.1, 0.1, 0.05, 0.05])], "Learning rates")
    (axes,) = figure.axes
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-post"
    assert line.get_xdata().tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert line.get_ydata().tolist() == [0.1, 0.1, 0.05, 0.05, 0.05]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "Learning rate")
    assert figure.get_suptitle() == "Learning rates"
    assert_nothing_overlaps(figure)


def test_variants_with_the_same_curve_share_a_line_that_names_them_all():
    variants = [
        variant("baseline", [1e-3] * 4),
        variant("sgd", [1e-2] * 4, [0.9] * 4),
        variant("filters", [1e-3] * 4, [0.9] * 4),
        # The same rates, but half as long.
        variant("short", [1e-3] * 2),
    ]
    (axes,) = learning_rates(variants, "Learning rates").axes
    assert labels(axes) == ["baseline, filters", "sgd", "short"]
    assert [line.get_ydata()[0] for line in axes.lines] == [1e-3, 1e-2, 1e-3]
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 3


def test_momentum_has_a_panel_where_any_variant_cycles_it():
    variants = [
        variant("adam", [1e-3] * 4),
        variant("sgd", [1e-3] * 4, [0.9] * 4),
        variant("one_cycle", [1e-3] * 4, [0.95, 0.85, 0.9, 0.95]),
    ]
    figure = learning_rates(variants, "Learning rates")
    rates, momenta = figure.axes
    assert labels(rates) == ["adam, sgd, one_cycle"]
    assert labels(momenta) == ["sgd", "one_cycle"]
    assert [line.get_ydata().tolist()[:4] for line in momenta.lines] == [[0.9] * 4, [0.95, 0.85, 0.9, 0.95]]
    assert "Momentum" in momenta.get_ylabel()
    assert (rates.get_xlabel(), momenta.get_xlabel()) == ("", "Epoch")
    assert_nothing_overlaps(figure)
    assert len(learning_rates(variants[:2], "Learning rates").axes) == 1


@pytest.mark.parametrize(("lowest", "scale"), [(1e-3, "linear"), (1e-3 / 30, "linear"), (1e-3 / 31, "log")])
def test_the_axis_is_logarithmic_only_over_a_wide_range(lowest, scale):
    (axes,) = learning_rates([variant("a", [1e-3] * 4), variant("b", [lowest] * 4)], "Learning rates").axes
    assert axes.get_yscale() == scale
    assert ("logarithmic" in axes.get_ylabel()) == (scale == "log")
    low, high = axes.get_ylim()
    assert low < lowest <= 1e-3 < high


def test_a_fall_to_zero_leaves_the_rest_its_room():
    variants = [variant("cosine", [1e-2, 1e-3, 1e-9, 0.0]), variant("constant", [1e-4] * 4)]
    figure = learning_rates(variants, "Learning rates")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] == pytest.approx(1e-7)
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rates_that_are_not_finite_leave_a_gap(bad):
    figure = learning_rates([variant("a", [1e-3, bad, 1e-3, 1e-3]), variant("b", [bad] * 4)], "Learning rates")
    (axes,) = figure.axes
    assert np.isfinite(axes.lines[0].get_ydata()).tolist() == [True, False, True, True, True]
    assert axes.get_ylim() == pytest.approx((0, 1.06e-3))
    draw(figure)


def test_a_single_step_is_visible_as_a_point():
    (axes,) = learning_rates([variant("baseline", [1e-3])], "Learning rates").axes
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 1e-3]]
    assert axes.lines[0].get_marker() == "o"


@pytest.mark.parametrize("same", [False, True])
def test_awkward_names_stand_in_the_legend_as_far_as_fonts_have_them(usual_font_alone, same):
    names = AWKWARD_NAMES * 2
    variants = [
        variant(name, [1e-3 * (1 if same else 1 + i)] * 4, [0.9, 0.8, 0.7, 0.6]) for i, name in enumerate(names)
    ]
    figure = learning_rates(variants, "About $x$ and $y$. " * 12)
    expected = [",".join(DRAWN_NAMES * 2)] if same else DRAWN_NAMES * 2
    assert ["".join(label.split()) for label in labels(figure.axes[0])] == expected
    texts = [text for axes in figure.axes for text in axes.get_legend().get_texts()]
    assert not any(text.get_parse_math() for text in (*texts, *figure.texts))
    assert_nothing_overlaps(figure)


def test_twelve_curves_of_a_whole_training_stay_legible():
    steps = [i / 100 for i in range(1500)]
    variants = [
        {
            "name": f"variant {i}",
            "steps": steps,
            "rates": [1e-3 * (i + 1) * 0.9 ** int(step) for step in steps],
            "momenta": [0.95 - 0.1 * (step % (i + 1)) / (i + 1) for step in steps],
        }
        for i in range(12)
    ]
    figure = learning_rates(variants, "Learning rates")
    assert [len(axes.lines) for axes in figure.axes] == [12, 12]
    assert_nothing_overlaps(figure)


def test_learning_rates_need_variants_with_steps():
    with pytest.raises(ValueError, match="at least one variant"):
        learning_rates([], "Learning rates")
    with pytest.raises(ValueError, match=r"at least one step, got none \(variant relu\)"):
        learning_rates([variant("relu", [])], "Learning rates")


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="same first dimension"):
        learning_rates([variant("baseline", [1e-3] * 4) | {"steps": [0.0, 1.0]}], "Learning rates")
