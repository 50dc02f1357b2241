import subprocess
import sys
import tempfile

import pytest

from sweeper.engine.ray import node_folders

MAKE = "from sweeper.engine.ray import node_folders; print(node_folders.make(), flush=True); input()"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_folder_of_a_killed_process_is_deleted_and_that_of_a_living_one_kept(place):
    other = subprocess.Popen([sys.executable, "-c", MAKE], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        left = other.stdout.readline().strip()
        first = node_folders.make()
        [folder] = place.iterdir()
        assert sorted(map(str, folder.glob("actor-*"))) == sorted([left, str(first)])
    finally:
        other.kill()
        other.communicate()
    second = node_folders.make()
    assert sorted(folder.glob("actor-*")) == sorted([first, second])
    node_folders.delete(second)
    assert sorted(folder.glob("actor-*")) == [first]


def test_place_that_others_may_write_to_is_refused(place):
    node_folders.make()
    [folder] = place.iterdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="must belong to this user alone"):
        node_folders.make()
