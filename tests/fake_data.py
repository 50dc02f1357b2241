"""Small fake data sets with their own hashes, one of them learnable, and the isolation of tests from real data."""

import gzip
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from sweeper.data.known.catalog import FASHION_MNIST, DataFile, Dataset


def idx_bytes(array: np.ndarray) -> bytes:
    """The content of an idx file that holds a uint8 array."""
    header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def fake_images(n_images: int, classes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, size, size) of noise with one bright stripe, whose row gives the class, and balanced labels (N,)."""
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
    """Writes the four idx files, plain or .gz, into `folder` and returns the data set that they form.

    The files are nowhere else; monkeypatch.setitem(catalog.DATASETS, dataset.name, dataset) makes it known by name.
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
        folder="FakeMNIST/raw",
        debian_package="dataset-fake",
        debian_folder=str(folder.parent / "debian" / "fake"),
    )


def cifar_batch(images: np.ndarray, labels: Mapping[str, Sequence[int]], fortran: bool = False) -> bytes:
    """A CIFAR batch of images (N, 3, 32, 32): Python 2's pickle of protocol 2, with labels in chunks of 1,000."""
    rows = images.reshape(len(images), -1).astype(np.uint8)
    shape = b"".join(b"M" + size.to_bytes(2, "little") for size in rows.shape) + b"\x86"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    values = rows.tobytes("F" if fortran else "C")
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01"
        + shape
        + dtype
        + (b"\x88" if fortran else b"\x89")
        + b"T"
        + len(values).to_bytes(4, "little")
        + values
        + b"q\x06tb"
    )
    names = b"]q\x07(" + b"".join(_python2_string(f"data_s_{n:06}.png") for n in range(len(images))) + b"e"
    entries = _python2_string("batch_label") + _python2_string("training batch 1 of 5")
    for key, numbers in labels.items():
        entries += _python2_string(key) + b"]r\x08\x00\x00\x00"
        for start in range(0, len(numbers), 1000):
            entries += b"(" + b"".join(b"K" + bytes((number,)) for number in numbers[start : start + 1000]) + b"e"
    entries += _python2_string("data") + array + _python2_string("filenames") + names
    return b"\x80\x02}q\x01(" + entries + b"u."


def _python2_string(text: str) -> bytes:
    return b"U" + bytes((len(text),)) + text.encode() + b"q\x02"


def svhn_file(images: np.ndarray, labels: Sequence[int]) -> bytes:
    """An SVHN .mat file of images (N, 3, H, W); the digit 0 has the label 10."""
    numbers = [[label or 10] for label in labels]
    stream = io.BytesIO()
    x = images.transpose(2, 3, 1, 0).astype(np.uint8)
    savemat(stream, {"X": x, "y": np.array(numbers, np.uint8)}, do_compression=True)
    return stream.getvalue()


def fake_contents(dataset: Dataset, seed: int = 0) -> dict[str, bytes]:
    """Small contents for the files of a known data set, by file name, in its format: random images and labels."""
    rng = np.random.default_rng(seed)
    contents = {}
    channels, height, width = dataset.input_shape
    for part in (dataset.training, dataset.test):
        n_images = 40 if dataset.format == "idx" else 12
        for file in part if dataset.format in ("cifar", "svhn") else part[:1]:
            images = rng.integers(0, 256, (n_images, channels, height, width), dtype=np.uint8)
            labels = rng.integers(0, len(dataset.classes), n_images).tolist()
            match dataset.format:
                case "idx":
                    pair = [idx_bytes(images[:, 0]), idx_bytes(np.array(labels))]
                    for file_, content in zip(part, pair, strict=True):
                        contents[file_.name] = gzip.compress(content) if file_.name.endswith(".gz") else content
                case "cifar":
                    keys = {"fine_labels": labels, "coarse_labels": [label // 5 for label in labels]}
                    contents[file.name] = cifar_batch(images, keys if file.labels else {"labels": labels})
                case "svhn":
                    contents[file.name] = svhn_file(images, labels)
                case "stl10":
                    contents[part[0].name] = images.transpose(0, 1, 3, 2).tobytes()
                    contents[part[1].name] = bytes(label + 1 for label in labels)
    return contents


def with_contents(dataset: Dataset, contents: Mapping[str, bytes]) -> Dataset:
    """The data set, with its files' sizes and digests replaced by those of these contents."""

    def part(files: Sequence[DataFile]) -> tuple[DataFile, ...]:
        return tuple(
            replace(
                file,
                size=len(contents[file.name]),
                digest=hashlib.new(file.algorithm, contents[file.name]).hexdigest(),
            )
            for file in files
        )

    return replace(dataset, training=part(dataset.training), test=part(dataset.test))


def put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes each content to the file of its name in the folder, which is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Hides this machine's cache, home, mirrors, apt and proxy: a test has only the data it makes under `folder`."""
    for name in ("cache", "home", "work", "bin"):
        (folder / name).mkdir()
    monkeypatch.chdir(folder / "work")
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("SWEEPER_DATA_DIR", raising=False)
    monkeypatch.setattr("sweeper.data.known.download.mirrors", lambda dataset: [])
