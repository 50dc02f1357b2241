import pytest

from sweeper.display import files


@pytest.mark.parametrize("quiet", [True, False])
def test_a_long_silence_is_broken_by_how_many_files_are_done(capsys, monkeypatch, quiet):
    monkeypatch.setattr(files, "SILENCE_SECONDS", 0)
    with files.file_progress(quiet=quiet) as tell:
        tell(3, 7)
        tell(7, 7)
    assert capsys.readouterr() == ("", "" if quiet else "3 of 7 files\n7 of 7 files\n")
