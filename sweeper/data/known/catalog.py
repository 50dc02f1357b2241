"""The known data sets: their shapes, their files, and the hashes that the files must have."""

import difflib
from dataclasses import dataclass, replace

from sweeper.data.known import class_names
from sweeper.errors import UsageError, shortened


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; size (bytes) and digest are those of the decompressed content.

    For a name that ends in .gz, both are those of the compressed file, because no other digest is known.
    """

    name: str
    size: int
    digest: str
    # MD5 detects damage as well as SHA-256 does, but not a file that an attacker made to have the same MD5.
    algorithm: str = "sha256"
    labels: str = ""  # which of the file's labels to use, if it holds several for each image


@dataclass(frozen=True)
class Dataset:
    """A known data set; the files of each part are in the order in which `known.reader.decode` takes them."""

    name: str
    input_shape: tuple[int, int, int]  # channels, height, width
    classes: tuple[str, ...]
    training: tuple[DataFile, ...]
    test: tuple[DataFile, ...]
    torchvision: str  # the class in torchvision.datasets, which knows the download addresses
    folder: str  # torchvision's folder for the files, under its ROOT; an archive has them in a folder of the same name
    format: str = "idx"  # or cifar, svhn, stl10
    archive: DataFile | None = None  # the archive to download, unless the files are downloaded one by one
    cached_as: str = ""  # the data set that has the same files, and therefore the same cache folder
    debian_package: str = ""
    debian_folder: str = ""  # the folder in which the package installs the files

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files; those of the training part come first."""
        return self.training + self.test


# The SHA-256 digests were computed from Debian's package, after the MD5 of the decompressed files had been checked
# against upstream's (labels: 9018921c... and 15d48437...).
FASHION_MNIST = Dataset(
    name="fashion_mnist",
    input_shape=(1, 28, 28),
    classes=class_names.FASHION_MNIST,
    training=(
        DataFile(
            "train-images-idx3-ubyte", 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        DataFile("train-labels-idx1-ubyte", 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte", 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        DataFile("t10k-labels-idx1-ubyte", 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    torchvision="FashionMNIST",
    folder="FashionMNIST/raw",
    debian_package="dataset-fashion-mnist",
    debian_folder="/usr/share/datasets/fashion-mnist",
)

# Several projects publish these hashes of the decompressed files.
MNIST = Dataset(
    name="mnist",
    input_shape=(1, 28, 28),
    classes=class_names.DIGITS,
    training=(
        DataFile(
            "train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        DataFile("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        DataFile("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    torchvision="MNIST",
    folder="MNIST/raw",
)

# Sizes and hashes are from TensorFlow Datasets' url_checksums; nobody publishes those of the decompressed files.
KMNIST = Dataset(
    name="kmnist",
    input_shape=(1, 28, 28),
    classes=class_names.KMNIST,
    training=(
        DataFile(
            "train-images-idx3-ubyte.gz", 18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz", 29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"
        ),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte.gz", 3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz", 5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"
        ),
    ),
    torchvision="KMNIST",
    folder="KMNIST/raw",
)

# The archives' hashes are from Keras. Several projects publish the batches' hashes next to torchvision's MD5.
CIFAR10 = Dataset(
    name="cifar10",
    input_shape=(3, 32, 32),
    classes=class_names.CIFAR10,
    training=(
        DataFile("data_batch_1", 31_035_704, "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd"),
        DataFile("data_batch_2", 31_035_320, "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8"),
        DataFile("data_batch_3", 31_035_999, "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9"),
        DataFile("data_batch_4", 31_035_696, "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b"),
        DataFile("data_batch_5", 31_035_623, "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154"),
    ),
    test=(DataFile("test_batch", 31_035_526, "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831"),),
    torchvision="CIFAR10",
    folder="cifar-10-batches-py",
    format="cifar",
    archive=DataFile(
        "cifar-10-python.tar.gz", 170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    ),
)
_CIFAR100_TRAIN = DataFile("train", 155_249_918, "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b")
_CIFAR100_TEST = DataFile("test", 31_049_707, "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864")
CIFAR100 = Dataset(
    name="cifar100",
    input_shape=(3, 32, 32),
    classes=class_names.CIFAR100,
    training=(replace(_CIFAR100_TRAIN, labels="fine_labels"),),
    test=(replace(_CIFAR100_TEST, labels="fine_labels"),),
    torchvision="CIFAR100",
    folder="cifar-100-python",
    format="cifar",
    archive=DataFile(
        "cifar-100-python.tar.gz", 169_001_437, "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
    ),
)
CIFAR100_COARSE = replace(
    CIFAR100,
    name="cifar100_coarse",
    classes=class_names.CIFAR100_COARSE,
    training=(replace(_CIFAR100_TRAIN, labels="coarse_labels"),),
    test=(replace(_CIFAR100_TEST, labels="coarse_labels"),),
    cached_as="cifar100",
)

# Sizes and hashes are from TensorFlow Datasets' url_checksums.
SVHN = Dataset(
    name="svhn",
    input_shape=(3, 32, 32),
    classes=class_names.DIGITS,
    training=(
        DataFile("train_32x32.mat", 182_040_794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
    ),
    test=(DataFile("test_32x32.mat", 64_275_384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),),
    torchvision="SVHN",
    folder="",
    format="svhn",
)

# The archive's size and hash are from TensorFlow Datasets' url_checksums, and its members' hashes from torchvision. The
# members' sizes follow from 5,000 and 8,000 images.
STL10 = Dataset(
    name="stl10",
    input_shape=(3, 96, 96),
    classes=class_names.STL10,
    training=(
        DataFile("train_X.bin", 138_240_000, "918c2871b30a85fa023e0c44e0bee87f", "md5"),
        DataFile("train_y.bin", 5_000, "5a34089d4802c674881badbb80307741", "md5"),
    ),
    test=(
        DataFile("test_X.bin", 221_184_000, "7f263ba9f9e0b06b93213547f721ac82", "md5"),
        DataFile("test_y.bin", 8_000, "36f9794fa4beb8a2c72628de14fa638e", "md5"),
    ),
    torchvision="STL10",
    folder="stl10_binary",
    format="stl10",
    archive=DataFile(
        "stl10_binary.tar.gz", 2_640_397_119, "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866"
    ),
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset for dataset in (FASHION_MNIST, MNIST, KMNIST, CIFAR10, CIFAR100, CIFAR100_COARSE, SVHN, STL10)
}
# The shape of the images and the number of classes, from which a network takes its input and output sizes.
INPUT_SHAPES = {name: (dataset.input_shape, len(dataset.classes)) for name, dataset in DATASETS.items()}


def get(name: str) -> Dataset:
    """The data set called `name`. Raises UsageError with the known names (and a close match) if there is none."""
    if name in DATASETS:
        return DATASETS[name]
    plain = {known.replace("_", ""): known for known in DATASETS}
    close = difflib.get_close_matches(name.lower().replace("-", "").replace("_", ""), plain, n=1)
    hint = f"did you mean {plain[close[0]]}? " if close else ""
    raise UsageError(f"unknown data set {shortened(repr(name))}: {hint}Known: {', '.join(sorted(DATASETS))}")
