"""What bfloat16 gains and costs: the time of a training step by the network's size, and the accuracy.

    python benchmarks/precision.py speed
    python benchmarks/precision.py accuracy --cifar10 FOLDER

`speed` trains networks of the shipped spaces, and some between their sizes, on random images in one thread. Both
precisions of a network take turns, so that a change of the machine's speed affects both; times are processor time.
`accuracy` trains three networks from the same seeds in both precisions on real images; FOLDER is a folder of images of
CIFAR-10 (train/CLASS/).
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from sweeper.config import Configuration, ConvNetConfig, MlpConfig, TimmConfig, TrainConfig
from sweeper.data.source import DataSource
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.evaluation.statistics import over_images
from sweeper.models import families, layers
from sweeper.process import processor
from sweeper.spaces import reader
from sweeper.training.device_data import DeviceImages, TrainingData, on_device
from sweeper.training.loop import fit
from sweeper.training.optimizers import build_optimizer
from sweeper.training.step import Step
from sweeper.training.validation import evaluate

PRECISIONS = ("float32", "bfloat16")
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
N_CLASSES = 10
# A measurement of one precision lasts at least so long: many steps of a small network, a few of a large one.
SECONDS = 0.25

# The network that usually wins a search of lenet5, and two between it and the baseline of vgg_small in size.
WIDE_LENET = ConvNetConfig(
    filters=(12, 32, 120), kernel_size=3, padding=(2, 0, 0), pooling="avg", batch_norm=True, activation="gelu"
)
MIDDLE = ConvNetConfig(filters=(16, 32, 64), kernel_size=3, padding=1, pool_after=(1, 2, 3), batch_norm=True)


@dataclass(frozen=True)
class Net:
    """A network with its training and the shape of its images."""

    name: str
    shape: tuple[int, int, int]
    configuration: Configuration

    @property
    def n_multiply_adds(self) -> int:
        return layers.n_multiply_adds(families.trace(self.configuration.model, self.shape, N_CLASSES))


def nets() -> list[Net]:
    """The networks to time, by multiply-adds: baselines and widths of the shipped spaces, and sizes between them."""
    found = []
    for name, shape in (
        ("lenet5", GREY),
        ("lenet5_regularised", GREY),
        ("grey_modern", GREY),
        ("cifar100_mlp_lenet5", COLOUR),
        ("cifar10_dropout", COLOUR),
        ("vgg_small", COLOUR),
        ("resnet_small", COLOUR),
    ):
        space = reader.load(name)
        baseline = space.variants["baseline"].configuration
        found.append(Net(f"{name} baseline", shape, baseline))
        widths = space.parameters["filters"].choices if "filters" in space.parameters else ()
        for filters in widths:
            if filters != baseline.values()["filters"] and len(filters) == len(baseline.values()["filters"]):
                found.append(Net(f"{name} {_dashed(filters)}", shape, _widened(baseline, filters)))
    plain = TrainConfig(optimizer="adam", batch_size=64)
    found.append(Net("wide LeNet, batch norm, gelu", GREY, Configuration(WIDE_LENET, plain)))
    for widths in ((16, 32, 64), (32, 64, 128)):
        network = replace(MIDDLE, filters=widths)
        found += [
            Net(f"3 convs {_dashed(widths)}, {shape[1]}x{shape[2]}", shape, Configuration(network, plain))
            for shape in (GREY, COLOUR)
        ]
    for widths in ((8, 8, 16, 16, 32, 32), (16, 16, 32, 32, 64, 64), (24, 24, 48, 48, 96, 96)):
        baseline = reader.load("vgg_small").variants["baseline"].configuration
        found.append(Net(f"vgg_small {_dashed(widths)}", COLOUR, _widened(baseline, widths)))
    wide = replace(WIDE_LENET, filters=(24, 64, 240))
    found.append(Net("LeNet 24-64-240, batch norm, gelu", GREY, Configuration(wide, plain)))
    found.append(Net("mlp 4096-2048", COLOUR, Configuration(MlpConfig(hidden=(4096, 2048)), plain)))
    timm = reader.load("timm_small").variants["baseline"].configuration
    for name in ("resnet18", "mobilenetv3_small_100", "regnety_002", "convnext_atto"):
        found.append(Net(f"timm {name}", COLOUR, replace(timm, model=TimmConfig(model_name=name))))
    return sorted(found, key=lambda net: net.n_multiply_adds)


def _widened(configuration: Configuration, filters: tuple[int, ...]) -> Configuration:
    return Configuration.from_values({**configuration.values(), "filters": filters})


def _dashed(filters: tuple[int, ...]) -> str:
    return "-".join(map(str, filters))


class Timed:
    """A network that trains on random images, in one precision."""

    def __init__(self, net: Net, precision: str) -> None:
        train = replace(net.configuration.train, precision=precision)
        rng = np.random.default_rng(0)
        self._batch_size = train.batch_size
        images = rng.integers(0, 256, (4 * train.batch_size, *net.shape), dtype=np.uint8)
        labels = rng.integers(0, N_CLASSES, len(images))
        data = _on_cpu((images, labels), (images[:0], labels[:0]), [0.5] * net.shape[0], [0.25] * net.shape[0])
        torch.manual_seed(0)
        model = families.build(net.configuration.model, net.shape, N_CLASSES).to(memory_format=data.layout).train()
        optimizer = build_optimizer(model, train)
        self._step = Step(model, data, train, optimizer, torch.Generator().manual_seed(0))
        self._batches = torch.arange(len(images)).split(train.batch_size)

    def microseconds(self) -> float:
        """The time of an image, over at least SECONDS."""
        started, n_steps = time.thread_time(), 0
        while (seconds := time.thread_time() - started) < SECONDS or n_steps < 2:
            self._step(self._batches[n_steps % len(self._batches)])
            n_steps += 1
        return 1e6 * seconds / (n_steps * self._batch_size)


def _on_cpu(
    train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], mean: list[float], std: list[float]
) -> TrainingData:
    device, layout = torch.device("cpu"), torch.channels_last
    return on_device(train, validation, n_classes=N_CLASSES, mean=mean, std=std, device=device, layout=layout)


def speed(rounds: int) -> None:
    """Prints the time of an image in both precisions, and how many times as fast bfloat16 is."""
    print("| network | image | multiply-adds | float32, us | bfloat16, us | times as fast |")
    print("|---|---|---:|---:|---:|---:|")
    for net in nets():
        timed = {precision: Timed(net, precision) for precision in PRECISIONS}
        for one in timed.values():
            one.microseconds()  # warms up
        seen = [{precision: one.microseconds() for precision, one in timed.items()} for _ in range(rounds)]
        ratios = sorted(found["float32"] / found["bfloat16"] for found in seen)
        cells = [f"{statistics.median(found[precision] for found in seen):,.0f}" for precision in PRECISIONS]
        image = "x".join(map(str, net.shape))
        ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {net.name} | {image} | {net.n_multiply_adds:,} | {cells[0]} | {cells[1]} | {ratio} |", flush=True)


@dataclass(frozen=True)
class Comparison:
    """A network to compare the accuracy of, with its images: so many to train on, for so many epochs."""

    name: str
    dataset: str  # fashion_mnist or cifar10
    configuration: Configuration
    n_train: int
    epochs: int


# So many images score a training: the standard error of an accuracy of 0.6 is 0.7 points.
N_SCORED = 5000


def comparisons() -> list[Comparison]:
    """Three networks: large, middle, small. A training takes up to about 20 s of one core in float32."""
    vgg = reader.load("vgg_small").variants["baseline"].configuration
    plain = TrainConfig(optimizer="adam", batch_size=64, lr=2e-3, schedule="one_cycle")
    return [
        Comparison("vgg_small baseline", "cifar10", vgg, 2500, 8),
        Comparison("3 convs 16-32-64, batch norm", "cifar10", Configuration(MIDDLE, plain), 4000, 12),
        Comparison("wide LeNet, batch norm, gelu", "fashion_mnist", Configuration(WIDE_LENET, plain), 8000, 8),
    ]


def accuracy(cifar10: Path, seeds: int, results: Path) -> None:
    """Trains every network from every seed in both precisions; given again, only those that are missing."""
    folders = {"cifar10": str(cifar10), "fashion_mnist": "fashion_mnist"}
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(one["network"], one["seed"], one["precision"]): one for one in done}
    for seed in range(seeds):
        for case in comparisons():
            training_set = _loaded(folders[case.dataset])
            # The precision that comes first changes from seed to seed.
            for precision in PRECISIONS[:: 1 if seed % 2 else -1]:
                if (case.name, seed, precision) in known:
                    continue
                found = {"network": case.name, "seed": seed, "precision": precision}
                found |= _trained(case, training_set, seed, precision)
                print(json.dumps(found), file=sys.stderr, flush=True)
                with results.open("a") as file:
                    file.write(f"{json.dumps(found)}\n")
                known[case.name, seed, precision] = found
    _print_accuracy(list(known.values()))


@cache
def _loaded(dataset: str) -> TrainingSet:
    return load_training_set(DataSource(dataset))


def _trained(case: Comparison, training_set: TrainingSet, seed: int, precision: str) -> Mapping[str, float]:
    """The metrics of one training; its images, their order and the initial weights depend on the seed alone."""
    order = np.random.default_rng(seed).permutation(len(training_set.labels))
    parts = order[: case.n_train], order[case.n_train : case.n_train + N_SCORED]
    train, scored = ((training_set.images[part], training_set.labels[part]) for part in parts)
    pixels = train[0] / 255
    whole = _on_cpu(train, scored, pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist())
    data = replace(whole, validation=DeviceImages(whole.validation.images[:0], whole.validation.labels[:0]))
    torch.manual_seed(seed)
    model = families.build(case.configuration.model, data.input_shape, N_CLASSES).to(memory_format=data.layout)
    config = replace(case.configuration.train, precision=precision)
    started = time.thread_time()
    *_, last = fit(model, data, config, epochs=case.epochs, seed=seed)
    seconds = time.thread_time() - started
    loss, outputs = evaluate(model, data, whole.validation)
    right = float(np.mean(outputs.argmax(1) == scored[1]))
    return {"accuracy": right, "loss": loss, "train_loss": last.train_loss, "seconds": seconds}


def _print_accuracy(found: list[dict[str, float]]) -> None:
    print("| network | images, epochs | seeds | float32 | bfloat16 | difference | 95 % interval | losses' difference |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for case in comparisons():
        pairs = list(_pairs([one for one in found if one["network"] == case.name]))
        means = [100 * statistics.mean(pair[precision]["accuracy"] for pair in pairs) for precision in PRECISIONS]
        cells = [f"{mean:.2f}" for mean in means]
        for metric, unit in (("accuracy", 100), ("loss", 1)):
            differences = [unit * (pair["bfloat16"][metric] - pair["float32"][metric]) for pair in pairs]
            estimate = over_images(differences)
            low, high = estimate.interval() or (float("nan"),) * 2
            if metric == "accuracy":
                cells += [f"{estimate.value:+.2f}", f"{low:+.2f} to {high:+.2f}"]
            else:
                cells.append(f"{estimate.value:+.4f} ({low:+.4f} to {high:+.4f})")
        images = f"{case.dataset}, {case.n_train:,}, {case.epochs}"
        print(f"| {case.name} | {images} | {len(pairs)} | {' | '.join(cells)} |")


def _pairs(found: list[dict[str, float]]) -> Iterator[dict[str, dict[str, float]]]:
    for seed in sorted({one["seed"] for one in found}):
        pair = {str(one["precision"]): one for one in found if one["seed"] == seed}
        if len(pair) == len(PRECISIONS):
            yield pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("speed", "accuracy"))
    parser.add_argument("--rounds", type=int, default=5, help="of speed")
    parser.add_argument("--seeds", type=int, default=10, help="of accuracy")
    parser.add_argument("--cifar10", type=Path, help="a folder of images of CIFAR-10, for accuracy")
    parser.add_argument("--results", type=Path, default=Path("precision.jsonl"), help="one line for each training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.mode == "accuracy" and options.cifar10 is None:
        parser.error("accuracy needs --cifar10 FOLDER")
    print(f"{os.cpu_count()} cores, {processor.of_this_machine()}, torch {torch.__version__}\n")
    if options.mode == "speed":
        speed(options.rounds)
    else:
        accuracy(options.cifar10, options.seeds, options.results)


if __name__ == "__main__":
    main()
