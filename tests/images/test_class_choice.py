import numpy as np
import pytest

from sweeper.errors import UsageError
from sweeper.images.class_choice import choose, class_counts
from sweeper.images.options import DataOptions

KNOWN = {"car": 30, "deer": 5, "ship": 20}
MAP = (("vehicle", ("ship", "car")), ("animal", ("deer",)))


def test_chosen_classes_are_those_named_in_their_order_or_else_all():
    assert choose(DataOptions(("ship", "car")), KNOWN).classes == ("ship", "car")
    assert choose(DataOptions(("ship", "car")), KNOWN).notes == [
        "--classes leaves out 1 of 3 classes, 5 of 55 training images: deer (5)"
    ]
    assert choose(DataOptions(), KNOWN).classes == tuple(KNOWN)
    assert choose(DataOptions(), KNOWN).labels_of(list(KNOWN)).tolist() == [0, 1, 2]
    assert choose(DataOptions(("ship", "car")), KNOWN).labels_of(list(KNOWN)).tolist() == [1, -1, 0]


def test_map_joins_renames_and_leaves_out_and_classes_choose_among_the_new_ones():
    choice = choose(DataOptions(map=MAP), KNOWN)
    assert (choice.classes, choice.notes) == (("vehicle", "animal"), [])
    assert choice.labels_of(list(KNOWN)).tolist() == [0, 1, 0]
    named = choose(DataOptions(("animal", "vehicle"), map=MAP), KNOWN)
    assert named.labels_of(list(KNOWN)).tolist() == [1, 0, 1]
    assert named.notes == []
    fewer = choose(DataOptions(map=(("a", ("ship",)), ("b", ("deer",)))), KNOWN | {"bee": 7})
    assert fewer.notes == ["--map leaves out 2 of 4 classes, 37 of 62 training images: car (30), bee (7)"]
    with pytest.raises(UsageError, match=r"unknown class car \(--classes; known: vehicle, animal\)"):
        choose(DataOptions(("car", "animal"), map=MAP), KNOWN)


def test_new_class_may_have_the_name_of_an_old_one_that_is_left_out():
    choice = choose(DataOptions(map=(("deer", ("ship",)), ("ship", ("car",)))), KNOWN)
    assert choice.labels_of(list(KNOWN)).tolist() == [1, -1, 0]


def test_old_name_that_the_data_lack_is_refused_with_the_nearest():
    options = DataOptions(map=(("a", ("shipp",)), ("b", ("car",))))
    with pytest.raises(UsageError, match=r"unknown class shipp; did you mean ship\? \(--map, for a; known: car, deer"):
        choose(options, KNOWN)


def test_old_name_of_test_images_only_is_known():
    assert choose(DataOptions(map=(("a", ("ship", "boat")), ("b", ("car",)))), KNOWN, {"boat"}).class_of["boat"] == "a"


def test_names_are_found_however_their_characters_are_spelled():
    known = {"e\u0301": 3, "x": 3}
    assert choose(DataOptions(("é", "x")), known).classes == ("e\u0301", "x")
    assert choose(DataOptions(map=(("a", ("é",)), ("b", ("x",)))), known).class_of == {"e\u0301": "a", "x": "b"}


def test_small_classes_are_left_out_and_told():
    choice = choose(DataOptions(min_per_class=20), KNOWN)
    assert choice.classes == ("car", "ship")
    assert choice.notes == ["--min-per-class 20 leaves out 1 of 3 classes, 5 of 55 training images: deer (5)"]
    # After joining, by the numbers of the new classes.
    joined = choose(DataOptions(map=(("a", ("deer", "ship")), ("b", ("car",))), min_per_class=25), KNOWN)
    assert joined.classes == ("a", "b")
    many = choose(DataOptions(min_per_class=10), KNOWN | {f"rare{n}": n for n in range(9)})
    assert many.notes[0].endswith(": rare8 (8), rare7 (7), rare6 (6), deer (5), rare5 (5), ...")


def test_fewer_than_two_classes_that_are_large_enough_are_refused():
    message = r"at least two classes must have 25 training images .*got 1; the largest are car with 30 and ship with 20"
    with pytest.raises(UsageError, match=message):
        choose(DataOptions(min_per_class=25), KNOWN)


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
        choose(DataOptions(classes), KNOWN)


def test_error_lists_only_the_first_of_many_classes_and_quotes_names_with_commas():
    known = {'a, "b"': 1} | {f"class {number:04}": 1 for number in range(1000)}
    with pytest.raises(UsageError, match=r'known: "a, ""b""", class 0000.*class 0018, and 981 more\)'):
        choose(DataOptions(("x", "y")), known)


def test_counts_are_of_labels_that_have_a_class():
    assert class_counts(np.array([0, 2, 2]), ["a", "b", "c"]) == {"a": 1, "b": 0, "c": 2}
    with pytest.raises(ValueError, match="zip"):
        class_counts(np.array([0, 3]), ["a", "b", "c"])
