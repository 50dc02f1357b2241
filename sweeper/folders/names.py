"""What the names of files and folders say: parts of a data set, images, and what belongs to neither."""

import re
from collections.abc import Collection
from pathlib import Path

TRAIN, VAL, TEST = PARTS = ("train", "val", "test")
# The words that mark a folder as a part of a data set, in the customs of Kaggle, Roboflow, Hugging Face and Keras.
SPLIT_WORDS = (
    dict.fromkeys(("train", "training", "trainset"), TRAIN)
    | dict.fromkeys(("val", "valid", "validation", "dev", "valset", "validset"), VAL)
    | dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout", "testset"), TEST)
)
# Files that lie beside images and are none: annotations and texts, and what file managers leave behind.
SIDECARS = (".csv", ".json", ".md", ".txt", ".xml")
LITTER = ("desktop.ini", "thumbs.db")
# Folders of network storage and operating systems, in lower case: thumbnails, snapshots, what was deleted or recovered.
SYSTEM_FOLDERS = (
    *("@eadir", "@recently-snapshot", "@recycle", "@sharebin", "@tmp", "#recycle", "#snapshot", "~snapshot"),
    *("$recycle.bin", "found.000", "lost+found", "network trash folder", "system volume information"),
    *("temporary items",),
)
# Endings of image files, of the formats that are read and of those that people try.
IMAGES = (
    *(".avif", ".bmp", ".dcm", ".gif", ".heic", ".j2k", ".jfif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".svg", ".tif", ".tiff", ".webp"),
)
# Usual names of folders that hold all images, with something about each image in a folder beside it.
IMAGE_FOLDERS = ("image", "images", "img", "imgs", "jpegimages")


def parts_in(name: str) -> set[str]:
    """The parts of a data set that the words of a name speak of, as those of train2017, testSet and image-val do."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = (word.rstrip("0123456789") for word in re.split(r"[\W_]+", apart))
    return {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}


def in_label_order(classes: Collection[str]) -> tuple[str, ...]:
    """The classes sorted by name, or by number if all are whole numbers."""
    are_numbers = all(name.isascii() and name.isdigit() for name in classes)
    return tuple(sorted(classes, key=lambda name: (int(name), name) if are_numbers else (0, name)))


def is_image(name: str) -> bool:
    """Whether the name has the suffix of an image format that sweeper reads, and is not hidden."""
    return not is_hidden(Path(name).name) and Path(name).suffix.lower() in IMAGES


def may_be_image(name: str) -> bool:
    """Whether a file of this name may be an image in another format, and not one that other programs have left."""
    return not (is_hidden(name) or name.lower() in LITTER or Path(name).suffix.lower() in SIDECARS)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not for people's eyes: operating systems and tools create such everywhere."""
    return name.startswith((".", "__")) or name.lower() in SYSTEM_FOLDERS
