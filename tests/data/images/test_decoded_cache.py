import errno
import multiprocessing
import os
import shutil
import time
from collections import namedtuple

import numpy as np
import pytest

from sweeper.data.images.decoded_cache import decoded, require_room
from sweeper.errors import SweeperError
from tests.commands.processes import DEADLINE
from tests.hostile import listing

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)


def make(folder):
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "labels.npy", np.array([1, 0]))
    return {"odd\udcff": "a reason"}


def never(folder):
    raise AssertionError("made again")


def test_images_are_made_once_and_then_mapped():
    for work in (make, never):
        found = decoded("key", work)
        np.testing.assert_array_equal(found.images, IMAGES)
        assert (found.labels.tolist(), found.bad) == ([1, 0], {"odd\udcff": "a reason"})
        assert isinstance(found.images, np.memmap)
        assert not found.images.flags.writeable


def test_leftovers_of_a_killed_process_are_deleted_after_a_day(tmp_path):
    decoded("key", make)
    root = tmp_path / "cache" / "decoded"
    for name, age in ((".old.1.ab", 90_000), (".new.2.cd", 3_600), ("key", 90_000)):
        (root / name).mkdir(exist_ok=True)
        make(root / name)
        os.utime(root / name, (time.time() - age,) * 2)
    decoded("other", make)
    assert sorted(os.listdir(root)) == [".new.2.cd", "key", "other"]


def test_another_key_is_another_entry(tmp_path):
    decoded("key", make)
    decoded("other", make)
    assert sorted(os.listdir(tmp_path / "cache" / "decoded")) == ["key", "other"]


@pytest.mark.parametrize("content", [None, b"", b"junk", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff{"])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "bad.json"])
def test_damaged_entry_is_made_again(tmp_path, name, content):
    decoded("key", make)
    path = tmp_path / "cache" / "decoded" / "key" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    np.testing.assert_array_equal(decoded("key", make).images, IMAGES)
    decoded("key", never)


def test_truncated_entry_is_made_again(tmp_path):
    decoded("key", make)
    path = tmp_path / "cache" / "decoded" / "key" / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(decoded("key", make).images, IMAGES)


def test_entry_that_another_process_made_first_is_used(tmp_path):
    def slower(folder):
        decoded("key", make)
        return make(folder)

    np.testing.assert_array_equal(decoded("key", slower).images, IMAGES)
    assert os.listdir(tmp_path / "cache" / "decoded") == ["key"]


def meet(barrier, results):
    barrier.wait()
    results.put(decoded("key", make).images.tobytes())


def test_processes_that_start_together_agree(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=meet, args=(barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [results.get(timeout=DEADLINE) for _ in processes] == [IMAGES.tobytes()] * 4
    for process in processes:
        process.join()
    assert os.listdir(tmp_path / "cache" / "decoded") == ["key"]


@pytest.mark.parametrize(
    "error", [SweeperError("refused"), OSError(errno.ENOSPC, "No space left on device"), KeyError()]
)
def test_unfinished_entry_leaves_nothing(tmp_path, error):
    def spoil(folder):
        make(folder)
        raise error

    with pytest.raises(KeyError if isinstance(error, KeyError) else SweeperError):
        decoded("key", spoil)
    assert listing(tmp_path / "cache") == ["decoded"]


def test_full_disk_gives_one_line_that_says_what_to_do(tmp_path):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device", "images.npy")

    with pytest.raises(
        SweeperError, match=r"could not be stored: No space left on device \(.*/decoded/key\); set SWEEPER_"
    ):
        decoded("key", full)


def test_cache_that_is_not_a_folder_gives_one_line(tmp_path):
    (tmp_path / "cache" / "decoded").write_text("")
    with pytest.raises(SweeperError, match=r"the decoded images could not be stored: (File exists|Not a directory)"):
        decoded("key", make)


def test_more_images_than_the_disk_has_room_for_are_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 0, 4_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    require_room((1000, 1, 2000, 2000), tmp_path)
    message = r"^1,001 images of 1x2000x2000 need 4.0 GB of disk space, got 4.0 GB \("
    with pytest.raises(SweeperError, match=message):
        require_room((1001, 1, 2000, 2000), tmp_path)
