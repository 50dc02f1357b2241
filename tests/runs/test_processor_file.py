import pytest

from sweeper.errors import SweeperError
from sweeper.runs import processor_file


def test_first_kind_is_kept_and_another_is_told(tmp_path):
    path = tmp_path / "folder" / "processor.txt"
    assert processor_file.read(path) == ""
    assert processor_file.record(path, "x") == ""
    assert processor_file.record(path, "x") == ""
    assert "on x so far, and on y" in processor_file.record(path, "y")
    assert processor_file.read(path) == "x"


def test_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "folder").touch()
    with pytest.raises(SweeperError, match="folder"):
        processor_file.record(tmp_path / "folder" / "processor.txt", "x")
