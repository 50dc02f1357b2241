"""A tiny learnable data set of idx files with its own hashes, and the isolation that keeps tests off the real ones."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeper.data.catalog import FASHION_MNIST, DataFile, Dataset


def idx_bytes(array: np.ndarray) -> bytes:
    """The idx file of a uint8 array."""
    header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def fake_images(n_images: int, classes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one bright stripe, whose row tells the class: images (N, size, size) and balanced labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_images) % classes
    images = rng.integers(0, 60, (n_images, size, size))
    for index, label in enumerate(labels):
        row = label * size // classes
        images[index, row : row + max(1, size // classes)] += 180
    return images.astype(np.uint8), labels.astype(np.uint8)


def write_fake_dataset(
    folder: Path,
    *,
    name: str = "tiny",
    training: int = 60,
    test: int = 20,
    classes: int = 10,
    size: int = 28,
    compress: bool = False,
) -> Dataset:
    """Write the four files, plain or .gz, into `folder` and return the data set they make.

    No other place holds it: monkeypatch.setitem(catalog.DATASETS, dataset.name, dataset) makes it known by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed, (prefix, n_images) in enumerate((("train", training), ("t10k", test))):
        images, labels = fake_images(n_images, classes, size, seed)
        files = []
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            path = folder / f"{prefix}-{kind}"
            if compress:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
            files.append(DataFile(path.name, len(content), hashlib.sha256(content).hexdigest()))
        parts.append((files[0], files[1]))
    return replace(
        FASHION_MNIST,
        name=name,
        input_shape=(1, size, size),
        classes=tuple(f"class {label}" for label in range(classes)),
        training=parts[0],
        test=parts[1],
        torchvision="FakeMNIST",
        debian_package="dataset-fake",
        debian_folder=str(folder.parent / "debian" / "fake"),
    )


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave a test no data but what it makes under `folder`: no cache, home, mirror, apt or proxy of this machine."""
    for name in ("cache", "home", "work", "bin"):
        (folder / name).mkdir()
    monkeypatch.chdir(folder / "work")
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("SWEEPER_DATA_DIR", raising=False)
    monkeypatch.setattr("sweeper.data.download.mirrors", lambda dataset: [])
