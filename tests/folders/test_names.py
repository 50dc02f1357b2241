import pytest

from sweeper.folders.names import is_image, may_be_image, parts_in


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("train", {"train"}),
        ("TRAIN", {"train"}),
        ("train2017", {"train"}),
        ("test1", {"test"}),
        ("testSet", {"test"}),
        ("PublicTest", {"test"}),
        ("seg_train", {"train"}),
        ("dev-images", {"val"}),
        ("eval.v2", {"test"}),
        ("train_val", {"train", "val"}),
        ("strain", set()),
        ("latest", set()),
        ("trainstation", set()),
        ("2017", set()),
    ],
)
def test_words_of_a_name_speak_of_parts(name, parts):
    assert parts_in(name) == parts


def test_sidecars_and_litter_are_no_images_and_files_of_other_endings_may_be():
    assert [is_image(name) for name in ("a.JPG", "a/b.png", ".a.png", "a.txt", "a")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [may_be_image(name) for name in ("a.bin", "Thumbs.db", "a.XML", "__a.png")] == [True, False, False, False]
