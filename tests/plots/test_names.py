import pytest

from sweeper.plots.names import fitted, width


def test_short_names_stay_as_they_are():
    assert fitted(["cat", "naïve façade", "$x$ 50%"], 12) == ["cat", "naïve façade", "$x$ 50%"]


def test_long_names_are_cut_at_the_end():
    assert fitted(["x" * 200, "y" * 13, "z" * 12], 12) == ["x" * 11 + "…", "y" * 11 + "…", "z" * 12]


def test_names_that_differ_at_the_end_are_cut_in_the_middle():
    names = ["Acer platanoides healthy", "Acer platanoides scab", "Betula pendula healthy"]
    assert fitted(names, 12) == ["Acer …ealthy", "Acer …s scab", "Betula pend…"]


def test_names_that_differ_in_the_middle_end_in_their_positions():
    names = ["a", "x" * 50 + "1" + "x" * 50, "x" * 50 + "2" + "x" * 50]
    assert fitted(names, 12) == ["a", "xxxxxxxxx… 1", "xxxxxxxxx… 2"]


@pytest.mark.parametrize("name", ["x…", "xxxxx…", "xx… 1"])
def test_cut_name_is_no_other_name(name):
    shown = fitted([name, "x" * 20, "x" * 20 + "y"], 6)
    assert len(set(shown)) == 3
    assert shown[0] == name


def test_wide_characters_count_twice_and_marks_not_at_all():
    assert (width("日本語"), width("cafe\u0301"), width("\N{CAT FACE}")) == (6, 4, 2)


def test_marks_and_joined_characters_are_not_cut_off():
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    assert fitted(["abcde\u0301fgh"], 6) == ["abcde\u0301…"]
    (shown,) = fitted([f"ab{family}cdefgh"], 7)
    assert shown.startswith("ab…") or shown.startswith(f"ab{family}")
    assert all(width(name) <= 8 for name in fitted(["日本語日本語", "\ufdd0\ufdd0", "हिन्दीहिन्दी"], 8))


def test_escapes_are_not_cut():
    assert fitted(["\ufdd0\ufdd1\ufdd2"], 14) == [r"\ufdd0\ufdd1…"]
