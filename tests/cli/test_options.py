import click
import pytest

from sweeper.cli.options import Duration, Jobs, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("45m", 2700),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d", 86400),
        (" 2H ", 7200),
    ],
)
def test_duration_is_in_seconds(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "h", "2x", "-1h", "0", "0s", "1h junk", "1 h 2", "nan", "inf"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="must be"):
        Duration().convert(text, None, None)


def test_jobs_are_a_number_or_auto():
    assert Jobs().convert("auto", None, None) is None
    assert Jobs().convert("3", None, None) == 3
    for text in ("0", "-1", "two", "1.5", "²", "10000", "9" * 5000):
        with pytest.raises(click.BadParameter, match="must be auto or an integer of at least 1"):
            Jobs().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4GB", 4_000_000_000), ("1.5GiB", 3 << 29), ("800MB", 800_000_000), ("2048mib", 2 << 30), ("auto", None)],
)
def test_size_is_in_bytes(text, n_bytes):
    assert Size().convert(text, None, None) == n_bytes


@pytest.mark.parametrize("text", ["", "4", "GB", "-4GB", "4kB", "4G", "1e9GB", "4GBs", "nan", "\u0664GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="must be auto or a size such as 4GB"):
        Size().convert(text, None, None)
