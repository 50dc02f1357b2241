import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.images.class_names import listed, parsed, typed

NAMES = st.lists(st.text("ab,\"' -\\$é日", min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("car, deer,sea ship", ("car", "deer", "sea ship")),
        ("car ,deer ", ("car", "deer")),
        ('"Dresses, long",Skirts', ("Dresses, long", "Skirts")),
        ('Skirts, "Dresses, long" ', ("Skirts", "Dresses, long")),
        ('"cat ",cat', ("cat ", "cat")),
        ('5" pipe,"6"" pipe"', ('5" pipe', '6" pipe')),
        ("-dash,--help", ("-dash", "--help")),
        ("e\u0301,x", ("é", "x")),
    ],
)
def test_names_are_a_row_of_csv(text, names):
    assert parsed(text) == names


@pytest.mark.parametrize("text", ["", "car,", ",", "car,,deer", '"', '"a', '"a"b', '" ",b', "a\nb"])
def test_what_is_no_row_of_names_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parsed(text)


@given(NAMES)
def test_typed_names_are_read_as_they_were(names):
    (value,) = shlex.split(typed(names))
    assert parsed(value) == tuple(names)


def test_plain_names_are_typed_plainly_and_names_with_commas_are_quoted_in_messages():
    assert typed(["bus", "car"]) == "bus,car"
    assert typed(["a, b", "it's"]) == "'\"a, b\",it'\"'\"'s'"
    assert listed(["a, b", "c", "d"], 2) == '"a, b", c, and 1 more'
