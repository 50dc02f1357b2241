import pytest

from sweeper.errors import UsageError
from sweeper.images.options import DataOptions, chosen_classes
from sweeper.images.value_range import ValueRange

KNOWN = ("car", "deer", "ship")


def test_chosen_classes_are_those_named_in_their_order_or_else_all():
    assert chosen_classes(DataOptions(("ship", "car")), KNOWN) == ("ship", "car")
    assert chosen_classes(DataOptions(), KNOWN) == KNOWN


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("car", "dear"), r"^unknown class dear; did you mean deer\? \(--classes; known: car, deer, ship\)$"),
        (("car", "\n"), r"^unknown class '\\n' \(--classes; known: car, deer, ship\)$"),
        (("car", "ship", "car"), r"^a class must be named once, got car, ship, car \(--classes\)$"),
        (("car",), r"^there must be at least two classes, got only car \(--classes\)$"),
    ],
)
def test_unknown_repeated_and_single_classes_are_refused(classes, message):
    with pytest.raises(UsageError, match=message):
        chosen_classes(DataOptions(classes), KNOWN)


def test_error_lists_only_the_first_of_many_classes():
    known = [f"class {number:04}" for number in range(1000)]
    with pytest.raises(UsageError, match=r"class 0019, and 980 more\)"):
        chosen_classes(DataOptions(("x", "y")), known)


def test_a_range_of_values_is_stored_only_if_given():
    assert "value_range" not in DataOptions().as_json()
    options = DataOptions(("ship", "car"), value_range=ValueRange(-1, 1))
    assert options.as_json()["value_range"] == {"low": -1, "high": 1}
    assert DataOptions.from_json(options.as_json()) == options


@pytest.mark.parametrize("stored", [[0, 1], "01", None, {"low": 0}, {"low": 1, "high": 0}, {"low": 0, "high": "1"}])
def test_a_damaged_range_of_values_is_an_error(stored):
    with pytest.raises((TypeError, ValueError)):
        DataOptions.from_json({"value_range": stored})
