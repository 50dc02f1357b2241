import inspect
from contextlib import suppress
from dataclasses import fields
from typing import get_type_hints

import numpy as np
import pytest
from click.testing import CliRunner

import sweeper
from sweeper.api import arguments, keywords
from sweeper.api.arguments import NOT_ASKED
from sweeper.cli import main
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange
from sweeper.promotion.options import PromotionOptions
from sweeper.runs.options import TrainingOptions
from sweeper.store.options import StoreOptions
from sweeper.sweep.options import SearchOptions
from tests.fake_data import fake_images

SEARCH = (SearchOptions, TrainingOptions, DataOptions, DataSource, DeviceOptions, StoreOptions)
PROMOTE = (PromotionOptions, DataSource, DeviceOptions, StoreOptions)


def options(*kinds):
    return {
        field.name for kind in kinds for field in fields(kind) if kind is not DataSource or field.name not in NOT_ASKED
    }


@pytest.mark.parametrize(
    ("function", "kinds", "own", "typed"),
    [
        (
            sweeper.search,
            SEARCH,
            {"dataset", "space", "set", "study", "new", "code", "progress"},
            keywords.SearchKeywords,
        ),
        (sweeper.promote, PROMOTE, {"study", "code", "progress"}, keywords.PromoteKeywords),
        (sweeper.load_study, (StoreOptions,), {"name"}, keywords.StoreKeywords),
        (sweeper.load_model, (StoreOptions,), {"name", "code"}, keywords.StoreKeywords),
    ],
)
def test_every_option_of_the_command_line_is_an_argument_with_its_default(function, kinds, own, typed):
    parameters = inspect.signature(function).parameters
    assert set(parameters) == own | options(*kinds)
    assert set(get_type_hints(typed)) == options(*kinds)
    for kind in kinds:
        for field in fields(kind):
            if field.name in options(kind):
                assert parameters[field.name].default == field.default


def test_unknown_option_is_a_type_error_with_the_nearest_name():
    with pytest.raises(
        TypeError, match=r"^search\(\) got an unexpected keyword argument 'trails'; did you mean trials\?"
    ):
        sweeper.search("fashion_mnist", trails=3)
    with pytest.raises(TypeError, match=r"^promote\(\) got .* 'tests'; did you mean test\?"):
        sweeper.promote("study", tests=True)
    with pytest.raises(TypeError, match=r"^load_model\(\) got .* 'stores'; did you mean store\?"):
        sweeper.load_model("name@champion", stores="mlruns")


@pytest.fixture
def tiny(tmp_path):
    """A data set of 30 grey images of 28x28 in three classes."""
    images, labels = fake_images(30, 3, 28, seed=0)
    np.savez(tmp_path / "tiny.npz", train_images=images, train_labels=labels)
    return tmp_path / "tiny.npz"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 0}, "trials must be an integer of at least 1, got 0"),
        ({"trials": "20"}, "trials must be an integer of at least 1, got '20'"),
        ({"trials": True}, "trials must be an integer of at least 1, got True"),
        ({"sampler": "tpa"}, "sampler must be one of tpe, random, grid, got 'tpa'"),
        ({"metric": "f1"}, "metric must be one of accuracy"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"folds": 1}, "folds must be 0 for none, or an integer of at least 2"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"jobs": 0}, "jobs must be an integer of at least 1, got 0"),
        ({"timeout": "soon"}, "timeout must be a duration such as 90s, 45m, 2h or 1h30m, got 'soon'"),
        ({"timeout": 0}, "timeout must be a positive number, got 0"),
        ({"max_latency": float("inf")}, "max_latency must be a positive number, got inf"),
        ({"target": 93}, "--target must be in .0, 1. for accuracy, got 93; did you mean 0.93"),
        ({"resize": "32"}, "resize must be an integer of at least 1, got '32'"),
        ({"fit": "crop"}, "fit needs resize"),
        ({"fit": "croop", "resize": 8}, "fit must be one of pad, crop, stretch, got 'croop'"),
        ({"value_range": (1, 0)}, "value_range a range of values must be two finite numbers"),
        ({"value_range": 3}, "value_range must be two numbers, the lower first, got 3"),
        ({"worker_memory": "much"}, "worker_memory must be auto or a size such as 4GB"),
        ({"max_bytes": "much"}, "max_bytes must be auto or a size such as 4GB"),
        ({"max_bytes": 0}, "max_bytes must be an integer of at least 1, got 0"),
        ({"offline": "no"}, "offline must be true or false, got 'no'"),
        ({"variants_only": True, "trials": 3}, "--variants-only trains each variant to its end, and takes no --trials"),
        ({"study": "a/b"}, "a study's name must be"),
        ({"space": "lenet"}, "no space 'lenet'"),
        ({"set": {"no_such": 3}}, "unknown key no_such"),
        ({"set": "lr=1"}, "set must be a dictionary, or a list of KEY=VALUE, got 'lr=1'"),
        ({"map": {"one": "1"}}, "a map must name at least two classes, got 1"),
    ],
)
def test_values_that_the_command_line_refuses_are_refused_before_anything_is_written(tiny, tmp_path, given, message):
    with pytest.raises(UsageError, match=message):
        sweeper.search(tiny, store=tmp_path / "store", progress=False, **given)
    assert not (tmp_path / "store").exists()


class Asked(Exception):
    """Ends a search as soon as its request is made."""


@pytest.fixture
def request_of(monkeypatch):
    """Makes the request of a call, or of a command line."""

    def ask(request, *others):
        asked.append(request)
        raise Asked

    asked = []
    monkeypatch.setattr("sweeper.sweep.run.run", ask)

    def made(call):
        asked.clear()
        with suppress(Asked):
            call()
        [request] = asked
        return request

    return made


CALLS = [
    {},
    {"trials": 7, "sampler": "random", "pruner": "none", "metric": "macro_f1", "keep": 0, "target": 0.5},
    {"max_params": 10**6, "max_madds": 10**7, "max_latency": 0.25, "timeout": "90m", "trial_timeout": 60.0},
    {"epochs": 2, "folds": 3, "repeats": 2, "seed": 1, "subset": 100, "split_seed": 4},
    {"jobs": 2, "device": "cpu", "worker_memory": "4GB", "max_bytes": 5_000_001, "offline": True},
    {"classes": ["2", "0"], "resize": 32, "fit": "crop", "grayscale": True, "background": "black"},
    {"value_range": (0.1, 65_534.9), "resplit": True, "min_per_class": 2, "study": "mine", "jobs_per_gpu": "auto"},
    {"space": "vgg_small", "set": {"lr": 1e-3, "activation": "relu,tanh", "dropout": {"low": 0.1, "high": 0.4}}},
    {"variants_only": True, "space": "lenet5", "resize": 28, "grayscale": True},
]


@pytest.mark.parametrize("given", CALLS)
def test_call_asks_for_the_same_as_the_command_line_that_it_records(tiny, tmp_path, monkeypatch, request_of, given):
    monkeypatch.setattr("sys.argv", ["sweeper"])
    called = request_of(lambda: sweeper.search(tiny, store=tmp_path / "store", progress=False, **given))
    assert called.command[:2] == ["sweeper", "search"]
    typed = request_of(lambda: CliRunner().invoke(main, [*called.command[1:], "--quiet"]))
    for name in ("source", "space", "training", "device", "options", "store", "study", "new"):
        assert getattr(called, name) == getattr(typed, name), name


def test_numbers_of_numpy_and_texts_of_the_command_line_are_taken(tmp_path):
    given = {"trials": np.int64(3), "target": np.float32(0.5), "timeout": "1h30m"}
    found = arguments.options_of(SearchOptions, given)
    assert found == SearchOptions(trials=3, target=0.5, timeout=5400.0)
    found = arguments.options_of(
        DataOptions, {"classes": "cat, dog", "value_range": np.array([0, 1]), "max_pixels": "2M"}
    )
    assert found == DataOptions(classes=("cat", "dog"), value_range=ValueRange(0, 1), max_pixels=2_000_000)


def test_store_data_and_engine_come_from_the_environment_as_for_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_STORE", str(tmp_path / "there"))
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "data"))
    assert arguments.store_of({}).root == tmp_path / "there"
    assert arguments.store_of({"store": tmp_path / "here"}).root == tmp_path / "here"
    assert arguments.data_access_of({}).data_dir == tmp_path / "data"
    assert arguments.device_of({}).engine == "local"
    monkeypatch.setenv("SWEEPER_ENGINE", "inline")
    assert arguments.device_of({}).engine == "inline"
    assert arguments.device_of({"engine": "local"}).engine == "local"


def test_space_may_be_a_file_a_dictionary_or_a_parsed_one(tiny, tmp_path, request_of):
    tables = {
        "space": {"title": "mine"},
        "model": {"filters": [4, 8], "kernel_size": 3, "pool_after": [1], "hidden": []},
        "train": {"lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
        "variants": {"baseline": {"lr": 1e-3}},
    }

    def asked(space, **more):
        return request_of(lambda: sweeper.search(tiny, store=tmp_path / "s", progress=False, space=space, **more))

    first = asked(tables)
    assert (first.space.title, first.study) == ("mine", "tiny-custom")
    assert first.command == ["sweeper.search", str(tiny)]
    (tmp_path / "mine.toml").write_text(first.space.text)
    second = asked(tmp_path / "mine.toml")
    assert second.space.parameters == first.space.parameters
    assert second.command[second.command.index("--space") + 1] == str(tmp_path / "mine.toml")
    third = asked(second.space, set={"lr": 1e-3})
    assert third.space.fixed["lr"] == 1e-3


def test_paths_in_the_home_are_found_and_recorded_whole(tiny, tmp_path, monkeypatch, request_of):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "map.toml").write_text('even = ["0", "2"]\nodd = "1"\n')
    (tmp_path / "mine.toml").write_text("[train]\nlr = 0.5\n[variants.baseline]\n")
    found = request_of(
        lambda: sweeper.search("~/tiny.npz", space="~/mine.toml", map="~/map.toml", store="~/store", progress=False)
    )
    assert (found.space.fixed["lr"], [new for new, _ in found.source.options.map]) == (0.5, ["even", "odd"])
    words = found.command
    given = {option: words[words.index(option) + 1] for option in ("--space", "--map", "--store")}
    assert given == {
        option: str(tmp_path / name) for option, name in zip(given, ("mine.toml", "map.toml", "store"), strict=True)
    }


def test_map_may_be_a_dictionary_or_a_file(tiny, tmp_path):
    (tmp_path / "map.toml").write_text('even = ["0", "2"]\nodd = "1"\n')

    def read(given):
        return arguments.source_of(tiny, {"map": given}).options.map

    assert read({"even": ("0", "2"), "odd": "1"}) == (("even", ("0", "2")), ("odd", ("1",)))
    assert read(tmp_path / "map.toml") == read({"even": ["0", "2"], "odd": ["1"]})
