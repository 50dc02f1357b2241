import pytest

from sweeper.data.own.refusals import describe_bad, kept, refuse_bad, refuse_sizes, refuse_test_sizes
from sweeper.errors import SweeperError
from sweeper.images.image_set import UnusableTestImages
from sweeper.images.options import DataOptions

FILES = {f"{name}/{n}": name for name in "ab" for n in range(10)}
NONE = DataOptions()


def bad(*names, reason="empty"):
    return dict.fromkeys(names, reason)


def test_files_that_are_bad_for_one_reason_are_listed_together_the_most_common_first():
    found = bad("a/1") | bad(*(f"b/{n}" for n in range(7)), reason="HEIC")
    assert describe_bad(found) == "8 are not (b/0, b/1, b/2, b/3, b/4 and 2 more: HEIC; a/1: empty)"
    many = {f"{kind}/{n}": f"reason {kind}" for kind in range(9) for n in range(4)}
    assert describe_bad(many).endswith("; 7/0, 7/1, 7/2 and 1 more: reason 7; 8/0, 8/1, 8/2 and 1 more: reason 8)")
    assert describe_bad({f"{n}": f"reason {n}" for n in range(11)}).endswith("9: reason 9; ...)")


def test_unprintable_names_and_reasons_are_quoted():
    assert describe_bad({"a\nb": "odd\treason"}) == "1 is not ('a\\nb': 'odd\\treason')"


def test_skipping_is_offered_with_what_it_leaves_of_each_class():
    with pytest.raises(SweeperError) as refusal:
        refuse_bad(FILES, bad("a/1", "a/2"), NONE, decoded=True, test=False)
    assert str(refusal.value) == (
        "all files must be images: 2 are not (a/1, a/2: empty); --skip-bad leaves them out and keeps a 8 of 10, b 10 "
        "of 10 training files"
    )


@pytest.mark.parametrize("skipped", [[f"a/{n}" for n in range(10)], [f"{c}/{n}" for c in "ab" for n in range(6)]])
def test_skipping_is_not_offered_if_a_class_or_most_files_would_be_lost(skipped):
    with pytest.raises(SweeperError, match=r"; without them, there would be at most a [04] of 10, b (10|4) of 10 tr"):
        refuse_bad(FILES, bad(*skipped), NONE, decoded=False, test=False)


def test_bad_files_may_be_skipped_unless_all_are_bad():
    skip = DataOptions(skip_bad=True)
    refuse_bad(FILES, {}, NONE, decoded=False, test=False)
    for test in (False, True):
        refuse_bad(FILES, bad("a/1"), skip, decoded=True, test=test)
        with pytest.raises(SweeperError, match=r"20 are not \(.*\)"):
            refuse_bad(FILES, bad(*FILES), skip, decoded=True, test=test)


def test_bad_test_files_say_what_helps_though_the_training_is_over():
    with pytest.raises(UnusableTestImages, match=r"^all test files must be images: 1 is .*; replace or remove them"):
        refuse_bad(FILES, bad("a/1"), NONE, decoded=False, test=True)


def test_of_many_classes_those_that_lose_most_are_named():
    files = {f"{c}/{n}": f"class {c}" for c in range(9) for n in range(10)}
    lost = bad("3/1", "3/2", *(f"7/{n}" for n in range(5)))
    assert kept(files, lost) == "class 7 5 of 10, class 3 8 of 10"
    assert kept(files, bad(*(f"{c}/1" for c in range(9)))).endswith(", ...")


def test_images_of_several_sizes_are_told_apart_from_files_that_are_no_images():
    sizes = [(4, 4)] * 7 + [(8, 6)] * 3
    with pytest.raises(SweeperError) as refusal:
        refuse_sizes(sizes, FILES, bad("b/1"), "pets", skip_bad=False)
    assert str(refusal.value) == (
        "all images must have one size, got 2: 4x4 (7 images), 6x8 (3 images), height x width (pets); --resize 4 makes "
        "all alike, with --fit pad (the default: all of an image, and up to 25 % --background beside it), crop (loses "
        "up to 25 % of an image) or stretch (distorts); besides, all files must be images: 1 is not (b/1: empty); "
        "--skip-bad leaves them out and keeps at most a 10 of 10, b 9 of 10 training files, if all pixels can be read"
    )
    refuse_sizes(sizes[:7], FILES, bad("b/1"), "pets", skip_bad=False)


def test_skipping_bad_files_never_leaves_out_images_of_another_size():
    with pytest.raises(SweeperError, match="; --skip-bad leaves out files that are no images, not images of another s"):
        refuse_sizes([(4, 4), (8, 6)], FILES, bad("b/1"), "pets", skip_bad=True)


def test_test_images_of_another_size_name_it_and_the_search_that_would_help():
    refuse_test_sizes([(28, 28)] * 3, (28, 28), "pets")
    with pytest.raises(UnusableTestImages) as refusal:
        refuse_test_sizes([(28, 28), (32, 28), (32, 28)], (28, 28), "pets")
    assert str(refusal.value) == (
        "test images must be 28x28 like the training images, got 28x32 (2 images), height x width (pets); a "
        "search with --resize 28 makes all alike"
    )
