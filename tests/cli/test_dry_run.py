"""`sweeper search --dry-run`: the plan, and the same refusals as those of the run."""

import json

import optuna
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.data.known import catalog
from sweeper.errors import UsageError
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.ownership import claimed
from tests.cli.test_search import tiny, tiny_search  # noqa: F401
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset
from tests.spaces.test_reader import EXAMPLE


def start(data, place):
    """A function that searches a store with a study of one trial, and the store."""

    def search(*more):
        return tiny_search(data, place, "--epochs", 1, "--trials", 1, "--quiet", *more)

    assert search().exit_code == 0
    return search, StoreOptions(place).resolve({})


@pytest.fixture
def started(tiny, tmp_path):  # noqa: F811
    """What `start` gives, for a test that changes the study or the store."""
    return start(tiny, tmp_path / "store")


@pytest.fixture(scope="module")
def started_once(tmp_path_factory):
    """What `start` gives, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("started")
    dataset = write_fake_dataset(folder / "data", training=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        yield start(folder / "data", folder / "store")


def refused_alike(search, *more):
    """The line with which both the dry run and the run are refused, and their exit code."""
    ends = [search(*more, *dry_run) for dry_run in (["--dry-run"], [])]
    dry, real = ((end.stderr.splitlines()[-1], end.exit_code, end.stdout) for end in ends)
    assert dry == real
    line, code, stdout = dry
    assert (code > 0, stdout) == (True, "")
    return line, code


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (["--set", "activation=gelu"], "activation"),
        (["--space", "lenet5_steps", "--study", "tiny-lenet5"], "space_name 'lenet5', this command has 'lenet5_steps'"),
        (["--epochs", 2], "epochs 1, this command has 2"),
        (["--metric", "macro_f1"], "metric 'accuracy', this command has 'macro_f1'"),
        (["--seed", 1], "seed 0, this command has 1"),
        (["--subset", 200], "subset None, this command has 200"),
        (["--folds", 3], "folds 0, this command has 3"),
        (["--sampler", "random"], "sampler 'tpe', this command has 'random'"),
        (["--pruner", "median"], "pruner 'none', this command has 'median'"),
        (["--max-params", 100_000], "max_params None, this command has 100000"),
        (["--max-madds", 500_000], "max_madds None, this command has 500000"),
        (["--max-latency", 2.5], "max_latency None, this command has 2.5"),
    ],
)
def test_existing_study_with_other_options_is_refused_alike(started_once, changed, difference):
    line, code = refused_alike(started_once[0], *changed)
    assert code == 2
    assert line.startswith("Error: study tiny-lenet5 was started with ")
    assert difference in line


def test_study_that_is_running_half_deleted_or_of_another_schema_is_refused_alike(started):
    search, store = started
    study = optuna.load_study(study_name="tiny-lenet5", storage=store.storage)
    with store.owning("tiny-lenet5"):
        line, code = refused_alike(search)
    assert (line.startswith("Error: tiny-lenet5 is being run by process "), code) == (True, 1)
    lifecycle.mark_ended(study, lifecycle.DELETING)
    assert refused_alike(search) == (
        f"Error: study tiny-lenet5 is half deleted: `sweeper delete tiny-lenet5 --store {store.root}` deletes the rest "
        "of it", 1,
    )  # fmt: skip
    lifecycle.mark_ended(study, "")
    for schema, words in ((2, "by an older sweeper"), (99, "by a newer sweeper")):
        study.set_user_attr(lifecycle.SCHEMA, schema)
        line, code = refused_alike(search)
        assert (words in line, code) == (True, 1)
    study.set_user_attr(lifecycle.SCHEMA, lifecycle.CURRENT_SCHEMA)
    study.set_user_attr(lifecycle.STUDY_ID, "../x")
    assert "its id must be 32 hexadecimal digits" in refused_alike(search)[0]


def test_study_that_runs_from_another_store_is_refused_alike(started, tmp_path):
    search, store = started
    study = optuna.load_study(study_name="tiny-lenet5", storage=store.storage)
    with claimed(StoreOptions(tmp_path / "other", store.storage).resolve({}), study):
        line, code = refused_alike(search)
    assert line.startswith("Error: tiny-lenet5 is being run by process ")
    assert (f"with the store {tmp_path / 'other'}: " in line, code) == (True, 1)


def test_study_that_is_none_of_sweepers_is_refused_alike(started):
    search, store = started
    optuna.create_study(study_name="theirs", storage=store.storage).add_trial(optuna.create_trial(value=1.0))
    line, code = refused_alike(search, "--study", "theirs")
    assert (line, code) == ("Error: study 'theirs' in this storage is not one of sweeper's (--study)", 2)


def test_search_without_a_feasible_configuration_is_refused_alike_and_leaves_nothing(tiny, tmp_path):  # noqa: F811
    def search(*more):
        return tiny_search(tiny, tmp_path / "store", *more)

    for variants_only, number in (((), "no network"), (("--variants-only",), "no variant")):
        line, code = refused_alike(search, "--max-params", 10, *variants_only)
        assert line.startswith(f"Error: {number} of space lenet5 is feasible: the smallest has ")
        assert line.endswith(" parameters (--max-params 10)")
        assert code == 2
    assert not (tmp_path / "store").exists()


def test_databases_and_servers_that_cannot_be_used_are_refused_alike(started, tmp_path, monkeypatch):
    search, store = started
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "cannot be used" in refused_alike(search, "--tracking-uri", "http://127.0.0.1:9")[0]
    assert "cannot be used" in refused_alike(search, "--storage", "postgresql://127.0.0.1:1/none")[0]
    (store.root / "optuna.db").write_bytes(b"junk" * 1000)
    assert "is not a SQLite database" in refused_alike(search)[0]


def test_plan_names_the_study_that_would_be_started_or_resumed(started_once):
    search, _ = started_once
    for more, name in (([], "tiny-lenet5"), (["--new"], "tiny-lenet5-2"), (["--study", "other", "--new"], "other")):
        result = search(*more, "--dry-run", "--json")
        assert (result.exit_code, json.loads(result.stdout)["study_name"]) == (0, name)


def test_few_validation_images_need_no_pruner_and_the_plan_says_why(tiny, tmp_path):  # noqa: F811
    def plan(*more):
        return tiny_search(tiny, tmp_path / "store", "--dry-run", *more)

    shown = json.loads(plan("--json").stdout)
    assert (shown["pruner"], shown["pruner_reason"]) == (
        "none",
        "the standard error of an accuracy on 30 validation images is up to 9.1 points; --folds 5 would score each "
        "configuration on 270",
    )
    assert f"{'pruner':12} none: {shown['pruner_reason']}\n" in plan().stdout
    assert "--folds" not in json.loads(plan("--folds", 2, "--json").stdout)["pruner_reason"]
    # With four images of each class, no five folds are possible.
    halves = tmp_path / "halves.toml"
    halves.write_text(EXAMPLE.replace("validation = 0.1", "validation = 0.5").replace("confirm = 0.1", "confirm = 0"))
    few = json.loads(plan("--space", halves, "--subset", 40, "--json").stdout)
    assert few["pruner_reason"] == "the standard error of an accuracy on 20 validation images is up to 11.2 points"
    for explicit in ("halving", "median", "hyperband", "none"):
        shown = json.loads(plan("--pruner", explicit, "--json").stdout)
        assert (shown["pruner"], shown["pruner_reason"]) == (explicit, "")


def test_pruner_is_chosen_once_for_a_study(tiny, tmp_path):  # noqa: F811
    def search(*more):
        arguments = ["--epochs", 2, "--trials", 1, *more]
        return tiny_search(tiny, tmp_path / "store", *arguments)

    assert search("--pruner", "halving", "--study", "older").exit_code == 0
    assert search("--study", "older").exit_code == 0  # a study of an older sweeper, for which halving was the default
    assert (
        "was started with pruner 'halving', this command has 'none'"
        in search("--study", "older", "--pruner", "none").stderr
    )
    first = search()
    assert "Pruner: none: the standard error of an accuracy on 30 validation images is " in first.stderr
    assert search("--pruner", "none").exit_code == 0
    assert "was started with pruner 'none', this command has 'halving'" in search("--pruner", "halving").stderr


@pytest.fixture
def away(monkeypatch):
    """The data are no longer on this machine."""
    monkeypatch.setattr("sweeper.data.training_set.is_here", lambda source, notify: False)

    def load(*arguments, **options):
        raise AssertionError("the data are opened")

    monkeypatch.setattr("sweeper.runs.plan.load_training_set", load)


def test_dry_run_of_data_that_would_be_downloaded_shows_the_command_line(tmp_path, away):
    arguments = ["search", "fashion_mnist", "--store", str(tmp_path / "store"), "--dry-run"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert f"{'metric':12} accuracy\n{'sampler':12} tpe\n{'pruner':12} auto\n" in result.stdout
    assert f"{'data_source':12} would be downloaded\n" in result.stdout
    assert not (tmp_path / "store").exists()


def test_dry_run_of_data_that_would_be_downloaded_knows_the_study_and_refuses_what_the_run_would(started_once, away):
    search, store = started_once
    for more, shown in (([], ("tiny-lenet5", "none")), (["--new"], ("tiny-lenet5-2", "auto"))):
        plan = json.loads(search(*more, "--dry-run", "--json").stdout)
        assert (plan["study_name"], plan["pruner"], plan["data_source"]) == (*shown, None)
    for changed, difference in (
        (["--set", "activation=gelu"], "activation"),
        (["--epochs", 2], "epochs 1, this command has 2"),
        (["--metric", "loss"], "metric 'accuracy', this command has 'loss'"),
        (["--seed", 1], "seed 0, this command has 1"),
        (["--sampler", "random"], "sampler 'tpe', this command has 'random'"),
        (["--pruner", "median"], "pruner 'none', this command has 'median'"),
        (["--max-params", 100_000], "max_params None, this command has 100000"),
        (["--resize", 14], "resize None, this command has 14"),
        (["--device", "abacus"], "device must be auto, cpu"),
        (["--sampler", "grid", "--study", "other"], "grid"),
    ):
        result = search(*changed, "--dry-run")
        assert (result.exit_code, result.stdout) == (2, "")
        assert difference in result.stderr.splitlines()[-1]
    with store.owning("tiny-lenet5"):
        assert "Error: tiny-lenet5 is being run by process " in search("--dry-run").stderr


def test_resumed_study_with_a_feasible_trial_is_not_checked_for_another(started_once, monkeypatch):
    search, _ = started_once

    def check(*arguments, **options):
        raise UsageError("the check is repeated")

    monkeypatch.setattr("sweeper.sweep.preparation.check_feasible", check)
    assert search("--dry-run").exit_code == 0
    assert "the check is repeated" in search("--study", "other", "--dry-run").stderr


def test_search_that_may_find_no_feasible_configuration_says_so_and_begins(tiny, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("sweeper.spaces.feasible_points.MOST_NETWORKS", 0)
    monkeypatch.setattr("sweeper.spaces.feasible_points.N_DRAWS", 3)
    for more, code in ((["--dry-run"], 0), (["--trials", 1, "--epochs", 1], 0)):
        result = tiny_search(tiny, tmp_path / "store", "--max-params", 10, *more)
        assert "Warning: no variant and none of 3 drawn configurations fits --max-params 10: " in result.stderr
        assert result.exit_code == code, result.output
