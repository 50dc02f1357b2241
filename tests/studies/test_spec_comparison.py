from dataclasses import replace

import pytest

from sweeper.config import Configuration
from sweeper.studies.spec import StudySpec
from sweeper.studies.spec_comparison import decisive, first_difference
from tests.studies.test_spec import stored


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"seed": 8}, ("seed", 7, 8)),
        ({"seed": 8, "dataset": "other"}, ("dataset", "cifar10", "other")),
        ({"variant_epochs": {}}, ("variant_epochs", {"deep": 25}, None)),
        ({"space": {"parameters": {"lr": {"low": 0.1}}, "fixed": {}}}, ("space.parameters.lr.type", "float", None)),
    ],
)
def test_first_difference_names_the_broadest_field_that_differs(changes, difference):
    assert first_difference(stored(), StudySpec.from_json(stored(**changes))) == difference


def test_fields_that_an_older_sweeper_did_not_know_change_no_variant():
    values = Configuration.from_values({"filters": [6, 16, 120]}).values()
    now = StudySpec.from_json(stored(space={"variants": {"baseline": values}}))
    older = {
        name: value for name, value in now.as_json()["space"]["variants"]["baseline"].items() if name != "clip_norm"
    }
    assert first_difference(stored(space={"variants": {"baseline": older}}), now) is None
    clipped = StudySpec.from_json(stored(space={"variants": {"baseline": {**values, "clip_norm": 1.0}}}))
    difference = "space.variants.baseline.clip_norm", 0.0, 1.0
    assert first_difference(stored(space={"variants": {"baseline": older}}), clipped) == difference


def test_a_key_without_a_value_is_another_than_no_key():
    before = stored(space={"fixed": {"a": None}})
    assert first_difference(before, StudySpec.from_json(stored(space={"fixed": {}}))) == (
        "space.fixed", {"a": None}, {},
    )  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"background": "black"}, {"no_exif": True}, {"channels": "first"}, {"fit": "stretch"}]
)
def test_option_that_changed_no_pixel_makes_no_other_study(change):
    plain = StudySpec.from_json(stored())
    other = replace(plain, data_options=replace(plain.data_options, **change))
    assert first_difference(plain.as_json(), other) is None
    assert first_difference(other.as_json(), plain) is None
    assert decisive(plain) == decisive(other) != plain.as_json()
    converted = replace(other, conversions=("otherwise",))
    assert first_difference(plain.as_json(), converted)[0] in change
    assert decisive(converted) != decisive(plain)


def test_bound_of_pixels_counts_only_where_larger_files_are_left_out():
    for skip_bad, difference in ((False, None), (True, ("max_pixels", None, 9))):
        plain = StudySpec.from_json(stored(skip_bad=skip_bad))
        other = replace(plain, data_options=replace(plain.data_options, max_pixels=9))
        assert first_difference(plain.as_json(), other) == difference
        assert (decisive(plain) == decisive(other)) is (difference is None)
        assert StudySpec.from_json(other.as_json()).data_options.max_pixels == 9  # a promotion reads the same files
