import pytest

from sweeper.errors import UsageError
from sweeper.images.options import DataOptions, chosen_classes

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
