import os
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.store import plain_files


class Untold:
    """An entry of a folder that does not tell its entries' types, as on some file systems."""

    def __init__(self, entry):
        self.name, self.path = entry.name, entry.path

    def __fspath__(self):
        return self.path

    def stat(self, *, follow_symlinks=True):
        return os.stat(self.path, follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks=True):
        return self._is(stat.S_ISREG, follow_symlinks)

    def is_dir(self, *, follow_symlinks=True):
        return self._is(stat.S_ISDIR, follow_symlinks)

    def is_symlink(self):
        return self._is(stat.S_ISLNK, False)

    def _is(self, kind, follow_symlinks):
        try:
            return kind(self.stat(follow_symlinks=follow_symlinks).st_mode)
        except FileNotFoundError:
            return False


@pytest.fixture(params=[False, True], ids=["told", "untold"])
def vanishing(monkeypatch, request):
    """The paths that are deleted between the listing of their folder and a look at them."""
    paths, scandir = [], os.scandir

    @contextmanager
    def listed(folder):
        with scandir(folder) as entries:
            found = [Untold(entry) if request.param else entry for entry in entries]
        for path in paths:
            if path.parent == Path(folder):
                path.unlink(missing_ok=True)
        yield iter(found)

    monkeypatch.setattr(plain_files.os, "scandir", listed)
    return paths


def test_files_and_folders_are_a_stores_own(tmp_path, vanishing):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "file").touch()
    plain_files.check_all(tmp_path)
    plain_files.check_some(tmp_path, [tmp_path / "folder"])


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: path.symlink_to("/")], ids=["file", "link"])
def test_what_is_deleted_while_the_store_is_walked_is_nothing_foreign(tmp_path, vanishing, make):
    (tmp_path / "folder").mkdir()
    vanishing.append(tmp_path / "folder" / "file")
    make(vanishing[0])
    plain_files.check_some(tmp_path, [tmp_path / "folder"])
    make(vanishing[0])
    plain_files.check_all(tmp_path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.symlink_to("/etc"), "a link to /etc"),
        (lambda path: path.symlink_to("nowhere"), "a link to nowhere"),
        (os.mkfifo, "neither a file nor a folder"),
    ],
    ids=["link", "broken link", "pipe"],
)
def test_link_or_pipe_is_named(tmp_path, vanishing, make, kind):
    (tmp_path / "folder").mkdir()
    make(tmp_path / "folder" / "foreign")
    for check in (plain_files.check_all, lambda root: plain_files.check_some(root, [root / "folder"])):
        with pytest.raises(SweeperError, match=f"foreign is {kind}: remove it"):
            check(tmp_path)
