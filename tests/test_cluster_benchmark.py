"""benchmarks/cluster.py runs without Ray, with the inline engine in the place of both that it compares."""

import importlib
import pickle
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.base import BatchesDone
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.ray.actor import Reply
from sweeper.training.epoch_metrics import EpochMetrics
from tests.engine.fakes import metrics

N_EPOCHS = 12


@pytest.fixture(autouse=True)
def place(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")


@pytest.fixture
def benchmark():
    return importlib.import_module("cluster")


@pytest.fixture
def pools(benchmark, tmp_path):
    pools = {name: benchmark.engines.start("inline", 1, tmp_path / name, 200) for name in ("local", "ray")}
    yield pools
    for pool in pools.values():
        pool.close()


@pytest.fixture
def simulated(tmp_path):
    """Makes workers whose epochs take 8 s, and which have had enough after `n_epochs`."""
    module = importlib.import_module("simulated_workers")

    def make(n_workers, n_epochs=N_EPOCHS, **more):
        workers = module.SimulatedWorkers(
            n_workers,
            8.0,
            tmp_path / "weights",
            is_enough=lambda: workers.sent[EpochMetrics] >= n_epochs,
            **more,
        )
        workers.Enough = module.Enough
        return workers

    return make


def job(folder, number=0, epochs=2):
    return TrialJob(number, Configuration(ConvNetConfig(), TrainConfig()), epochs, 0, folder / str(number), "data")


def rows(capsys):
    """The table that was printed, without its first two lines."""
    return [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line][2:]


def test_speed_has_a_row_for_each_number_of_workers(benchmark, pools, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "SIZES", (1,))
    benchmark.compare_throughput(pools, tmp_path, 2, 180, 1)
    [[size, *speeds, ratio]] = rows(capsys)
    assert size == "1"
    assert all(float(speed.replace(",", "")) > 0 for speed in speeds)
    assert len(speeds) == 4
    assert " to " in ratio


def test_engines_with_other_results_are_not_compared(benchmark, pools, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SIZES", (1,))
    train = benchmark.engines.train

    def lucky(pool, *arguments):
        trained = train(pool, *arguments)
        if pool is pools["local"]:
            return trained
        return replace(trained, epochs={0: [(0.0, metrics(1, 0.99))]})

    monkeypatch.setattr(benchmark.engines, "train", lucky)
    with pytest.raises(SystemExit, match="other results on the cluster"):
        benchmark.compare_throughput(pools, tmp_path, 1, 180, 1)


def test_messages_have_a_row_for_each_network(benchmark, pools, tmp_path, monkeypatch, capsys):
    @contextmanager
    def bytes_of_epochs():
        yield [1000, 3000]

    lenet5 = {"LeNet-5": benchmark.engines.NETWORKS["LeNet-5"]}
    monkeypatch.setattr(benchmark.engines, "bytes_of_epochs", bytes_of_epochs)
    monkeypatch.setattr(benchmark.engines, "NETWORKS", lenet5)
    monkeypatch.setattr(benchmark, "N_MESSAGES", 2)
    benchmark.compare_messages(pools, tmp_path, 1)
    [[network, checkpoint, n_bytes, *_]] = rows(capsys)
    assert (network, checkpoint, n_bytes) == ("LeNet-5", "0.8 MB", "2,000")


def test_bytes_are_those_of_messages_with_epochs(benchmark, monkeypatch):
    cluster = benchmark.engines.cluster
    epoch, sign = Reply([metrics(1, 0.5)], {"checkpoint": b"x" * 5000}), Reply([BatchesDone(1, 1, 2)])
    monkeypatch.setattr(cluster, "result", lambda reference, seconds=None: reference)
    plain = cluster.result
    with benchmark.engines.bytes_of_epochs() as sizes:
        assert [cluster.result(reply) for reply in (epoch, sign, {"node": "x"})] == [epoch, sign, {"node": "x"}]
    assert sizes == [5000 + len(pickle.dumps(replace(epoch, new_files={})))]
    assert cluster.result is plain


def test_a_coordinator_serves_simulated_workers(benchmark, tmp_path, monkeypatch, capsys):
    simulation = importlib.import_module("cluster_simulation")
    measured = []

    def simulate(*arguments, **options):
        measured.append(simulation.simulate(*arguments, **options, epochs=N_EPOCHS))
        return measured[0]

    monkeypatch.setattr(benchmark, "CASES", (benchmark.Case(5, 8.0),))
    monkeypatch.setattr(benchmark, "simulate", simulate)
    benchmark.simulate_cases(tmp_path, 0.0, None)
    [[n_workers, seconds, wanted, *figures]] = rows(capsys)[1:]
    assert (n_workers, seconds, wanted) == ("5", "8", "0.6")
    assert len(figures) == 9
    [found] = measured
    assert N_EPOCHS <= found.sent[EpochMetrics] < N_EPOCHS + 5
    assert set(found.work) == {simulation.STORAGE, simulation.CHOICES, simulation.OUTBOX, simulation.REST}
    assert all(seconds > 0 for seconds in found.work.values())
    assert found.clock > 8.0, "epochs have taken simulated time"
    assert found.delivered["metrics"] > 0
    assert found.n_trials >= 5
    assert 0 < found.busy < 1


def test_simulated_workers_wait_for_their_answers(simulated, tmp_path):
    rests, seen = [], []
    workers = simulated(2, rest=rests.append)
    for index in range(2):
        workers.train(index, job(tmp_path, index))
    while len(seen) < 6:
        for index, message in workers.wait(0.5):
            seen += [(index, type(message))] * (not isinstance(message, BatchesDone))
            if isinstance(message, EpochMetrics):
                workers.answer(index, proceed=True)
    for index in range(2):
        assert [kind for i, kind in seen if i == index] == [EpochMetrics, EpochMetrics, TrialResult]
        assert job(tmp_path, index).weights.exists()
    assert workers.sent[BatchesDone] > 10, "a sign of life for each second"
    assert max(rests) <= 0.5
    assert workers.now > 8.0


def test_what_is_not_answered_sends_nothing_more(simulated, tmp_path):
    workers = simulated(1)
    workers.train(0, job(tmp_path))
    while not any(isinstance(message, EpochMetrics) for _, message in workers.wait(100.0)):
        pass
    workers.answer(0, proceed=False)
    workers.train(0, job(tmp_path, 1))
    while not (found := [m for _, m in workers.wait(100.0) if isinstance(m, EpochMetrics)]):
        pass
    assert found[0].epoch == 1


def test_simulated_workers_end_the_coordinator_when_they_have_had_enough(simulated, tmp_path):
    workers = simulated(1, n_epochs=1)
    workers.train(0, job(tmp_path))

    def train():
        while True:
            for index, message in workers.wait(100.0):
                if isinstance(message, EpochMetrics):
                    workers.answer(index, proceed=True)

    with pytest.raises(workers.Enough):
        train()


def test_a_call_within_a_call_counts_for_its_own_share(monkeypatch):
    module = importlib.import_module("stopwatch")
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    class Inner:
        @property
        def value(self):
            now[0] += 3.0
            return 7

    class Outer:
        def work(self):
            now[0] += 2.0
            value = Inner().value
            now[0] += 1.0
            return value

    watch = module.Stopwatch("rest")
    with watch.watching(Inner, "inner"), watch.watching(Outer, "outer"):
        now[0] += 10.0
        assert Outer().work() == 7
    assert watch.read() == {"rest": 10.0, "outer": 3.0, "inner": 3.0}
    watch.reset()
    Outer().work()  # no longer watched
    assert watch.read() == {"rest": 6.0}
