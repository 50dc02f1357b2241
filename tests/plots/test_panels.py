import itertools

import pytest

from sweeper.plots.panels import line_style


def test_no_two_lines_look_alike_even_without_colours():
    styles = [line_style(i, 12, 15) for i in range(12)]
    assert len({style["marker"] for style in styles}) == 12
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == 12
    # Neighbours differ in every respect.
    for one, next_one in itertools.pairwise(styles):
        assert not {name for name in ("color", "linestyle", "marker") if one[name] == next_one[name]}


@pytest.mark.parametrize("n_points", [26, 100, 11250])
def test_markers_of_long_lines_are_few_and_stand_apart(n_points):
    marked = [
        range(n_points)[start::every] for start, every in (line_style(i, 3, n_points)["markevery"] for i in range(3))
    ]
    assert all(6 <= len(points) <= 8 for points in marked)
    assert not set(marked[0]) & set(marked[1]) | set(marked[1]) & set(marked[2])
