"""The cost of augmenting training images: microseconds an image on one thread, and the share of a training step.

    python benchmarks/augmentation.py

The images are random, in batches of 64. Those of 1x28x28 are compared with a training step of LeNet-5, those of 3x32x32
with a step of the baseline of the space vgg_small, without its own augmentation. For comparison, torchvision's
transforms change one image after another. All measurements run in one process and take turns, so that a change of the
machine's speed affects all of them.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from sweeper.config import AugmentConfig, Configuration, TrainConfig
from sweeper.models.families import build
from sweeper.spaces import reader
from sweeper.training import augment
from sweeper.training.device_data import DeviceImages, TrainingData
from sweeper.training.loop import fit

BATCH_SIZE = 64
# Batches in one measurement of augmentation, which then takes tens of milliseconds.
N_BATCHES = 50
# Typical strengths for such images.
OPERATIONS: dict[str, dict[str, float]] = {
    "horizontal flip": {"flip_p": 0.5},
    "rotation": {"rotation": 10.0},
    "crop with padding": {"crop_padding": 4},
    "translation": {"translation": 0.1},
    "brightness": {"brightness": 0.2},
    "contrast": {"contrast": 0.2},
    "saturation": {"saturation": 0.2},
    "sharpness": {"sharpness_p": 0.5},
    "erasing": {"erasing_p": 0.25},
}
TOGETHER: dict[str, dict[str, float]] = {
    "flip and crop": OPERATIONS["horizontal flip"] | OPERATIONS["crop with padding"],
    "all changes": {name: value for operation in OPERATIONS.values() for name, value in operation.items()},
}


@dataclass(frozen=True)
class Case:
    """A network, its training and the shape of its images."""

    name: str
    shape: tuple[int, int, int]
    n_steps: int  # per epoch, which then takes seconds
    configuration: Configuration


def cases() -> list[Case]:
    plain: dict[str, Any] = {field.name: field.default for field in fields(AugmentConfig)}
    lenet5 = reader.load("lenet5").variants["baseline"].configuration
    vgg = reader.load("vgg_small").variants["baseline"].configuration
    return [
        Case(name, shape, n_steps, replace(found, train=replace(found.train, batch_size=BATCH_SIZE, **plain)))
        for name, shape, n_steps, found in (("LeNet-5", (1, 28, 28), 400, lenet5), ("vgg_small", (3, 32, 32), 20, vgg))
    ]


def batched(images: Tensor, config: TrainConfig) -> float:
    """Microseconds an image for drawing and making the changes of whole batches."""
    height, width = images.shape[2:]
    generator = torch.Generator().manual_seed(0)
    # Erasing changes a network's inputs, so it gets their layout. Scaling precedes it in every step and is not timed.
    inputs = images.to(torch.float32, memory_format=torch.channels_last)

    def change() -> None:
        draws = augment.draw(config, len(images), height, width, generator)
        augment.augmented(images, draws)
        augment.erased(inputs, draws)

    return _timed(change, N_BATCHES) / len(images)


def one_by_one(images: Tensor, config: TrainConfig) -> float:
    """Microseconds an image for torchvision's transforms of each image and for stacking the images into a batch."""
    height, width = images.shape[2:]
    transform = v2.Compose(transforms(config, height, width))
    # Fewer batches, because this is tens of times slower.
    return _timed(lambda: torch.stack([transform(image) for image in images]), N_BATCHES // 10) / len(images)


def transforms(config: TrainConfig, height: int, width: int) -> list[Callable[[Tensor], Tensor]]:
    """Torchvision's transforms for the configuration."""
    found: list[Callable[[Tensor], Tensor]] = []
    if config.flip_p:
        found.append(v2.RandomHorizontalFlip(config.flip_p))
    if config.rotation:
        found.append(v2.RandomRotation(config.rotation))
    if config.translation:
        found.append(v2.RandomAffine(0, translate=(config.translation, config.translation)))
    if config.crop_padding:
        found.append(v2.RandomCrop((height, width), padding=config.crop_padding))
    if config.brightness or config.contrast or config.saturation:
        found.append(v2.ColorJitter(config.brightness, config.contrast, config.saturation))
    if config.sharpness_p:
        found.append(v2.RandomAdjustSharpness(config.sharpness, config.sharpness_p))
    if config.erasing_p:
        found.append(v2.RandomErasing(config.erasing_p))
    return found


def step(case: Case, config: TrainConfig) -> float:
    """Microseconds an image in the second epoch of a training, without validation."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (case.n_steps * BATCH_SIZE, *case.shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (len(images),), generator=generator)
    mean, std = torch.full((2, 1, case.shape[0], 1, 1), 127.0)
    data = TrainingData(
        DeviceImages(images, labels), DeviceImages(images[:0], labels[:0]), mean, std, 10, torch.channels_last
    )
    torch.manual_seed(0)
    model = build(case.configuration.model, case.shape, 10).to(memory_format=data.layout)
    *_, last = fit(model, data, config, epochs=2, seed=0)
    return 1e6 / last.images_per_second


def _timed(call: Callable[[], object], times: int) -> float:
    """Microseconds per call, after one call to warm up."""
    call()
    started = time.perf_counter()
    for _ in range(times):
        call()
    return 1e6 * (time.perf_counter() - started) / times


def measure(case: Case, rounds: int) -> None:
    """Measures a case and prints its table."""
    train = case.configuration.train
    images = torch.randint(
        0, 256, (BATCH_SIZE, *case.shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    configs = {
        name: replace(train, **values)  # type: ignore[arg-type]
        for name, values in (OPERATIONS | TOGETHER).items()
        if name != "saturation" or case.shape[0] == 3
    }
    ours: dict[str, list[float]] = {name: [] for name in configs}
    theirs: dict[str, list[float]] = {name: [] for name in configs}
    steps: list[float] = []
    augmented_steps: list[float] = []
    for number in range(rounds):
        for name, config in configs.items():
            ours[name].append(batched(images, config))
            theirs[name].append(one_by_one(images, config))
        steps.append(step(case, train))
        augmented_steps.append(step(case, configs["all changes"]))
        print(f"{case.name}: round {number + 1} of {rounds}", file=sys.stderr)
    plain = statistics.median(steps)
    slower = statistics.median(b / a for a, b in zip(steps, augmented_steps, strict=True)) - 1
    shape = "x".join(map(str, case.shape))
    print(f"\n{case.name}, {shape}: a training step takes {plain:,.1f} us an image, {slower:+.1%} with all changes\n")
    print("| operation | us an image | share of a step | torchvision, us an image | ratio |\n|---|---:|---:|---:|---:|")
    for name in configs:
        cost, other = statistics.median(ours[name]), statistics.median(theirs[name])
        ratio = statistics.median(b / a for a, b in zip(ours[name], theirs[name], strict=True))
        print(f"| {name} | {cost:.2f} | {cost / plain:.1%} | {other:,.1f} | {ratio:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, one thread, torch {torch.__version__}, medians of {rounds} rounds")
    for case in cases():
        measure(case, rounds)


if __name__ == "__main__":
    main()
