import json
import shutil

import pytest

from sweeper.errors import SweeperError
from sweeper.store import identity


def test_store_seen_under_another_path_is_the_same_and_a_copy_is_not(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    first = identity.check_place(store)
    assert identity.check_place(store) == first
    renamed = store.rename(tmp_path / "renamed")  # the same folder: what a bind mount would show
    assert identity.check_place(renamed) == first
    copy = shutil.copytree(renamed, tmp_path / "copy")
    with pytest.raises(SweeperError, match=r"copy was moved or copied: it belonged to .*store; `sweeper store adopt"):
        identity.check_place(copy)


def test_backup_put_back_in_its_place_is_the_store(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    first = identity.check_place(store)
    backup = shutil.copytree(store, tmp_path / "backup")
    shutil.rmtree(store)
    (tmp_path / "other").mkdir()  # may take the number of the folder that is gone
    shutil.copytree(backup, store)
    assert identity.check_place(store) == first


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", '{"id": "x", "root": "/", "inode": 1}', '{"id": 7, "root": "/", "inode": 1}', "[" * 10000],
)
def test_damaged_identity_is_named_with_what_to_do(tmp_path, text):
    (tmp_path / identity.FILE).write_text(text)
    with pytest.raises(SweeperError, match=r"store.json cannot be read: .*; remove it, and `sweeper store adopt`"):
        identity.check_place(tmp_path)


def test_removed_identity_is_made_anew(tmp_path):
    first = identity.check_place(tmp_path)
    (tmp_path / identity.FILE).unlink()
    assert identity.check_place(tmp_path).id != first.id
    assert json.loads((tmp_path / identity.FILE).read_text())["root"] == str(tmp_path)
