import pytest

from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange


def test_a_map_and_a_least_number_of_images_are_stored_only_if_given():
    assert not {"map", "min_per_class"} & DataOptions().as_json().keys()
    options = DataOptions(map=(("b", ("x", "y")), ("a", ("z",))), min_per_class=5)
    # A list, since the order of the classes counts.
    assert options.as_json()["map"] == (("b", ("x", "y")), ("a", ("z",)))
    assert DataOptions.from_json(options.as_json()) == options
    assert DataOptions.from_json({"map": [["b", ["x", "y"]], ["a", ["z"]]], "min_per_class": 5}) == options


@pytest.mark.parametrize("stored", [[["a"]], [1], {"a": "b"}, 3])
def test_a_damaged_map_is_an_error(stored):
    with pytest.raises((TypeError, ValueError)):
        DataOptions.from_json({"map": stored})


def test_a_range_of_values_is_stored_only_if_given():
    assert "value_range" not in DataOptions().as_json()
    options = DataOptions(("ship", "car"), value_range=ValueRange(-1, 1))
    assert options.as_json()["value_range"] == {"low": -1, "high": 1}
    assert DataOptions.from_json(options.as_json()) == options


def test_background_and_orientation_are_stored_only_where_they_differ_from_the_usual():
    assert not {"background", "no_exif"} & DataOptions().as_json().keys()
    options = DataOptions(background="black", no_exif=True)
    assert options.as_json() == {**DataOptions().as_json(), "background": "black", "no_exif": True}
    assert DataOptions.from_json(options.as_json()) == options


@pytest.mark.parametrize("stored", [[0, 1], "01", None, {"low": 0}, {"low": 1, "high": 0}, {"low": 0, "high": "1"}])
def test_a_damaged_range_of_values_is_an_error(stored):
    with pytest.raises((TypeError, ValueError)):
        DataOptions.from_json({"value_range": stored})
