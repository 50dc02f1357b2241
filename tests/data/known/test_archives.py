import hashlib
import io
import resource
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.data.known import archives, catalog, locate, verified_files
from sweeper.data.known.catalog import CIFAR10, KMNIST, SVHN, DataFile
from sweeper.errors import SweeperError
from tests.data.mirrors import served, use_mirrors
from tests.fake_data import fake_contents, put, with_contents

CONTENTS = fake_contents(CIFAR10)


def archive_of(members, folder="cifar-10-batches-py"):
    """A gzipped tar archive: bytes are the content of a file, a string is the target of a symbolic link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in members:
            member = tarfile.TarInfo(f"{folder}/{name}")
            if isinstance(content, str):
                member.type, member.linkname, content = tarfile.SYMTYPE, content, b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serves tmp_path/mirror; gives a function from an archive's content to the data set with its digest."""
    (tmp_path / "mirror").mkdir()

    def serve(content, **changes):
        (tmp_path / "mirror" / CIFAR10.archive.name).write_bytes(content)
        archive = DataFile(CIFAR10.archive.name, len(content), hashlib.sha256(content).hexdigest())
        dataset = replace(with_contents(CIFAR10, CONTENTS), archive=replace(archive, **changes))
        monkeypatch.setitem(catalog.DATASETS, "cifar10", dataset)
        return dataset

    with served(tmp_path / "mirror") as (url, asked):
        use_mirrors(monkeypatch, url)
        serve.asked = asked
        yield serve


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "cifar10").iterdir())


def test_archive_is_downloaded_once_and_only_the_wanted_files_are_kept(tmp_path, mirror, notes):
    members = [("readme.html", b"text"), *CONTENTS.items(), ("batches.meta", b"meta"), ("../../outside", b"x")]
    dataset = mirror(archive_of(members))
    found = locate.read(dataset, dataset.training, notify=notes.append)
    assert found.contents == tuple(CONTENTS[file.name] for file in dataset.training)
    assert cached(tmp_path) == sorted(CONTENTS)
    assert mirror.asked == ["/cifar-10-python.tar.gz"]
    assert [note.partition(" http")[0] for note in notes] == ["downloading"]
    locate.read(dataset, dataset.files, offline=True, notify=notes.append)


def test_sizes_are_reported_before_a_download(mirror, notes):
    with pytest.raises(SweeperError):
        locate.read(catalog.STL10, catalog.STL10.training, notify=notes.append)
    assert notes[0].endswith("stl10_binary.tar.gz (2,640 MB; the files that are kept take 359 MB)")


def test_missing_test_batch_does_not_block_training(tmp_path, mirror, notes):
    dataset = mirror(archive_of([item for item in CONTENTS.items() if item[0] != "test_batch"]))
    locate.read(dataset, dataset.training, notify=notes.append)
    assert cached(tmp_path) == sorted(file.name for file in dataset.training)
    with pytest.raises(SweeperError, match=r"cifar-10-python.tar.gz: holds no cifar-10-batches-py/test_batch"):
        locate.read(dataset, dataset.test, notify=notes.append)


BATCH = CONTENTS["data_batch_1"]


@pytest.mark.parametrize(
    ("first", "rule"),
    [
        ([("data_batch_1", BATCH[:-1])], r"data_batch_1 must be a file of 37,\d+ bytes, got none"),
        ([("data_batch_1", BATCH + b"x")], r"data_batch_1 must be a file of 37,\d+ bytes, got none"),
        ([("data_batch_1", "/etc/passwd")], r"data_batch_1 must be a file of 37,\d+ bytes, got none"),
        ([("data_batch_1", BATCH[:-1] + b"x")], r"SHA-256 must be .*, cifar-10-batches-py/data_batch_1\)"),
        ([("/data_batch_1", BATCH)], "holds no cifar-10-batches-py/data_batch_1"),
        ([("x/../data_batch_1", BATCH)], "holds no cifar-10-batches-py/data_batch_1"),
    ],
)
def test_member_that_is_not_the_file_is_never_stored(tmp_path, mirror, notes, first, rule):
    rest = [item for item in CONTENTS.items() if item[0] != "data_batch_1"]
    dataset = mirror(archive_of([*first, *rest]))
    with pytest.raises(SweeperError, match=rule):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert set(cached(tmp_path)) <= set(CONTENTS) - {"data_batch_1"}


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        (None, "SHA-256 must be 00"),
        (1, r"size must be [\d,]+ bytes, it is truncated to"),
        (-1, r"size must be [\d,]+ bytes, got more"),
    ],
)
def test_archive_that_is_not_the_published_one_is_not_unpacked(tmp_path, mirror, notes, size, rule):
    content = archive_of(CONTENTS.items())
    changes = {"digest": "0" * 64} if size is None else {"size": len(content) + size}
    dataset = mirror(content, **changes)
    with pytest.raises(SweeperError, match=rule):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("content", [b"no archive", archive_of(CONTENTS.items())[:9000], b""])
def test_damaged_archive_whose_hash_matches_gives_one_line(tmp_path, mirror, notes, content):
    dataset = mirror(content)
    with pytest.raises(SweeperError, match=r"the archive must be intact, got: .*cifar-10-python.tar.gz\)"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert not [name for name in cached(tmp_path) if "tar" in name]


def test_archive_that_is_not_served_is_named_with_the_reason(tmp_path, mirror, notes):
    dataset = mirror(b"")
    (tmp_path / "mirror" / dataset.archive.name).unlink()
    with pytest.raises(SweeperError, match=r"cifar-10-python.tar.gz: HTTP 404"):
        locate.read(dataset, dataset.training, notify=notes.append)


def test_cache_that_cannot_be_written_is_named(tmp_path, mirror, notes):
    dataset = mirror(archive_of(CONTENTS.items()))
    (tmp_path / "cache" / "cifar10").write_text("a file where the folder should be")
    message = r"^cifar-10-python.tar.gz could not be stored.*cache/cifar10.*SWEEPER_CACHE_DIR"
    with pytest.raises(SweeperError, match=message):
        locate.read(dataset, dataset.training, notify=notes.append)


def test_disk_that_fills_up_is_reported_and_nothing_is_left(tmp_path, mirror, notes, monkeypatch):
    dataset = mirror(archive_of(CONTENTS.items()))

    def full(folder, name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(verified_files, "write", full)
    with pytest.raises(SweeperError, match=r"^data_batch_1 could not be stored: No space left"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert cached(tmp_path) == []


def test_disk_without_room_for_the_archive_is_reported(tmp_path, mirror, notes):
    dataset = mirror(archive_of(CONTENTS.items()))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(SweeperError, match=r"^cifar-10-python.tar.gz could not be stored: File too large"):
            locate.read(dataset, dataset.training, notify=notes.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cached(tmp_path) == []


def test_reading_ends_with_the_last_of_the_wanted_files():
    stream = io.BytesIO(archive_of(CONTENTS.items())[:-2000])
    first = with_contents(CIFAR10, CONTENTS).training[:1]
    assert [content for _, content in archives.members(stream, CIFAR10.folder, first, "here")] == [BATCH]


def test_download_that_is_killed_leaves_nothing(tmp_path, mirror, notes, monkeypatch):
    dataset = mirror(archive_of(CONTENTS.items()))
    names = []
    members = archives.members

    def list_names(*arguments):
        names.extend(cached(tmp_path))
        return members(*arguments)

    monkeypatch.setattr(archives, "members", list_names)
    locate.read(dataset, dataset.training, notify=notes.append)
    assert names == []  # the whole archive is on disk, but has no name that a kill would leave


@pytest.mark.parametrize("base", [KMNIST, SVHN])
def test_files_that_are_published_one_by_one_are_fetched_by_their_names(tmp_path, monkeypatch, notes, base):
    contents = fake_contents(base)
    dataset = with_contents(base, contents)
    put(tmp_path / "mirror", contents)
    with served(tmp_path / "mirror") as (url, asked):
        use_mirrors(monkeypatch, url)
        found = locate.read(dataset, dataset.training, notify=notes.append)
    assert found.folder == tmp_path / "cache" / base.name
    assert asked == [f"/{file.name}" for file in dataset.files]
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == contents
