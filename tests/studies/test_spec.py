import json
from dataclasses import replace

import pytest

from sweeper.config import Protocol
from sweeper.errors import SweeperError
from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange
from sweeper.studies.attributes import spec_in
from sweeper.studies.spec import RunSpec, StudySpec
from sweeper.studies.spec_comparison import first_difference

# As a search has stored it, shortened: the keys, and their order, are those of schema 3.
STORED = """{
    "dataset": "cifar10", "classes": ["cat", "dog"], "resize": 16, "fit": "crop", "grayscale": true, "skip_bad": false,
    "space_name": "mine",
    "space": {"parameters": {"lr": {"type": "float", "low": 0.1, "high": 1.0}}, "fixed": {"hidden": [84]}},
    "variants_only": true, "metric": "loss", "sampler": "random", "pruner": "none", "max_params": 1000,
    "variant_epochs": {"deep": 25},
    "epochs": 4, "validation": 0.2, "confirm": 500, "folds": 2, "repeats": 3, "pixels": "unit", "seed": 7,
    "subset": 300, "data_sha256": "ab", "split_sha256": "cd", "mean": [0.5], "std": [0.25],
    "fold_scalings": [[[0.5], [0.25]], [[0.6], [0.2]]], "device": "cuda", "threads": 2, "layout": "contiguous_format"
}"""


def stored(**changes):
    return {**json.loads(STORED), **changes}


def test_stored_spec_is_read_and_written_the_same():
    spec = StudySpec.from_json(stored())
    assert spec.data_options == DataOptions(("cat", "dog"), 16, "crop", grayscale=True, depth=1)
    assert spec.protocol == Protocol(epochs=4, validation=0.2, confirm=500, folds=2, repeats=3, pixels="unit")
    assert (spec.metric, spec.max_params, spec.seed, spec.subset, spec.threads) == ("loss", 1000, 7, 300, 2)
    assert (spec.mean, spec.std) == ([0.5], [0.25])
    assert json.dumps(spec.as_json()) == json.dumps(stored())


def test_limits_that_older_studies_do_not_know_are_stored_only_if_given_and_make_another_study():
    old = StudySpec.from_json(stored(), complete=True)
    assert (old.max_madds, old.max_latency) == (None, None)
    limited = replace(old, max_madds=400_000, max_latency=0.5)
    assert StudySpec.from_json(limited.as_json()) == limited
    assert first_difference(stored(), limited) == ("max_madds", None, 400_000)
    assert first_difference(limited.as_json(), old) == ("max_madds", 400_000, None)


def test_test_flip_is_stored_only_if_it_is_on_and_makes_another_study():
    old = StudySpec.from_json(stored(), complete=True)
    flipping = replace(old, protocol=replace(old.protocol, test_flip=True))
    assert StudySpec.from_json(flipping.as_json(), complete=True) == flipping
    assert first_difference(stored(), flipping) == ("test_flip", None, True)
    assert first_difference(flipping.as_json(), old) == ("test_flip", True, None)


def test_optional_keys_are_stored_only_where_they_say_something():
    spec = StudySpec.from_json(stored(variant_epochs={}))
    assert "variant_epochs" not in spec.as_json()
    assert not {"init_sha256", "conversions", "test_flip"} & spec.as_json().keys()
    converted = replace(spec, conversions=("transparency on white",))
    assert StudySpec.from_json(converted.as_json(), complete=True) == converted


@pytest.mark.parametrize(
    ("space", "softmax"),
    [
        ({"variants": {"a": {"softmax_output": False}}}, False),
        ({"variants": {"a": {}, "b": {"softmax_output": True}}}, True),
        ({"parameters": {"softmax_output": {"type": "categorical"}}}, True),
        ({"fixed": {"softmax_output": True}, "variants": {"a": {"softmax_output": False}}}, True),
        ({"fixed": {"softmax_output": False}, "variants": {"a": {"softmax_output": False}}}, False),
    ],
)
def test_kind_of_loss_is_stored_where_a_network_may_end_in_a_softmax(space, softmax):
    older = StudySpec.from_json(stored(space=space))
    assert (older.has_old_losses, older.has_old_scores) == (softmax, softmax)
    assert not StudySpec.from_json(stored(space=space, metric="accuracy")).has_old_scores
    new = StudySpec.from_json(stored(space=space, loss="log"))
    assert (new.has_old_losses, "loss" in new.as_json()) == (False, softmax)
    assert not StudySpec.from_json(new.as_json()).has_old_losses


def test_training_by_itself_stores_its_initial_weights_and_nothing_of_a_search():
    common = {"dataset": "x", "data_sha256": "ab", "fold_scalings": [([0.0], [1.0])]}
    assert not {"space", "metric", "init_sha256", "freeze"} & RunSpec(**common).as_json().keys()
    described = RunSpec(**common, init_sha256="ef", freeze=True).as_json()
    keys = list(described)
    assert (described["init_sha256"], described["freeze"]) == ("ef", True)
    assert keys.index("space_name") < keys.index("init_sha256") < keys.index("epochs")


def test_keys_that_an_older_sweeper_did_not_write_have_defaults():
    old = stored()
    for key in ("folds", "repeats", "classes", "resize", "fold_scalings", "variants_only", "variant_epochs"):
        del old[key]
    spec = StudySpec.from_json(old)
    assert len(spec.trainings) == 1
    assert spec.fold_scalings == [[[0.5], [0.25]]]
    assert (spec.variants_only, spec.n_epochs("deep")) == (False, 4)


def test_trainings_are_named_by_fold_and_repeat():
    spec = StudySpec.from_json(stored(folds=2, repeats=2))
    labels = [training.label for training in spec.trainings]
    assert labels == ["fold 1, repeat 1", "fold 2, repeat 1", "fold 1, repeat 2", "fold 2, repeat 2"]
    assert [training.label for training in StudySpec.from_json(stored(folds=0, repeats=1)).trainings] == [""]


def test_a_variant_may_have_epochs_of_its_own():
    spec = StudySpec.from_json(stored())
    assert (spec.n_epochs("deep"), spec.n_epochs("baseline"), spec.n_epochs(None)) == (25, 4, 4)


@pytest.mark.parametrize(
    "changes", [{"epochs": 0}, {"epochs": None}, {"seed": None}, {"fold_scalings": 5}, {"fold_scalings": ["ab"]}]
)
def test_spec_that_cannot_be_read_is_one_line_with_the_studys_name(changes):
    broken = {**stored(), **changes}
    broken = {key: value for key, value in broken.items() if value is not None}
    with pytest.raises(SweeperError, match=r"^study mine cannot be read: its spec was changed, or another version"):
        spec_in("mine", {"spec": broken})


@pytest.mark.parametrize("spec", [None, [], 5, "x", {}])
def test_what_is_no_spec_is_one_line_too(spec):
    with pytest.raises(SweeperError, match=r"^study mine cannot be read"):
        spec_in("mine", {"spec": spec})


def test_only_a_spec_of_an_older_schema_may_lack_keys():
    old = {key: value for key, value in stored().items() if key not in ("pixels", "classes")}
    assert spec_in("old", {"spec": old, "schema": 2}).protocol.pixels == "standard"
    with pytest.raises(SweeperError, match=r"KeyError: 'classes, pixels'"):
        spec_in("new", {"spec": old, "schema": 3})


def test_study_from_before_fit_cropped_its_resized_images():
    before = {key: value for key, value in stored().items() if key != "fit"}
    old = StudySpec.from_json(before, complete=True)
    assert old.data_options.fit == "crop"
    assert first_difference(before, old) is None
    padded = replace(old, data_options=replace(old.data_options, fit="pad"))
    assert first_difference(before, padded) is None  # all images are square
    padded = replace(padded, conversions=("padded with white to squares",))
    assert first_difference(before, padded) == ("fit", "crop", "pad")
    assert StudySpec.from_json(padded.as_json()).data_options.fit == "pad"
    assert "fit" not in StudySpec.from_json(stored(resize=None)).as_json()


def test_options_for_folders_are_stored_only_where_they_change_something():
    read = StudySpec.from_json(stored())
    assert not {"depth", "train_dir", "labels", "resplit"} & read.as_json().keys()
    options = replace(read.data_options, depth=2, val_dir="dev", resplit=True)
    changed = replace(read, data_options=options)
    assert StudySpec.from_json(changed.as_json()).data_options == options
    assert first_difference(read.as_json(), changed) == ("val_dir", None, "dev")


def test_a_range_of_values_is_stored_only_if_given():
    read = StudySpec.from_json(stored())
    options = replace(read.data_options, value_range=ValueRange(-1, 1), channels="first")
    changed = replace(read, data_options=options)
    assert StudySpec.from_json(changed.as_json()).data_options == options
    assert first_difference(read.as_json(), changed) == ("value_range", None, {"low": -1, "high": 1})
    with pytest.raises(SweeperError, match="two finite numbers, the lower first, got 1 to 0"):
        spec_in("mine", {"spec": stored(value_range={"low": 1, "high": 0})})


def test_a_study_keeps_its_map_and_another_order_of_the_classes_is_another_study():
    plain = StudySpec.from_json(stored())
    classes = (("a", ("x", "y")), ("b", ("z",)))
    mapped = replace(plain, data_options=replace(plain.data_options, map=classes, min_per_class=4))
    assert StudySpec.from_json(mapped.as_json()) == mapped
    turned = replace(plain, data_options=replace(mapped.data_options, map=classes[::-1]))
    assert first_difference(mapped.as_json(), turned)[0] == "map"
    assert first_difference(plain.as_json(), mapped)[0] == "map"
    fewer = replace(plain, data_options=replace(mapped.data_options, min_per_class=None))
    assert first_difference(mapped.as_json(), fewer) == ("min_per_class", 4, None)
