import json

import pytest

from sweeper.tracking import class_names

MANY = [f"species_{number:03d}" for number in range(500)]


def test_tag_lists_the_classes_in_order():
    assert class_names.tags(["10", "9", "日本"]) == {"sweeper.classes": '["10", "9", "日本"]'}
    assert json.loads(class_names.tags(MANY)["sweeper.classes"]) == MANY


def test_there_is_no_tag_that_a_database_could_not_hold():
    assert class_names.tags(["日" * 21_000, "b"])
    assert class_names.tags(["日" * 22_000, "b"]) == {}
    assert "tag" not in class_names.described(["x" * 70_000, "b"])


def test_description_has_a_line_for_each_column():
    text = class_names.described(["cat", "*a|b*"])
    assert text.endswith("(tag sweeper.classes, metadata in MLmodel):\n\n    0  cat\n    1  *a|b*")


@pytest.mark.parametrize("text", [class_names.output_name(["cat", "dog"]), class_names.output_name(MANY)])
def test_output_is_named_for_its_columns(text):
    assert text.startswith(("logits: 0 cat, 1 dog", "logits: 0 species_000, 1 species_001, "))
    assert len(text) <= class_names.MOST_IN_SIGNATURE


@pytest.mark.parametrize("classes", [MANY, ["x" * 9_000, "y"], ["x" * 3_950, "y", "z"]])
def test_texts_are_cut_to_what_mlflow_holds_and_count_what_is_left_out(classes):
    for text, most in (
        (class_names.described(classes), class_names.MOST_DESCRIBED),
        (class_names.output_name(classes), class_names.MOST_IN_SIGNATURE),
    ):
        assert len(text) <= most
        left = int(text.rsplit("... and ", 1)[1].removesuffix(" more"))
        separator = "\n" if "\n" in text else ", "
        assert text.split("\n\n")[-1].removeprefix("logits: ").count(separator) == len(classes) - left
