"""benchmarks/peers.py: its scripts search sweeper's space and train as sweeper does, and it counts what was in time."""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import torch
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.config import Configuration
from sweeper.data.known import catalog
from sweeper.models.families import build
from sweeper.spaces import reader
from sweeper.store.options import StoreOptions
from sweeper.studies.queries import studies_in
from sweeper.training.optimizers import build_optimizer, learning_rate
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset
from tests.tracking import stand_ins

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def place(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def lenet():
    return importlib.import_module("peers_lenet")


@pytest.fixture
def peers():
    return importlib.import_module("peers")


@pytest.fixture(scope="module")
def space():
    return reader.load("lenet5")


def drawn(space, lenet, n=25):
    """Parameters and sweeper's configuration of them."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(n):
        params = lenet.suggest(study.ask())
        yield params, Configuration.from_values({**space.fixed, **space.decode(params)})


def test_the_scripts_search_the_space_of_sweeper(space, lenet):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(20):
        ours, theirs = study.ask(), study.ask()
        space.suggest(ours)
        lenet.suggest(theirs)
        for name in ours.distributions.keys() & theirs.distributions.keys():
            assert ours.distributions[name] == theirs.distributions[name]
        seen |= ours.distributions.keys() & theirs.distributions.keys()
        assert ("momentum" in theirs.params) == (theirs.params["optimizer"] == "sgd")
    assert seen == set(space.parameters)
    assert space.point(space.variant("baseline").configuration) == lenet.BASELINE


def test_the_network_of_the_scripts_computes_what_that_of_sweeper_does(space, lenet):
    images = torch.rand(3, 1, 28, 28)
    for params, configuration in drawn(space, lenet):
        ours, theirs = build(configuration.model, (1, 28, 28), 10).eval(), lenet.network(params).eval()
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        torch.testing.assert_close(theirs(images), ours(images), rtol=1e-4, atol=1e-5)
        dropouts = [[m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] for net in (ours, theirs)]
        assert dropouts[0] == dropouts[1]


def test_the_optimizer_and_schedule_of_the_scripts_are_those_of_sweeper(space, lenet):
    epochs, steps = 6, 4
    for params, configuration in drawn(space, lenet):
        networks = [torch.nn.Linear(4, 2) for _ in range(2)]
        networks[1].load_state_dict(networks[0].state_dict())
        ours = build_optimizer(networks[0], configuration.train)
        theirs = lenet.optimizer_of(networks[1], params)
        scheduler = lenet.scheduler_of(theirs, params, epochs, steps)
        for step in range(epochs * steps):
            rate = learning_rate(configuration.train, step, steps, epochs)
            assert theirs.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-4), (params, step)
            ours.param_groups[0]["lr"] = rate
            for network, optimizer in zip(networks, (ours, theirs), strict=True):
                optimizer.zero_grad()
                network(torch.ones(1, 4)).square().sum().backward()
                optimizer.step()
            scheduler.step()
        torch.testing.assert_close(networks[0].weight, networks[1].weight, rtol=1e-3, atol=1e-5)


BASELINE = {"filters": "[6,16,120]", "kernel_size": 5}
WIDE = {"filters": "[12,32,120]", "kernel_size": 3}


def events():
    yield {"trial": 0, "epoch": 1, "accuracy": 0.99, "params": BASELINE, "time": 1.0}
    yield {"trial": 1, "epoch": 1, "accuracy": 0.3, "params": WIDE, "time": 2.0}
    yield {"trial": 1, "state": "pruned", "time": 2.0}
    yield {"trial": 0, "epoch": 2, "accuracy": 0.5, "params": BASELINE, "time": 3.0}
    yield {"trial": 0, "state": "complete", "time": 3.0}
    yield {"trial": 2, "epoch": 1, "accuracy": 0.6, "params": WIDE, "time": 4.0}
    yield {"trial": 2, "epoch": 2, "accuracy": 0.9, "params": WIDE, "time": 5.5}
    yield {"trial": 3, "state": "pruned", "time": 6.0}


def test_only_what_ended_in_time_counts_and_only_last_epochs_are_scores(peers):
    result = peers.Result.of(list(events()), deadline=5.0, last_epoch=2, peak=1, minutes=0.1)
    assert (result.epochs, result.complete, result.pruned) == (4, 1, 1)
    assert (result.accuracy, result.params) == (0.5, BASELINE)
    assert result.multiply_adds == 2 * 416_520 + 2 * 1_396_344


def test_a_way_without_a_complete_trial_has_no_score(peers):
    result = peers.Result.of(list(events()), deadline=2.0, last_epoch=2, peak=1, minutes=0.1)
    assert (result.epochs, result.complete, result.accuracy, result.params) == (2, 0, None, None)
    text = peers.table({"sweeper": result, "Ray Tune": result}, {})
    assert "| sweeper | 2 | 2 M | 0 | 1 | none | none | 0.00 GiB |" in text
    assert "| Ray Tune | 1.00 | 1.00 |" in text


def test_missing_peers_are_named_with_the_command_that_installs_them(peers, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else True)
    with pytest.raises(SystemExit, match=r"Ray Tune needs tensorboardX: pip install -e '\.\[bench\]' installs"):
        peers.run_all(tmp_path / "peers", ["Ray Tune"], 1, 1, None)
    assert not (tmp_path / "peers").exists()


def test_the_epochs_of_sweeper_are_read_from_its_store(peers, tmp_path, monkeypatch):
    dataset = write_fake_dataset(tmp_path / "data", training=300)
    monkeypatch.setitem(catalog.DATASETS, dataset.name, dataset)
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
    stand_ins.use(monkeypatch)
    store, began = tmp_path / "store", time.time()
    arguments = ["--data-dir", tmp_path / "data", "--store", store, "--jobs", 1, "--epochs", 2, "--trials", 4]
    arguments += ["--space", "lenet5"]
    done = CliRunner().invoke(main, ["search", "tiny", *map(str, arguments), "--pruner", "halving"])
    assert done.exit_code == 0, done.output
    found = peers.sweeper_events(store)
    (study,) = studies_in(StoreOptions(store).resolve({}))
    epochs = {(event["trial"], event["epoch"]): event for event in found if "epoch" in event}
    assert {(t.number, step) for t in study.trials for step in t.intermediate_values} == epochs.keys()
    for trial in study.trials:
        for step, value in trial.intermediate_values.items():
            event = epochs[trial.number, step]
            assert (event["accuracy"], event["params"]) == (pytest.approx(value), trial.params)
            assert began < event["time"] < time.time()
    states = {event["trial"]: event["state"] for event in found if "state" in event}
    assert states == {trial.number: trial.state.name.lower() for trial in study.trials}
    assert set(states.values()) == {"complete", "pruned"}


GRANDCHILD = "import sys, time; block = bytearray(b'x' * 50_000_000); print('there', flush=True); time.sleep(600)"
TREE = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import process_tree
process_tree.adopt_orphans()
# A process that starts another one and ends at once, as a daemon does.
start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sys.argv[2]!r}], start_new_session=True)"
with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True) as parent:
    parent.stdout.readline()
    parent.wait()
    below = process_tree.descendants(os.getpid())
    print(len(below), process_tree.memory(below), flush=True)
    process_tree.end(os.getpid())
print(len(process_tree.descendants(os.getpid())))
"""


def test_a_process_whose_parent_has_ended_still_counts_and_is_ended():
    done = subprocess.run(
        [sys.executable, "-c", TREE, str(BENCHMARKS), GRANDCHILD], capture_output=True, text=True, timeout=60
    )
    n_below, memory, n_after = map(int, done.stdout.split())
    assert (n_below, n_after) == (1, 0)
    assert 50_000_000 < memory < 80_000_000
