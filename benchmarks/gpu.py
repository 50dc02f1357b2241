"""Speed of every way to train on one GPU, as shares of the GPU's limits. Takes eight minutes, by estimate.

    python benchmarks/gpu.py

Images are noise of the shapes of Fashion-MNIST and CIFAR-10, because speed does not depend on what they show. Each
measurement times whole epochs once, after the epochs that set things up, and without validation; the rows "in turn"
time all that a worker does in three trials, from building the network to the last checkpoint. The limits are measured
too: the rate of a large matrix product, and of a large copy. A network's share of the matrix rate counts the products
of its forward pass and, backward, those for the gradients of each layer's weights and input (except the first layer's
input). Its share of the copy rate counts the bytes of each layer's map: written and read forward, and read again
backward, where its gradient is written and read too.

The script needs the dependencies of the packages for training, models and data, but not Optuna and MLflow. If both are
installed, it ends with a whole search of 50 trials on Fashion-MNIST, which must be found or downloaded. The time to
90 % of CIFAR-10's test images needs the files that `sweeper data fetch cifar10` downloads.
"""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import in_checkout  # noqa: F401 (before sweeper)
import numpy as np
import torch
from gpu_ways import LAYOUT, Case, cases, in_processes, in_threads, in_turn, network, not_captured, with_loader

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.data.source import DataSource
from sweeper.errors import first_line
from sweeper.models.families import trace
from sweeper.training.device_data import on_device
from sweeper.training.loop import fit

# Torch has 32 streams.
AT_ONCE = (1, 2, 4, 8, 16, 32)
PROCESSES = (2, 4, 8)
# Trials at once in the search.
JOBS = 16


@dataclass(frozen=True)
class Limits:
    """The GPU's highest rates: floating-point operations a second by precision, and bytes a second of a copy."""

    flops: dict[str, float]
    bytes: float


def limits(device: torch.device, side: int) -> Limits:
    """The rates of a product of square matrices and of a copy, each the best of five measurements."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def best(call: Callable[[], Any], work: float) -> float:
        rates = []
        for _ in range(5):
            call()
            wait()
            started = time.perf_counter()
            for _ in range(10):
                call()
            wait()
            rates.append(10 * work / (time.perf_counter() - started))
        return max(rates)

    flops = {}
    # On a GPU, torch computes convolutions of float32 in TF32, so the limit is measured in TF32 too.
    torch.set_float32_matmul_precision("high")
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = torch.randn((2, side, side), device=device).to(dtype).unbind()
        flops[name] = best(partial(torch.matmul, a, b), 2.0 * side**3)
    torch.set_float32_matmul_precision("highest")
    block = torch.empty(side * side * 16, dtype=torch.uint8, device=device)
    target = torch.empty_like(block)
    return Limits(flops, best(partial(target.copy_, block), 2.0 * block.numel()))


def work_of(case: Case) -> tuple[float, float]:
    """The floating-point operations and the bytes for training on one image."""
    layers = trace(case.configuration.model, case.shape, 10)
    products = [layer.n_multiply_adds for layer in layers if layer.n_multiply_adds]
    n_numbers = sum(prod(layer.output_shape) for layer in layers if layer.kind != "flatten")
    n_bytes = 2 if case.configuration.train.precision == "bfloat16" else 4
    return 2.0 * (3 * sum(products) - products[0]), 5.0 * n_numbers * n_bytes


def cells(case: Case, way: Callable[[], float], most: Limits) -> str:
    """The images a second of a way to train, and their shares of the limits."""
    speed, (flops, n_bytes) = way(), work_of(case)
    rate = most.flops[case.configuration.train.precision]
    return f"{speed:,.0f} | {speed * flops / rate:.2%} | {speed * n_bytes / most.bytes:.2%}"


def turns(case: Case, device: torch.device, n_threads: int, *, graphs: bool) -> float:
    """The images a second of trials in turn, each of two epochs, with files that are deleted afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return in_turn(case, device, n_threads, 2, Path(folder), graphs=graphs)


def to_ninety(device: torch.device, convs: ConvNetConfig) -> str:
    """Seconds of training until 90 % of CIFAR-10's test images are classified correctly.

    This is a reference for speed only: it checks the test images after every epoch, so its accuracy estimates nothing.
    """
    from sweeper.data.test_set import load_test_set
    from sweeper.data.training_set import load_training_set

    training_set = load_training_set(DataSource("cifar10", offline=True))
    test = load_test_set(DataSource("cifar10", offline=True), pixel_format=training_set.pixel_format)
    pixels = training_set.images.astype(np.float32) / 255
    data = on_device(
        (training_set.images, training_set.labels),
        (test.images, test.labels),
        n_classes=10,
        mean=pixels.mean((0, 2, 3)).tolist(),
        std=pixels.std((0, 2, 3)).tolist(),
        device=device,
        layout=LAYOUT,
    )
    train = TrainConfig(
        optimizer="sgd", lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule="one_cycle", batch_size=512,
        label_smoothing=0.1, flip_p=0.5, crop_padding=4, precision="bfloat16",
    )  # fmt: skip
    configuration = Configuration(replace(convs, batch_norm=True), train)
    case = Case("", training_set.input_shape, len(training_set.labels), configuration)
    model = network(case, device, 0)
    graphs = device.type == "cuda"
    started = time.perf_counter()
    for metrics in fit(model, data, train, epochs=24, seed=0, graphs=graphs, tell=not_captured):
        if metrics.validation_accuracy >= 0.9:
            return f"{time.perf_counter() - started:.1f} s, in {metrics.epoch} epochs of 24"
    return f"not reached in 24 epochs: {metrics.validation_accuracy:.2%}, {time.perf_counter() - started:.1f} s"


def search(device: str) -> str:
    """The wall time of a whole search of 50 trials without pruning, and how that time was spent."""
    if not all(importlib.util.find_spec(name) for name in ("mlflow", "optuna")):
        return "not measured: MLflow or Optuna is missing"
    # A stopped search may still write to the folder while it is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as store:
        command = [sys.executable, "-m", "sweeper", "search", "fashion_mnist", "--trials", "50", "--pruner", "none"]
        command += ["--device", device, "--jobs-per-gpu", str(JOBS), "--store", store, "--quiet"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        command = [sys.executable, str(Path(__file__).with_name("search.py")), "--store", store]
        return f"{seconds:.1f} s\n\n{subprocess.run(command, capture_output=True, text=True, check=False).stdout}"


def attempt(call: Callable[[], str], end: float) -> str:
    """The result of a measurement, or the reason for its failure, after which the other measurements still run."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        return "not measured: no time left"

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError("no time left")

    signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 5)  # repeated, because the measurement may swallow the first
        return call()
    except Exception as error:
        return f"not measured: {type(error).__name__}: {first_line(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:N; or cpu, to check that the script runs")
    parser.add_argument("--minutes", type=float, default=8.0, help="skip measurements that have not run by then")
    parser.add_argument("--images", type=int, default=48_000, help="images per epoch")
    chosen = parser.parse_args(arguments)
    # As in sweeper's workers.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    device = torch.device(chosen.device)
    on_card = device.type == "cuda"
    if on_card and not torch.cuda.is_available():
        sys.exit("gpu.py: torch sees no CUDA device")
    end = time.monotonic() + 60 * chosen.minutes
    named = torch.cuda.get_device_name(device) if on_card else "a CPU"
    print(f"{named}, torch {torch.__version__}, CUDA {torch.version.cuda}, {os.cpu_count()} cores, {date.today()}\n")
    most = limits(device, 8192 if on_card else 512)
    rates = ", ".join(f"{name} {rate / 1e12:,.1f} TFLOP/s" for name, rate in most.flops.items())
    print(f"Products of matrices: {rates}; copies: {most.bytes / 1e9:,.0f} GB/s\n")
    print("| way | images/s | of the matrix rate | of the copy rate |\n|---|---:|---:|---:|", flush=True)

    measured = cases(chosen.images)
    lenet5, all_on = measured.pop("LeNet-5"), measured.pop("LeNet-5, all on")
    workers = min(8, os.cpu_count() or 1) if on_card else 0
    # The DataLoader runs first: the others apply the settings of sweeper's workers, which a typical script lacks.
    ways: list[tuple[str, Case, Callable[[], float]]] = [
        ("LeNet-5, DataLoader", lenet5, partial(with_loader, lenet5, device, workers)),
        ("LeNet-5, eager", lenet5, partial(in_threads, lenet5, device, 1, 2, graphs=False)),
    ]
    if on_card:
        ways += [
            (f"LeNet-5, graphs, {n} at once", lenet5, partial(in_threads, lenet5, device, n, 2, graphs=True))
            for n in AT_ONCE
        ]
        ways += [
            (f"LeNet-5, eager, {n} processes", lenet5, partial(in_processes, lenet5, device, n)) for n in PROCESSES
        ]
    ways.append(("LeNet-5, eager, in turn", all_on, partial(turns, all_on, device, 1, graphs=False)))
    if on_card:
        ways.append(
            ("LeNet-5, graphs, 16 at once, trials in turn", all_on, partial(turns, all_on, device, 16, graphs=True))
        )
    for case in measured.values():
        ways.append((f"{case.name}, eager", case, partial(in_threads, case, device, 1, 1, graphs=False)))
        if on_card:
            ways.append((f"{case.name}, graph", case, partial(in_threads, case, device, 1, 2, graphs=True)))
    for name, case, way in ways:
        print(f"| {name} | {attempt(partial(cells, case, way, most), end)} |", flush=True)
    if on_card:
        convs = measured["8 convs"].configuration.model
        assert isinstance(convs, ConvNetConfig)
        found = attempt(partial(to_ninety, device, convs), end)
        print(f"\n8 convs with batch norm, to 90 % of CIFAR-10's test images: {found}", flush=True)
        found = attempt(partial(search, chosen.device), end)
        print(f"\n50 trials of 15 epochs on Fashion-MNIST, not pruned, logged to MLflow: {found}", flush=True)
    if time.monotonic() > end:
        os._exit(0)  # without waiting for threads that still train, or hang


if __name__ == "__main__":
    main()
