"""Training images a second of LeNet-5: one sweeper trial, two at once, and typical scripts.

    python benchmarks/throughput.py

Every measurement runs in its own process (two trials at once: in two), and the ways take turns, so that a change of the
machine's speed affects all of them. Only training is timed, not start-up or validation.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np

from sweeper.data.source import DataSource

BATCH_SIZE = 64
# The typical script is the slowest and gets fewer images, so that a round does not take minutes.
N_IMAGES, N_IMAGES_TYPICAL = 24_000, 9_600


def typical(folder: Path, loader_workers: int) -> float:
    """An Optuna objective with torchvision's data set and transforms behind a DataLoader; torch's default threads."""
    import optuna
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.286,), (0.353,))])
    data = Subset(datasets.FashionMNIST(str(folder), train=True, transform=transform), range(N_IMAGES_TYPICAL))
    speeds = []

    def objective(trial: optuna.Trial) -> float:
        model = _lenet5()
        optimizer = torch.optim.Adam(model.parameters(), lr=trial.suggest_float("lr", 1e-3, 1e-3))
        criterion = nn.CrossEntropyLoss()
        loader = DataLoader(data, batch_size=BATCH_SIZE, shuffle=True, num_workers=loader_workers)
        model.train()
        running = 0.0
        started = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
        speeds.append(N_IMAGES_TYPICAL / (time.perf_counter() - started))
        return running

    optuna.create_study().optimize(objective, n_trials=1)
    return speeds[0]


def in_memory(folder: Path) -> float:
    """Normalised float tensors in memory, sliced by a permutation; torch's default threads."""
    import torch
    import torch.nn.functional as F

    raw, labels = _arrays(folder)
    images = (torch.from_numpy(raw).float() / 255 - 0.286) / 0.353
    targets = torch.from_numpy(labels)
    model = _lenet5()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    seconds = 0.0
    for _ in range(2):  # the first warms up
        order = torch.randperm(N_IMAGES)
        started = time.perf_counter()
        for batch in order.split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), targets[batch]).backward()
            optimizer.step()
        seconds = time.perf_counter() - started
    return N_IMAGES / seconds


def sweeper_trial(folder: Path, barrier: Barrier) -> float:
    """Sweeper's own loop in one thread, as in a search's worker; the barrier makes trials start epoch 2 together."""
    import torch

    from sweeper.config import ConvNetConfig, TrainConfig
    from sweeper.models.families import build
    from sweeper.training.device_data import on_device
    from sweeper.training.loop import fit

    torch.set_num_threads(1)
    raw, labels = _arrays(folder)
    data = on_device(
        (raw, labels),
        (raw[:128], labels[:128]),
        n_classes=10,
        mean=[0.286],
        std=[0.353],
        device=torch.device("cpu"),
        layout=torch.channels_last,
    )
    torch.manual_seed(0)
    model = build(ConvNetConfig(padding=(2, 0, 0)), data.input_shape, 10).to(memory_format=data.layout)
    epochs = fit(model, data, TrainConfig(batch_size=BATCH_SIZE), epochs=2, seed=0)
    next(epochs)
    barrier.wait()
    return next(epochs).images_per_second


def _lenet5() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def _arrays(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "images.npy"), np.load(folder / "labels.npy")


def _prepare(folder: Path) -> None:
    """Writes Fashion-MNIST in the layout that torchvision expects, and as arrays."""
    from sweeper.data.known import catalog, locate
    from sweeper.data.training_set import load_training_set

    dataset = catalog.get("fashion_mnist")
    found = locate.read(dataset, dataset.files, notify=lambda text: print(text, file=sys.stderr))
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file, content in zip(dataset.files, found.contents, strict=True):
        (raw / file.name).write_bytes(content)
    training_set = load_training_set(DataSource("fashion_mnist"))
    np.save(folder / "images.npy", training_set.images[:N_IMAGES])
    np.save(folder / "labels.npy", training_set.labels[:N_IMAGES])


def _in_processes(measure: Callable[..., float], n_processes: int, *arguments: Any, together: bool = False) -> float:
    """The summed speed of `n_processes` fresh processes."""
    context = get_context("spawn")
    results: Any = context.SimpleQueue()
    extra = (context.Barrier(n_processes),) if together else ()
    processes = [
        context.Process(target=_report, args=(results, measure, *arguments, *extra)) for _ in range(n_processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            sys.exit(f"{measure.__name__} failed")
    return sum(results.get() for _ in range(n_processes))


def _report(results: "Queue[float]", measure: Callable[..., float], *arguments: Any) -> None:
    results.put(measure(*arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        ways: dict[str, Callable[[], float]] = {
            f"DataLoader, {n} loader workers": lambda n=n: _in_processes(typical, 1, folder, n)  # type: ignore[misc]
            for n in (0, 1, 2)
        }
        ways["tensors in memory, all threads"] = lambda: _in_processes(in_memory, 1, folder)
        ways["sweeper, one trial"] = lambda: _in_processes(sweeper_trial, 1, folder, together=True)
        ways["sweeper, two trials at once"] = lambda: _in_processes(sweeper_trial, 2, folder, together=True)
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            for way, measure in ways.items():
                speeds[way].append(measure())
                print(f"round {number + 1} {way}: {speeds[way][-1]:,.0f}", file=sys.stderr)

    import torch

    print(f"\n{os.cpu_count()} cores, torch {torch.__version__}, {rounds} rounds, training images/s\n")
    print("| way | median | min | max |\n|---|---:|---:|---:|")
    for way, seen in speeds.items():
        print(f"| {way} | {statistics.median(seen):,.0f} | {min(seen):,.0f} | {max(seen):,.0f} |")
    both = speeds["sweeper, two trials at once"]
    best_typical = [max(seen) for seen in zip(*(speeds[way] for way in ways if "DataLoader" in way), strict=True)]
    for label, other in (
        ("the DataLoader script's best of the round", best_typical),
        ("tensors in memory, all threads", speeds["tensors in memory, all threads"]),
    ):
        ratios = [a / b for a, b in zip(both, other, strict=True)]
        print(
            f"\ntwo trials at once / {label}: median {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
