import errno
import multiprocessing
import os
import shutil
import time
from collections import namedtuple

import numpy as np
import pytest

from sweeper.errors import SweeperError
from sweeper.images import checksums
from sweeper.images.decoded_cache import damaged_entries, decoded, new_images, require_room, store_conversions
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
        found = decoded("key", work, print)
        np.testing.assert_array_equal(found.images, IMAGES)
        assert (found.labels.tolist(), found.bad) == ([1, 0], {"odd\udcff": "a reason"})
        assert isinstance(found.images, np.memmap)
        assert not found.images.flags.writeable


def test_what_was_converted_is_kept_with_the_images_and_verified(tmp_path):
    def converting(folder):
        store_conversions(folder, ["transparency on white", "orientation by EXIF"])
        return make(folder)

    for work in (converting, never):
        assert decoded("key", work, print).conversions == ("transparency on white", "orientation by EXIF")
    assert decoded("plain", make, print).conversions == ()
    (entry,) = tmp_path.rglob("conversions.json")
    entry.unlink()
    assert [folder.name for folder, _ in damaged_entries()] == ["key"]
    told = []
    assert decoded("key", converting, told.append).conversions
    assert "decoding the images again" in told[0]


def test_leftovers_of_a_killed_process_are_deleted_after_a_day(tmp_path):
    decoded("key", make, print)
    root = tmp_path / "cache" / "decoded"
    for name, age in ((".old.1.ab", 90_000), (".new.2.cd", 3_600), ("key", 90_000)):
        (root / name).mkdir(exist_ok=True)
        make(root / name)
        os.utime(root / name, (time.time() - age,) * 2)
    decoded("other", make, print)
    assert sorted(os.listdir(root)) == [".new.2.cd", "key", "other"]


def test_another_key_is_another_entry(tmp_path):
    decoded("key", make, print)
    decoded("other", make, print)
    assert sorted(os.listdir(tmp_path / "cache" / "decoded")) == ["key", "other"]


@pytest.mark.parametrize("content", [None, b"", b"junk", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff{"])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "bad.json"])
def test_damaged_entry_is_made_again(tmp_path, name, content):
    decoded("key", make, print)
    path = tmp_path / "cache" / "decoded" / "key" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    np.testing.assert_array_equal(decoded("key", make, print).images, IMAGES)
    decoded("key", never, print)


def test_truncated_entry_is_made_again(tmp_path):
    decoded("key", make, print)
    path = tmp_path / "cache" / "decoded" / "key" / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(decoded("key", make, print).images, IMAGES)


@pytest.fixture
def entry(tmp_path):
    """The folder of a cached entry, whose images are larger than what is sampled at every opening."""

    def make_large(folder):
        np.save(folder / "images.npy", np.arange(3_000_000, dtype=np.uint8).reshape(3, 1, 1000, 1000))
        np.save(folder / "labels.npy", np.array([1, 0, 1]))
        return {}

    decoded("large", make_large, print)
    return tmp_path / "cache" / "decoded" / "large"


def remade(key="large"):
    """Whether an entry is made again when it is opened, and what the user is told."""
    notes, calls = [], []
    decoded(key, lambda folder: calls.append(key) or make(folder), notes.append)
    assert len(notes) == len(calls)
    return notes


def overwrite(path, at, content=b"\xff\xfe\xfd"):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("at", [2_000, 1_234_567, 2_999_000])
def test_overwritten_images_are_noticed_and_made_again_with_a_note(entry, at):
    overwrite(entry / "images.npy", at)
    assert remade() == [
        "decoding the images again, since their cached copy cannot be used: images.npy was changed after it was "
        f"written ({entry})"
    ]
    assert not remade()


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "bad.json"])
def test_change_is_noticed_though_size_and_time_are_as_before(entry, name):
    path = entry / name
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert len(remade()) == 1


def test_images_mapped_by_another_program_and_written_to_are_noticed(entry):
    images = np.lib.format.open_memmap(entry / "images.npy", "r+")
    images[1, 0, 500, 500] += 1
    images.flush()
    del images
    assert len(remade()) == 1


def test_copied_or_touched_entry_is_used_and_read_whole_only_once(entry, monkeypatch):
    shutil.copytree(entry, entry.with_name("copy"))
    shutil.rmtree(entry)
    entry.with_name("copy").rename(entry)
    whole = []
    real = checksums._whole
    monkeypatch.setattr(checksums, "_whole", lambda path: whole.append(path.name) or real(path))
    assert not remade()
    assert "images.npy" in whole
    whole.clear()
    assert not remade()
    assert "images.npy" not in whole


def test_entry_that_was_made_from_other_images_is_made_again(entry):
    decoded("other", make, print)
    shutil.rmtree(entry)
    shutil.copytree(entry.with_name("other"), entry)
    assert "it was made from other images" in remade()[0]


def test_entry_of_an_older_version_is_made_again_once_because_nothing_tells_whether_it_is_right(entry):
    (entry / checksums.NAME).unlink()
    assert "it has no checksums, as an older version wrote it" in remade()[0]
    assert not remade()


@pytest.mark.parametrize("text", ["", "[]", "3", '{"key": "large"}', '{"files": 3}', '{"files": {"images.npy": 1}}'])
def test_damaged_checksums_are_noticed(entry, text):
    (entry / checksums.NAME).write_text(text)
    assert f"{checksums.NAME} is damaged" in remade()[0]


def test_all_entries_are_read_whole_to_find_damaged_ones(entry, monkeypatch):
    decoded("sound", make, print)
    assert list(damaged_entries()) == []
    # As a decaying disk would change it: between the samples, and without any trace in the file's times.
    overwrite(entry / "images.npy", 9_000)
    monkeypatch.setattr(checksums, "_stamp", lambda path: {"size": path.stat().st_size})
    assert not remade()
    assert list(damaged_entries()) == [(entry, "images.npy was changed after it was written")]


def test_entry_that_another_process_made_first_is_used(tmp_path):
    def slower(folder):
        decoded("key", make, print)
        return make(folder)

    np.testing.assert_array_equal(decoded("key", slower, print).images, IMAGES)
    assert os.listdir(tmp_path / "cache" / "decoded") == ["key"]


def meet(barrier, results):
    barrier.wait()
    results.put(decoded("key", make, print).images.tobytes())


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
        decoded("key", spoil, print)
    assert listing(tmp_path / "cache") == ["decoded"]


def test_full_disk_gives_one_line_that_says_what_to_do(tmp_path):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device", "images.npy")

    with pytest.raises(
        SweeperError, match=r"could not be stored: No space left on device \(.*/decoded/key\); set SWEEPER_"
    ):
        decoded("key", full, print)


def test_cache_that_is_not_a_folder_gives_one_line(tmp_path):
    (tmp_path / "cache" / "decoded").write_text("")
    with pytest.raises(SweeperError, match=r"the decoded images could not be stored: (File exists|Not a directory)"):
        decoded("key", make, print)


def test_more_images_than_the_disk_has_room_for_are_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 0, 4_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    require_room((1000, 1, 2000, 2000), tmp_path)
    message = r"^1,001 images of 1x2000x2000 need 4,004.0 MB of disk space, got 4,000.0 MB \("
    with pytest.raises(SweeperError, match=message):
        require_room((1001, 1, 2000, 2000), tmp_path)


def test_little_room_is_told_in_megabytes(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 0, 1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(SweeperError, match=r"^2 images of 1x1000x1000 need 2.0 MB of disk space, got 1.5 MB \("):
        require_room((2, 1, 1000, 1000), tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot allocate a file's space")
def test_new_images_have_their_space_before_they_are_written(tmp_path):
    images = new_images(tmp_path / "images.npy", (100, 3, 100, 100))
    assert images.shape == (100, 3, 100, 100)
    assert not images.any()
    assert (tmp_path / "images.npy").stat().st_blocks * 512 >= images.nbytes


def test_disk_that_another_program_fills_meanwhile_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(folder):
        new_images(folder / "images.npy", (2, 3, 2, 2))
        raise AssertionError("no space, and yet images")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(SweeperError, match=r"could not be stored: No space left on device .* set SWEEPER_CACHE_DIR"):
        decoded("key", fill, print)
    assert listing(tmp_path / "cache" / "decoded") == []
