import pytest

from sweeper.errors import MOST_SHOWN, plain, shortened


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lr", "lr"),
        ("two words", "two words"),
        ("é", "é"),
        ("a\nb", "'a\\nb'"),
        ("\x1b[2J", "'\\x1b[2J'"),
        (" ", "' '"),
    ],
)
def test_name_stands_in_one_line(name, shown):
    assert plain(name) == shown


def test_long_text_is_shown_by_its_ends():
    assert shortened("x" * MOST_SHOWN) == "x" * MOST_SHOWN
    shown = shortened("a" + "x" * 10**6 + "b")
    assert (shown[0], shown[-1]) == ("a", "b")
    assert " ... " in shown
    assert len(shown) <= MOST_SHOWN
    assert len(plain("\n" * 10**6)) <= MOST_SHOWN
