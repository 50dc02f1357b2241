import os

import numpy as np
import pytest

from sweeper.engine.local import shared_images
from sweeper.errors import SweeperError


def part(n_images, start=0):
    images = np.arange(start, start + n_images * 4, dtype=np.uint8).reshape(n_images, 1, 2, 2)
    return images, np.arange(n_images, dtype=np.int64)


def assert_equal(read, written):
    for one, other in zip(read, written, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("n_validation", [2, 0])
def test_parts_are_read_as_they_were_written(tmp_path, n_validation):
    shared_images.write(tmp_path / "study", [(part(3), part(n_validation, 50)), (part(2), part(1, 70))])
    train, validation = shared_images.read(tmp_path / "study", 0)
    assert_equal(train, part(3))
    assert_equal(validation, part(n_validation, 50))
    train, validation = shared_images.read(tmp_path / "study", 1)
    assert_equal(train, part(2))
    assert_equal(validation, part(1, 70))


def test_parts_are_mapped_and_cannot_be_written_to(tmp_path):
    shared_images.write(tmp_path / "study", [(part(3), part(2))])
    (images, _), _ = shared_images.read(tmp_path / "study", 0)
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_parts_take_the_place_of_those_that_a_killed_process_left_whole_or_half(tmp_path):
    shared_images.write(tmp_path / "study", [(part(3), part(2))])
    (tmp_path / ".study.7.ab.tmp").mkdir()
    (tmp_path / ".study.7.ab.tmp" / "train_images.npy").write_bytes(b"half")
    shared_images.write(tmp_path / "study", [(part(4), part(1))])
    assert_equal(shared_images.read(tmp_path / "study", 0)[0], part(4))
    assert os.listdir(tmp_path) == ["study"]


def test_parts_without_room_are_refused_with_their_place_and_leave_nothing(tmp_path, monkeypatch):
    def full(file, array):
        file.write_bytes(b"half")
        raise OSError("10000 requested and 4096 written")  # numpy's words, without a number

    monkeypatch.setattr(np, "save", full)
    place = tmp_path / "study"
    with pytest.raises(SweeperError, match=f"^the workers' images cannot be written to {place}: 10000 requested"):
        shared_images.write(place, [(part(3), part(2))])
    assert os.listdir(tmp_path) == []


def test_parts_are_removed_whether_they_are_there_or_not(tmp_path):
    shared_images.write(tmp_path / "study", [(part(3), part(2))])
    for _ in range(2):
        shared_images.remove(tmp_path / "study")
        assert os.listdir(tmp_path) == []
