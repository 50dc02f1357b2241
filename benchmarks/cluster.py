"""What a Ray cluster costs: throughput, start-up and messages beside local workers, and what one coordinator serves.

    python benchmarks/cluster.py

The nodes of the cluster have one CPU each and are all on this machine, at loopback addresses. The same trainings run on
them and in local workers, in turns. The coordinator's limit is measured with simulated workers; everything else of that
search is real: the coordinator, Optuna's storage, and the delivery to MLflow.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import cluster_engines as engines
from cluster_simulation import CHOICES, OUTBOX, REST, STORAGE, Case, simulate
from ray_nodes import RayNodes

from sweeper.engine.base import Engine
from sweeper.training.epoch_metrics import EpochMetrics

N_NODES = 4
SIZES = (1, 2, 4)
# Epochs of 8 s are those of LeNet-5 on Fashion-MNIST.
CASES = (Case(100, 8.0), Case(1000, 60.0))
N_MESSAGES = 10  # epochs of a training whose messages are timed
LIBRARIES = ("torch", "ray", "optuna", "mlflow", "psycopg")
PARTS = ("engines", "coordinator")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="that each simulated case is measured")
    parser.add_argument("--storage", metavar="URL", help="of Optuna in the simulated cases; by default SQLite files")
    arguments = parser.parse_args()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES if find_spec(name))
    n_cores = len(os.sched_getaffinity(0))
    print(f"{datetime.now(UTC):%Y-%m-%d}, {n_cores} cores, Python {platform.python_version()}, {libraries}")
    parts = arguments.part or PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "engines" in parts:
            if n_cores < N_NODES:
                print(
                    f"{N_NODES} nodes share the cores: more than {n_cores} workers are no measure of that many machines"
                )
            compare_engines(folder, arguments.rounds, arguments.images, arguments.epochs)
        if "coordinator" in parts:
            simulate_cases(folder, arguments.seconds, arguments.storage)


def compare_engines(folder: Path, rounds: int, n_images: int, n_epochs: int) -> None:
    """Throughput, start-up and messages of a Ray cluster beside those of local workers."""
    with RayNodes() as nodes:
        head = nodes.start()
        started = [nodes.start() for _ in range(N_NODES)]
        began = time.perf_counter()
        engines.cluster.connect(nodes.address, insecure=False)
        connected = time.perf_counter() - began
        print("\n| start of | seconds |\n|---|---:|")
        print(f"| the head | {head:.1f} |")
        print(f"| a node | {median(started):.1f} ({min(started):.1f} to {max(started):.1f}) |")
        print(f"| the connection to the cluster | {connected:.1f} |", flush=True)
        where = {"local": None, "ray": nodes.address}
        for n_workers in (1, N_NODES):
            pools: dict[str, Engine] = {}
            for name, address in where.items():
                began = time.perf_counter()
                pools[name] = engines.start(name, n_workers, folder / name, n_images, address)
                engines.wait_for_places(pools[name])
                engines.train(pools[name], folder / name, n_workers, 1, engines.ONE_BATCH)
                what = f"{n_workers} {name} worker{'s' * (n_workers > 1)}, to a first epoch of one batch"
                print(f"| {what} | {time.perf_counter() - began:.1f} |", flush=True)
            if n_workers < N_NODES:
                for pool in pools.values():
                    pool.close()
        try:
            compare_throughput(pools, folder, rounds, n_images * 9 // 10, n_epochs)
            compare_messages(pools, folder, rounds)
        finally:
            for pool in pools.values():
                pool.close()
            engines.cluster.disconnect()


def compare_throughput(pools: Mapping[str, Engine], folder: Path, rounds: int, n_images: int, n_epochs: int) -> None:
    """Whole trainings side by side, with their validation, checkpoints and messages."""
    rates: dict[tuple[int, str], list[float]] = {(size, name): [] for size in SIZES for name in pools}
    for number in range(rounds):
        for size in SIZES:
            scores = []
            for name in sorted(pools, reverse=number % 2 == 1):
                trained = engines.train(pools[name], folder / name, size, n_epochs, engines.WHOLE)
                scores.append(trained.scores())
                rates[size, name].append(size * n_epochs / trained.seconds)
                show(f"round {number + 1}: {size} {name}: {rates[size, name][-1] * n_images:,.0f} images/s")
            if scores[0] != scores[1]:
                raise SystemExit("the trainings have other results on the cluster than in local workers")
    print("\n| workers | local: images/s | epochs/min | Ray: images/s | epochs/min | Ray to local |")
    print("|---:|---:|---:|---:|---:|---:|")
    for size in SIZES:
        local, ray = rates[size, "local"], rates[size, "ray"]
        ratios = [there / here for there, here in zip(ray, local, strict=True)]
        cells = [f"{median(of) * factor:,.0f}" for of in (local, ray) for factor in (n_images, 60)]
        print(f"| {size} | {' | '.join(cells)} | {spread(ratios)} |", flush=True)


def compare_messages(pools: Mapping[str, Engine], folder: Path, rounds: int) -> None:
    """Epochs of a single batch, by the size of the network."""
    print("\n| network | checkpoint | bytes a message | local: ms an epoch | Ray: ms an epoch | difference |")
    print("|---|---:|---:|---:|---:|---:|")
    for network in engines.NETWORKS:
        seconds: dict[str, list[float]] = {name: [] for name in pools}
        with engines.bytes_of_epochs() as sizes:
            for number in range(rounds):
                for name in sorted(pools, reverse=number % 2 == 1):
                    trained = engines.train(pools[name], folder / name, 1, N_MESSAGES, engines.ONE_BATCH, network)
                    seconds[name].append(1000 * trained.epoch_seconds())
        cells = [spread(seconds[name], 1) for name in ("local", "ray")]
        difference = spread([ray - local for local, ray in zip(seconds["local"], seconds["ray"], strict=True)], 1)
        n_bytes = f"{sum(sizes) / len(sizes):,.0f}"
        row = [network, f"{trained.checkpoint / 1e6:.1f} MB", n_bytes, *cells, difference]
        print(f"| {' | '.join(row)} |", flush=True)


def simulate_cases(folder: Path, seconds: float, storage: str | None) -> None:
    """What one coordinator serves, by the number of workers and the length of their epochs."""
    print(f"\nOptuna's storage: {(storage or 'sqlite').partition(':')[0]}")
    print(
        "\n| workers | s an epoch | epochs/s: wanted | served | busy | at most | ms an epoch: storage "
        "| sampler, pruner | outbox | rest | MLflow: epochs/s at most | writes behind |\n" + "|---:" * 12 + "|"
    )
    for number, case in enumerate(CASES):
        found = simulate(case, folder / str(number), seconds=seconds, storage=storage, study=f"study-{number}")
        shares = [f"{found.milliseconds(share):.1f}" for share in (STORAGE, CHOICES, OUTBOX, REST)]
        row = [f"{case.n_workers:,}", f"{case.epoch_seconds:g}", f"{case.n_workers / case.epoch_seconds:.1f}"]
        row += [f"{found.sent[EpochMetrics] / found.clock:.1f}", f"{found.busy:.0%}", f"{found.epochs_a_second:.1f}"]
        row += [*shares, f"{found.deliverable:.1f}" if found.deliverable else "-", f"{found.n_behind:,}"]
        print(f"| {' | '.join(row)} |", flush=True)
        show(f"{found.sent[EpochMetrics]} epochs, {found.n_trials} trials, {found.clock:.0f} s by the simulated clock")


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
