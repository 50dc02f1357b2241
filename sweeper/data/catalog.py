"""The data sets sweeper knows: their shapes, their files and the hashes these must have."""

import difflib
from dataclasses import dataclass

from sweeper.errors import UsageError, shortened

# (channels, height, width) and the number of classes. More names than DATASETS has: a space file may be
# written and checked for a data set before its loader exists.
INPUT_SHAPES: dict[str, tuple[tuple[int, int, int], int]] = {
    "fashion_mnist": ((1, 28, 28), 10),
    "mnist": ((1, 28, 28), 10),
    "kmnist": ((1, 28, 28), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "svhn": ((3, 32, 32), 10),
    "stl10": ((3, 96, 96), 10),
}


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; size (bytes) and SHA-256 are those of the decompressed content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A data set of four idx files, each part given as (images, labels)."""

    name: str
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    training: tuple[DataFile, DataFile]
    test: tuple[DataFile, DataFile]
    torchvision: str  # the class in torchvision.datasets: its mirrors, and the files under ROOT/<this>/raw
    debian_package: str
    debian_folder: str  # where the package puts its files

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files, those of the training part first."""
        return self.training + self.test


# The SHA-256 were computed from Debian's package after the decompressed files' MD5 had been checked against
# upstream's (labels: 9018921c... and 15d48437...).
FASHION_MNIST = Dataset(
    name="fashion_mnist",
    input_shape=INPUT_SHAPES["fashion_mnist"][0],
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    training=(
        DataFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    torchvision="FashionMNIST",
    debian_package="dataset-fashion-mnist",
    debian_folder="/usr/share/datasets/fashion-mnist",
)

DATASETS: dict[str, Dataset] = {FASHION_MNIST.name: FASHION_MNIST}


def get(name: str) -> Dataset:
    """The data set called `name`; UsageError with the known names (and a close match) if there is none."""
    if name in DATASETS:
        return DATASETS[name]
    plain = {known.replace("_", ""): known for known in DATASETS}
    close = difflib.get_close_matches(name.lower().replace("-", "").replace("_", ""), plain, n=1)
    hint = f"did you mean {plain[close[0]]}? " if close else ""
    raise UsageError(f"unknown data set {shortened(repr(name))}: {hint}Known: {', '.join(sorted(DATASETS))}")
