"""`sweeper promote` end to end, with real worker processes and the real Fashion-MNIST."""

import json
import os
import signal

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory, driver):
    """A store with one small finished study."""
    store = tmp_path_factory.mktemp("promote") / "store"
    search = ("search", "fashion_mnist", "--subset", 1500, "--epochs", 1, "--trials", 3, "--pruner", "none", "--quiet")
    # The promotion is what is tested here: the search starts one worker, draws no plots and exports nothing.
    printed = driver.start(*search, "--jobs", 1, "--keep", 0, "--store", store, stand_ins=True).ended().stdout
    assert f"sweeper promote fashion_mnist-lenet5 --top 2 --test --store {store}" in printed
    return store


def test_promotion_that_is_interrupted_goes_on_to_one_test_and_shows_it_when_repeated(store, sweeper, driver):
    arguments = ("promote", "--top", 1, "--seeds", 1, "--test", "--jobs", 1, "--store", store)
    interrupted = driver.start(*arguments, "--verbose")
    interrupted.says("epoch 1: train loss")
    os.kill(interrupted.process, signal.SIGTERM)  # the command alone, as a supervisor does
    interrupted.ended(143)
    # The study is named, since the latest may be another one later.
    assert f"To resume: sweeper promote --top 1 --seeds 1 --test --jobs 1 --store {store} " in interrupted.stderr
    assert interrupted.stderr.rstrip().endswith(" fashion_mnist-lenet5")
    assert interrupted.stdout == ""
    assert json.loads(sweeper("ledger", "--store", store, "--json").stdout) == {
        "schema_version": 1,
        "looks": [],
        "differences": [],
    }

    done = sweeper(*arguments, "--json")
    outcome = json.loads(done.stdout)
    assert outcome["study_name"] == "fashion_mnist-lenet5"
    assert outcome["model_name"] == "sweeper-fashion_mnist-lenet5"
    assert outcome["test_looks"] == 1
    assert [f["alias"] for f in outcome["finalists"]] == ["champion", "challenger"]
    for finalist in outcome["finalists"]:
        assert 0.3 < finalist["test"]["low"] < finalist["test"]["accuracy"] < finalist["test"]["high"] < 0.95
        assert len(finalist["test"]["per_class_accuracy"]) == 10
    repeated = sweeper(*arguments, "--json")
    assert json.loads(repeated.stdout) == outcome
    assert "the recorded result is shown, and nothing is trained or tested" in repeated.stderr

    shown = sweeper(*arguments[:5], "--store", store).stdout
    assert "Champion minus " in shown
    assert "(the first and only test on these images in this store)" in shown
    assert f"\n  sweeper report fashion_mnist-lenet5 --store {store}\n" in shown
    assert "\n  sweeper predict sweeper-fashion_mnist-lenet5@champion " in shown
