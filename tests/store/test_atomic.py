import pytest

from sweeper.store.atomic import SUFFIX, whole_file, whole_folder


def test_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def write():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def fill(path, text, keep):
    with whole_folder(path, keep=keep) as temporary:
        (temporary / "a").write_text(text)


@pytest.mark.parametrize(("keep", "content"), [(False, "new"), (True, "old")])
def test_folder_replaces_what_stands_there_unless_that_is_whole(tmp_path, keep, content):
    path = tmp_path / "made" / "folder"
    fill(path, "old", lambda: False)
    assert (path / "a").read_text() == "old"
    fill(path, "new", lambda: keep)
    assert (path / "a").read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_folder_that_could_not_be_filled_leaves_nothing(tmp_path):
    def make():
        with whole_folder(tmp_path / "folder") as temporary:
            (temporary / "a").write_text("half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        make()
    assert list(tmp_path.iterdir()) == []


def test_temporary_names_can_be_told_apart_and_are_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("os.fsync", flushed.append)
    with whole_file(tmp_path / "a.json") as one, whole_file(tmp_path / "a.json") as other:
        one.write_text("x")
        other.write_text("y")
        assert one != other
        # What a killed process leaves is found by this name.
        assert all(path.match(f".a.json.*{SUFFIX}") for path in (one, other))
    assert len(flushed) == 2
