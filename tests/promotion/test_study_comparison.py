import pytest

from sweeper.promotion.study_comparison import ComparedStudy, StudyComparison
from sweeper.studies.comparability import differing
from sweeper.studies.spec import StudySpec
from tests.sweep.sweeps import SPEC


def compared(*changes, n_trials=5):
    studies = [
        ComparedStudy(
            name, StudySpec.from_json(SPEC | change), {"complete": n_trials, "pruned": number}, False, None, None, None
        )
        for number, (name, change) in enumerate(zip("abc", changes, strict=False))
    ]
    return StudyComparison(studies, differing({study.name: study.spec for study in studies}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data_sha256": "1"}, "These numbers cannot be compared: the data differ between the studies."),
        ({"dataset": "other"}, "These numbers cannot be compared: the data differ between the studies."),
        ({"split_sha256": "1"}, "These numbers cannot be compared: the split differs between the studies."),
        ({"metric": "loss"}, "These numbers cannot be compared: the metric differs between the studies."),
        (
            {"grayscale": True},
            "These numbers cannot be compared: the reading of the images differs between the studies.",
        ),
        (
            {"metric": "loss", "split_sha256": "1"},
            "These numbers cannot be compared: the metric and the split differ between the studies.",
        ),
    ],
)
def test_numbers_of_other_data_splits_and_metrics_cannot_be_compared(change, sentence):
    found = compared({}, change)
    assert (found.comparable, found.sentences) == (False, [sentence])
    # One study that differs is enough.
    assert not compared({}, {}, change).comparable


def test_other_protocols_and_numbers_of_trials_are_told_of_numbers_that_compare():
    found = compared({}, {"epochs": 9, "repeats": 2})
    assert found.comparable
    assert found.sentences == [
        "The scores are of the same images, and can be compared.",
        "The protocols differ, and a difference of the scores may come from that: epochs a 3, b 9; repeats a 1, b 2.",
        "The best of more trials is higher by chance alone: confirm estimates do not have this bias.",
    ]


def test_another_seed_or_space_on_the_same_split_is_no_difference():
    assert compared({}, {"seed": 4, "split_seed": 3, "space_name": "other"}).differing == {}
