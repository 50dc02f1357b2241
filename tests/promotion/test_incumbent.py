"""Against a registry in memory."""

import pytest

from sweeper.promotion.incumbent import settle
from sweeper.tracking.aliases import RegisteredVersion

N_IMAGES = 40


def estimate(*n_right, **changes):
    """Seeds that are right on the first images, as many as given for each."""
    accuracy = sum(n_right) / len(n_right) / N_IMAGES
    return {
        "data_sha256": "ab" * 32,
        "split_sha256": "cd" * 32,
        "classes": ["cat", "dog"],
        "input_shape": [1, 28, 28],
        "part": "confirm",
        "accuracy": accuracy,
        "low": accuracy - 0.05,
        "high": accuracy + 0.05,
        "correct": ["1" * n + "0" * (N_IMAGES - n) for n in n_right],
    } | changes


class FakeRegistry:
    """A registered model with version 1, the champion, and version 2."""

    def __init__(self, old, new, *, by_hand=False):
        self.versions = {
            name: RegisteredVersion(name, f"study-{name}", "3", found) for name, found in (("1", old), ("2", new))
        }
        self.by_hand, self.aliases = by_hand, ("1", None)

    def champion(self, model):
        return self.versions[self.aliases[0]], self.by_hand

    def version(self, model, version):
        return self.versions[version]

    def set_aliases(self, model, champion, challenger):
        self.aliases = (champion, challenger)


def settled(registry, **options):
    """The sentences about version 2, which the listener has heard before the aliases moved."""
    heard = []

    def listener(note):
        assert registry.aliases == ("1", None)
        heard.append(note.text)

    said = settle(registry, "model", "2", "3", **{"replace": False, "listener": listener} | options)
    assert said == heard
    return " ".join(said)


@pytest.mark.parametrize(
    ("name", "study_id", "said"),
    [
        ("digits", "b2", "version 1 (another study named digits, trial 3)"),
        ("digits", "a1", "version 1 (study digits, trial 3)"),
        ("other", "b2", "version 1 (study digits, trial 3)"),
        ("digits", "", "version 1 (study digits, trial 3)"),  # an older sweeper's version has no id
    ],
)
def test_study_of_another_store_with_the_same_name_is_told_apart(name, study_id, said):
    old, new = (
        RegisteredVersion("1", "digits", "3", estimate(30), "a1"),
        RegisteredVersion("2", name, "3", estimate(30), study_id),
    )
    registry = FakeRegistry({}, {})
    registry.versions = {"1": old, "2": new}
    assert f"Version 2 replaces {said}" in settled(registry)


def test_first_champion_is_registered_without_a_word():
    registry = FakeRegistry({}, {})
    registry.champion = lambda model: None
    assert settled(registry) == ""
    assert registry.aliases == ("2", "3")


def test_champion_that_is_registered_already_keeps_its_alias():
    registry = FakeRegistry({}, {})
    registry.aliases = ("2", None)
    assert settle(registry, "model", "2", "3", replace=False, listener=pytest.fail) == []
    assert registry.aliases == ("2", "3")


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ((38, 39, 38), "points of accuracy: better"),
        ((31, 30, 30), "points of accuracy: undecided"),
        ((30, 30), "is 0.0 points of accuracy, without an interval: undecided"),
        ((35,), "is +12.5 points of accuracy, without an interval: undecided"),
    ],
)
def test_champion_that_is_not_lower_on_the_same_images_replaces_the_registered_one(new, words):
    registry = FakeRegistry(estimate(30, 30, 30), estimate(*new))
    said = settled(registry)
    assert said.startswith("Version 2 replaces version 1 (study study-1, trial 3) as the registered champion, because ")
    assert words in said
    assert registry.aliases == ("2", "3")


@pytest.mark.parametrize(
    ("new", "words"), [((15, 16, 15), "points of accuracy: worse"), ((29, 31, 29), "points of accuracy: undecided")]
)
def test_champion_that_is_lower_leaves_the_registered_one_unless_it_is_to_replace_it(new, words):
    registry = FakeRegistry(estimate(30, 30, 30), estimate(*new))
    said = settled(registry)
    assert said.startswith(
        "The registered champion stays version 1 (study study-1, trial 3): on the same confirm images"
    )
    assert words in said
    assert said.endswith("--replace gives the alias to version 2.")
    assert registry.aliases == ("1", None)
    assert "Version 2 replaces version 1" in settled(registry, replace=True)
    assert registry.aliases == ("2", "3")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data_sha256": "ef" * 32}, "data"),
        ({"classes": ["cat", "cow", "dog"]}, "classes"),
        ({"input_shape": [3, 28, 28]}, "image size"),
        ({"split_sha256": "ef" * 32}, "split"),
        ({"split_sha256": None}, "split"),
        ({"part": "validation"}, "part"),
        ({"conversions": ["transparency on white"]}, "reading of the images"),
        ({"conversions": ["padded with white to squares"]}, "reading of the images"),
        ({"value_range": {"low": 0, "high": 1234.1}}, "reading of the images"),
    ],
)
def test_champions_that_cannot_be_compared_leave_the_registered_one(changes, what):
    registry = FakeRegistry(estimate(3, 3, **changes), estimate(39, 39))
    assert f"cannot be compared, because the {what} of their estimates differs or is not known" in settled(registry)
    assert registry.aliases == ("1", None)
    settled(registry, replace=True)
    assert registry.aliases == ("2", "3")


def test_version_that_sweeper_did_not_make_cannot_be_compared():
    registry = FakeRegistry({}, estimate(39, 39))
    assert "cannot be compared" in settled(registry)
    assert registry.aliases == ("1", None)


def test_champion_that_a_person_chose_stays_however_low_it_is():
    registry = FakeRegistry(estimate(3, 3), estimate(39, 39), by_hand=True)
    said = settled(registry)
    assert "stays version 1" in said
    assert "a person, and not sweeper, gave it the alias; on the same confirm images" in said
    assert registry.aliases == ("1", None)
    settled(registry, replace=True)
    assert registry.aliases == ("2", "3")


@pytest.mark.parametrize(
    ("accuracy", "decision", "champion"), [(0.9, "better", "2"), (0.76, "undecided", "2"), (0.5, "worse", "1")]
)
def test_estimate_of_an_older_sweeper_is_compared_by_its_interval(accuracy, decision, champion):
    old = estimate(30, 30, correct=None)
    registry = FakeRegistry(old, estimate(30, 30, accuracy=accuracy, low=accuracy - 0.05, high=accuracy + 0.05))
    assert f"75.0 % [70.0, 80.0] for the new and the registered champion: {decision}" in settled(registry)
    assert registry.aliases[0] == champion


def test_estimate_without_an_interval_decides_nothing():
    registry = FakeRegistry(estimate(30, correct=None, low=None, high=None), estimate(39, 39))
    assert "and 75.0 % for the new and the registered champion: undecided" in settled(registry)


@pytest.mark.parametrize("changes", [{"correct": ["01x"]}, {"correct": 5}, {"correct": ["1" * 39] * 2}])
def test_estimate_that_is_damaged_cannot_be_compared(changes):
    registry = FakeRegistry(estimate(30, 30, **changes), estimate(39, 39))
    assert "cannot be compared, because MLflow's record of them is damaged" in settled(registry)
    assert registry.aliases == ("1", None)
    settled(registry, replace=True)
    assert registry.aliases == ("2", "3")


def in_metric(metric, value):
    return {k: v for k, v in estimate(30).items() if k not in ("accuracy", "correct")} | {
        "metric": metric, metric: value, "low": value - 0.05, "high": value + 0.05,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "old", "new", "words", "replaces"),
    [
        ("macro_f1", 0.5, 0.7, "of macro F1 are 70.0 % [65.0, 75.0] and 50.0 % [45.0, 55.0]", True),
        ("macro_f1", 0.7, 0.5, "worse", False),
        ("loss", 0.7, 0.5, "of loss are 0.5000 [0.4500, 0.5500] and 0.7000 [0.6500, 0.7500]", True),
        ("loss", 0.5, 0.7, "registered champion: worse", False),
        ("loss", 0.5, 0.52, "registered champion: undecided", False),
    ],
)
def test_champions_of_one_metric_are_compared_in_it(metric, old, new, words, replaces):
    registry = FakeRegistry(in_metric(metric, old), in_metric(metric, new))
    assert words in settled(registry)
    assert registry.aliases[0] == ("2" if replaces else "1")


def test_champions_of_different_metrics_are_not_compared():
    registry = FakeRegistry(estimate(30), in_metric("macro_f1", 0.9))  # an estimate without a metric is an accuracy
    assert "because the metric of their estimates differs" in settled(registry)
    assert registry.aliases == ("1", None)
