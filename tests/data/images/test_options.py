import pytest

from sweeper.data.images.options import DataOptions, chosen_classes
from sweeper.errors import UsageError

KNOWN = ("car", "deer", "ship")


def test_classes_are_those_named_in_that_order_or_all():
    assert chosen_classes(DataOptions(("ship", "car")), KNOWN) == ("ship", "car")
    assert chosen_classes(DataOptions(), KNOWN) == KNOWN


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("car", "dear"), r"^unknown class dear; did you mean deer\? Known: car, deer, ship \(--classes\)$"),
        (("car", "\n"), r"^unknown class '\\n'.* \(--classes\)$"),
        (("car", "ship", "car"), r"^a class must be named once, got car, ship, car \(--classes\)$"),
        (("car",), r"^there must be at least two classes, got only car \(--classes\)$"),
    ],
)
def test_classes_that_cannot_be_had_are_refused(classes, message):
    with pytest.raises(UsageError, match=message):
        chosen_classes(DataOptions(classes), KNOWN)


def test_of_many_classes_the_first_are_listed():
    known = [f"class {number:04}" for number in range(1000)]
    with pytest.raises(UsageError, match=r"class 0019, and 980 more \(--classes\)"):
        chosen_classes(DataOptions(("x", "y")), known)
