import pytest

from sweeper.errors import SweeperError
from sweeper.images import bounds
from sweeper.images.bounds import check_size, size


@pytest.fixture
def memory(monkeypatch):
    """Sets the available memory, in bytes."""
    return lambda n_bytes: monkeypatch.setattr(bounds, "available_memory", lambda: n_bytes)


def test_images_that_do_not_fit_into_memory_are_refused_with_both_numbers_and_the_remedy(memory):
    memory(4_000_000_000)
    check_size((1000, 1, 2000, 2000), None, None, "here")
    with pytest.raises(SweeperError) as refusal:
        check_size((1001, 1, 2000, 2000), None, None, "here")
    assert str(refusal.value) == (
        "images must fit into the available memory, 4.0 GB, got 4.0 GB, 1,001 images of 1x2000x2000 (here); make them "
        "smaller with --resize, or lift this bound with --max-bytes 4004MB"
    )


def test_large_images_from_tiny_files_are_refused_with_both_numbers_and_the_remedy(memory):
    memory(None)
    with pytest.raises(SweeperError) as refusal:
        check_size((9_439_000, 1, 28, 28), 7_600_000, None, "here")
    assert str(refusal.value) == (
        "images of more than 3.0 GB, decoded, must take 200 times the bytes of their files at most, got 7.4 GB from "
        "7.6 MB, 9,439,000 images of 1x28x28, 973 times as many (here); lift this bound with --max-bytes 7401MB"
    )


@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ((2000, 1, 1000, 1000), 2_000_000),  # all black, but of a size that machines have
        ((20_000, 1, 1000, 1000), 100_000_000),
        ((20_000, 1, 1000, 1000), None),
    ],
)
def test_images_that_compress_well_are_no_bomb(memory, shape, stored):
    memory(64 << 30)
    check_size(shape, stored, None, "here")


@pytest.mark.parametrize("available", [0, 1 << 40])
def test_bound_that_the_user_gives_replaces_the_others(memory, available):
    memory(available)
    check_size((9_439_000, 1, 28, 28), 7_600_000, 7_401_000_000, "here")
    with pytest.raises(SweeperError, match=r"at most \(--max-bytes\), got 12.0 MB, 3 images of 1x2000x2000 \(here\)$"):
        check_size((3, 1, 2000, 2000), None, 11_999_999, "here")


def test_sizes_are_in_units_for_people():
    assert [size(n) for n in (0, 7_650_000, 99_999_999, 100_000_000, 1_234_567_890_123)] == [
        "0.0 MB", "7.7 MB", "100.0 MB", "0.1 GB", "1,234.6 GB",
    ]  # fmt: skip
