"""The cost of a data set by its format: decoding it at first, loading it again from the cache, and training on it.

    python benchmarks/datasets.py

The same images of Fashion-MNIST come as the built-in data set, as a folder of PNG files and as an .npz file. JPEG files
of 256x256 that are resized to 64x64 stand for photographs. Decoding is compared with torchvision's ImageFolder, read
once, image after image. All measurements take turns within one run; training is of LeNet-5, on one thread.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import DataSource

N_IMAGES, N_PHOTOGRAPHS = 24_000, 2_000
PHOTOGRAPH, RESIZED = 256, 64
BATCH_SIZE = 64


def decoding(folder: Path, cache: Path, resize: int | None) -> tuple[float, float]:
    """Images a second for the first loading, and for the second, from the cache."""
    from sweeper.data.training_set import load_training_set
    from sweeper.images.options import DataOptions

    speeds = []
    with tempfile.TemporaryDirectory(dir=cache) as empty:
        os.environ["SWEEPER_CACHE_DIR"] = empty
        for _ in range(2):
            started = time.perf_counter()
            training_set = load_training_set(DataSource(str(folder), options=DataOptions(resize=resize)))
            speeds.append(len(training_set.labels) / (time.perf_counter() - started))
    return speeds[0], speeds[1]


def image_folder(folder: Path, resize: int | None) -> float:
    """Images a second of torchvision's ImageFolder, with each image converted to an array of uint8."""
    from torchvision import datasets, transforms

    steps = [] if resize is None else [transforms.Resize(resize)]
    data = datasets.ImageFolder(str(folder / "train"), transform=transforms.Compose([*steps, np.asarray]))
    started = time.perf_counter()
    for place in range(len(data)):
        data[place]
    return len(data) / (time.perf_counter() - started)


def training(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Training images a second of LeNet-5 in its second epoch."""
    import torch

    from sweeper.config import ConvNetConfig, TrainConfig
    from sweeper.models.families import build
    from sweeper.training.device_data import on_device
    from sweeper.training.loop import fit

    torch.set_num_threads(1)
    data = on_device(
        (images, labels),
        (images[:128], labels[:128]),
        n_classes=10,
        mean=[0.286],
        std=[0.353],
        device=torch.device("cpu"),
        layout=torch.channels_last,
    )
    model = build(ConvNetConfig(padding=(2, 0, 0)), data.input_shape, 10).to(memory_format=data.layout)
    return list(fit(model, data, TrainConfig(batch_size=BATCH_SIZE), epochs=2, seed=0))[-1].images_per_second


def _write_images(folder: Path, images: Sequence[NDArray[np.uint8]], labels: Sequence[int], kind: str) -> None:
    from PIL import Image

    for label in set(labels):
        (folder / "train" / str(label)).mkdir(parents=True)

    def write(place: int) -> None:
        path = folder / "train" / str(labels[place]) / f"{place:06}.{kind}"
        Image.fromarray(images[place]).save(path)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(len(labels))))


def _photographs(number: int) -> list[NDArray[np.uint8]]:
    """Images of coloured blocks, because noise would be larger as JPEG than any photograph."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (number, 16, 16, 3), dtype=np.uint8)
    return [image.repeat(PHOTOGRAPH // 16, axis=0).repeat(PHOTOGRAPH // 16, axis=1) for image in small]


def _row(name: str, values: Sequence[float], base: Sequence[float]) -> str:
    ratios = [value / other for value, other in zip(values, base, strict=True)]
    shown = [f"{value:,.0f}" for value in (statistics.median(values), min(values), max(values))]
    return f"| {' | '.join([name, *shown])} | {statistics.median(ratios):.2f} |"


def _print(title: str, measured: Mapping[str, Sequence[float]], base: str) -> None:
    print(f"\n| {title} | median | min | max | against {base} |")
    print("|---|---:|---:|---:|---:|")
    for name, values in measured.items():
        print(_row(name, values, measured[base]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds

    from sweeper.data.training_set import load_training_set

    built_in = load_training_set(DataSource("fashion_mnist"))
    images, labels = built_in.images[:N_IMAGES], built_in.labels[:N_IMAGES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_images(folder / "png", list(images[:, 0]), labels.tolist(), "png")
        _write_images(folder / "jpeg", _photographs(N_PHOTOGRAPHS), [n % 10 for n in range(N_PHOTOGRAPHS)], "jpg")
        np.savez_compressed(folder / "data.npz", train_images=images[:, 0], train_labels=labels)
        ways: dict[str, tuple[Path, int | None]] = {
            "PNG 28x28": (folder / "png", None),
            f"JPEG {PHOTOGRAPH}x{PHOTOGRAPH} to {RESIZED}x{RESIZED}": (folder / "jpeg", RESIZED),
            ".npz 28x28": (folder / "data.npz", None),
        }
        reading: dict[str, dict[str, list[float]]] = {title: {} for title in ways}
        for _ in range(rounds):
            for title, (place, resize) in ways.items():
                once, again = decoding(place, folder, resize)
                reading[title].setdefault("first time", []).append(once)
                reading[title].setdefault("again", []).append(again)
                if place.is_dir():
                    reading[title].setdefault("ImageFolder", []).append(image_folder(place, resize))
        for title, speeds in reading.items():
            _print(f"{title}, images a second", speeds, "ImageFolder" if "ImageFolder" in speeds else "first time")

        os.environ["SWEEPER_CACHE_DIR"] = str(folder / "cache")
        sources = {"built in": (images, labels)}
        for title, place in (("folder", folder / "png"), (".npz", folder / "data.npz")):
            training_set = load_training_set(DataSource(str(place)))
            sources[title] = (training_set.images, training_set.labels)
        trained: dict[str, list[float]] = {title: [] for title in sources}
        runs: dict[str, Callable[[], float]] = {title: partial(training, *source) for title, source in sources.items()}
        for _ in range(rounds):
            for title, run in runs.items():
                trained[title].append(run())
        _print("training images a second", trained, "built in")


if __name__ == "__main__":
    main()
