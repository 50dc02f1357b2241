import pytest

from sweeper.errors import SweeperError
from sweeper.folders.walk import files_below
from tests.data.pictures import tree
from tests.hostile import within


def test_folder_that_two_links_lead_to_is_given_twice(root):
    tree(root, "a/x.png")
    (root / "b").symlink_to("a")
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == ["a/x.png", "b/x.png"]


def test_links_that_double_the_ways_at_each_folder_are_refused_at_once(root):
    tree(root, *(f"{n}/x.png" for n in range(25)))
    for n in range(24):
        for name in "ab":
            (root / str(n) / name).symlink_to(f"../{n + 1}")
    with within(60), pytest.raises(SweeperError, match=r"linked to at most 100 times, got more for .*; delete links"):
        list(files_below(root))
