import gzip
import shutil
from pathlib import Path

import pytest

from sweeper.data.known import locate
from sweeper.errors import SweeperError, UsageError
from tests.fake_data import write_fake_dataset

TRAINING = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


def places(dataset, tmp_path: Path) -> list[Path]:
    """All known places of this machine, in the documented order."""
    work, home = tmp_path / "work", tmp_path / "home"
    raw = dataset.folder
    return [
        tmp_path / "cache" / dataset.name,
        work / "data" / raw,
        tmp_path / "data" / raw,  # "../data" from the current folder
        work / raw,
        home / "data" / raw,
        Path(dataset.debian_folder),
    ]


def put(tmp_path: Path, folder: Path, names=TRAINING) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(tmp_path / "data" / name, folder / name)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_places_are_taken_in_the_documented_order(dataset, tmp_path, notes):
    for place in reversed(places(dataset, tmp_path)):
        put(tmp_path, place)
        assert locate.find(dataset, dataset.training, notify=notes.append).folder == place
    assert notes == []


def test_data_dir_is_taken_before_all_others(dataset, tmp_path, notes):
    put(tmp_path, places(dataset, tmp_path)[0])
    found = locate.read(dataset, dataset.training, data_dir=tmp_path / "data", notify=notes.append)
    assert found.folder == tmp_path / "data"


def test_contents_come_in_the_order_asked_for(dataset, tmp_path, notes):
    images, labels = dataset.training
    found = locate.read(dataset, (labels, images), data_dir=tmp_path / "data", notify=notes.append)
    assert found.contents == tuple((tmp_path / "data" / file.name).read_bytes() for file in (labels, images))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("layout", ["", "FakeMNIST/raw"])
def test_data_dir_may_be_plain_or_gzipped_in_both_layouts(tmp_path, notes, compress, layout):
    made = write_fake_dataset(tmp_path / "mine" / layout, compress=compress)
    found = locate.read(made, made.files, data_dir=tmp_path / "mine", offline=True, notify=notes.append)
    assert [len(content) for content in found.contents] == [file.size for file in made.files]
    assert found.folder == tmp_path / "mine" / layout
    assert all(path.is_file() for path in found.paths)


def test_bad_file_in_data_dir_is_refused_though_other_places_are_good(dataset, tmp_path, notes):
    for place in places(dataset, tmp_path):
        put(tmp_path, place)
    spoil(tmp_path / "data" / TRAINING[1])
    with pytest.raises(SweeperError, match=rf"SHA-256 must be .*{TRAINING[1]}"):
        locate.read(dataset, dataset.training, data_dir=tmp_path / "data", notify=notes.append)
    with pytest.raises(SweeperError, match=rf"SHA-256 must be .*{TRAINING[1]}"):
        locate.find(dataset, dataset.training, data_dir=tmp_path / "data", notify=notes.append)


def test_missing_file_in_data_dir_is_named_though_other_places_are_good(dataset, tmp_path, notes):
    put(tmp_path, places(dataset, tmp_path)[0])
    (tmp_path / "data" / TRAINING[1]).unlink()
    with pytest.raises(SweeperError) as caught:
        locate.read(dataset, dataset.training, data_dir=tmp_path / "data", notify=notes.append)
    assert TRAINING[1] in str(caught.value)
    assert TRAINING[0] not in str(caught.value)
    assert f"({tmp_path / 'data'})" in str(caught.value)


def test_find_in_a_data_dir_without_the_files_is_none(dataset, tmp_path, notes):
    (tmp_path / "empty").mkdir()
    put(tmp_path, places(dataset, tmp_path)[0])
    assert locate.find(dataset, dataset.training, data_dir=tmp_path / "empty", notify=notes.append) is None


def test_data_dir_that_does_not_exist_is_a_usage_error(dataset, tmp_path, notes):
    with pytest.raises(UsageError, match=r"the data folder must exist, got .*nowhere"):
        locate.read(dataset, dataset.training, data_dir=tmp_path / "nowhere", notify=notes.append)


def test_bad_file_elsewhere_is_reported_and_the_next_place_is_tried(dataset, tmp_path, notes):
    cache, *_, debian = places(dataset, tmp_path)
    put(tmp_path, cache)
    put(tmp_path, debian)
    spoil(cache / TRAINING[0])
    assert locate.find(dataset, dataset.training, notify=notes.append).folder == debian
    assert len(notes) == 1
    assert "SHA-256" in notes[0]
    assert str(cache / TRAINING[0]) in notes[0]


def test_images_and_labels_come_from_one_place(dataset, tmp_path, notes):
    cache, *_, debian = places(dataset, tmp_path)
    put(tmp_path, cache, TRAINING[:1])
    put(tmp_path, debian, TRAINING[1:])
    assert locate.find(dataset, dataset.training, notify=notes.append) is None
    put(tmp_path, debian)
    assert locate.find(dataset, dataset.training, notify=notes.append).folder == debian


def test_failure_lists_every_place_with_its_reason_and_what_to_do(dataset, tmp_path, notes):
    cache, torchvision, *_ = places(dataset, tmp_path)
    put(tmp_path, cache)
    spoil(cache / TRAINING[0])
    put(tmp_path, torchvision, TRAINING[:1])
    with pytest.raises(SweeperError) as caught:
        locate.read(dataset, dataset.training, offline=True, notify=notes.append)
    message = str(caught.value)
    for place in places(dataset, tmp_path):
        assert str(place) in message
    assert f"({cache / TRAINING[0]})" in message
    assert f"{torchvision}: no {TRAINING[1]}" in message
    assert f"{dataset.debian_folder}: no such folder" in message
    assert "the network: not tried" in message
    for remedy in ("sweeper data fetch tiny", "apt install dataset-fake", "--data-dir"):
        assert remedy in message


def test_offline_and_find_never_try_the_network(dataset, notes, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the network was tried")

    monkeypatch.setattr("sweeper.data.known.download.download", refuse)
    with pytest.raises(SweeperError):
        locate.read(dataset, dataset.training, offline=True, notify=notes.append)
    assert locate.find(dataset, dataset.training, notify=notes.append) is None


def test_cache_is_the_users_own_unless_told_otherwise(dataset, tmp_path, monkeypatch):
    assert locate.cache_folder(dataset) == tmp_path / "cache" / "tiny"
    monkeypatch.delenv("SWEEPER_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / ".cache"))
    assert locate.cache_folder(dataset) == tmp_path / "home" / ".cache" / "sweeper" / "tiny"


def test_fetch_leaves_files_where_they_are(dataset, tmp_path, notes):
    debian = places(dataset, tmp_path)[-1]
    put(tmp_path, debian, [file.name for file in dataset.files])
    (debian / TRAINING[0]).write_bytes(gzip.compress((debian / TRAINING[0]).read_bytes()))
    (debian / TRAINING[0]).rename(debian / f"{TRAINING[0]}.gz")
    paths = locate.fetch(dataset, offline=True, notify=notes.append)
    assert paths == (debian / f"{TRAINING[0]}.gz", *(debian / file.name for file in dataset.files[1:]))
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_adds_to_the_data_dir_only_what_is_missing(dataset, tmp_path, notes):
    put(tmp_path, places(dataset, tmp_path)[-1], [file.name for file in dataset.files])
    mine = tmp_path / "new" / "mine"
    put(tmp_path, mine, TRAINING[:1])
    before = (mine / TRAINING[0]).stat()
    locate.fetch(dataset, data_dir=mine, offline=True, notify=notes.append)
    assert sorted(path.name for path in mine.iterdir()) == sorted(file.name for file in dataset.files)
    assert (mine / TRAINING[0]).stat().st_mtime_ns == before.st_mtime_ns
    assert locate.find(dataset, dataset.files, data_dir=mine, notify=notes.append) is not None


def test_fetch_never_replaces_a_bad_file_of_the_user(dataset, tmp_path, notes):
    put(tmp_path, places(dataset, tmp_path)[-1], [file.name for file in dataset.files])
    spoil(tmp_path / "data" / TRAINING[0])
    bad = (tmp_path / "data" / TRAINING[0]).read_bytes()
    with pytest.raises(SweeperError, match="SHA-256"):
        locate.fetch(dataset, data_dir=tmp_path / "data", notify=notes.append)
    assert (tmp_path / "data" / TRAINING[0]).read_bytes() == bad
