"""Recognises folders that hold other data than classes of images, and says what to do with them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from sweeper.errors import UsageError, plain
from sweeper.folders.names import IMAGE_FOLDERS, is_image, parts_in
from sweeper.folders.parquet_tables import ENCODED_IMAGES
from sweeper.folders.walk import files, folders
from sweeper.images import foreign_files

MASK_FOLDERS = (
    "mask",
    "masks",
    "segmentation",
    "segmentations",
    "segmentationclass",
    "groundtruth",
    "ground_truth",
    "gt",
)
BOX_FOLDERS = ("annotations", "bboxes", "labels")
BOX_FILES = ("_annotations.coco.json", "_annotations.createml.json", "_darknet.labels")
BOXES = "cut the boxes out of the images, and write each to the folder of its class, CLASS/NAME.png"
# Enough to tell what a folder holds.
MOST_LOOKED_AT = 1000


def refuse_other_kinds(root: Path) -> None:
    """Raises UsageError for a folder of detection or segmentation data, by names in it and in the parts' folders."""
    for folder in (root, *(root / name for name in folders(root) if parts_in(name))):
        names = {name.lower(): name for name in folders(folder)}
        images = [names[name] for name in IMAGE_FOLDERS if name in names]
        annotated = [names[name] for name in BOX_FOLDERS if name in names and _holds_only_texts(folder / names[name])]
        here = files(folder)
        boxes = annotated if images or any(map(parts_in, names)) else []
        boxes += [name for name in here if name.lower() in BOX_FILES]
        if boxes or _has_texts_of_boxes(folder, here):
            where = plain(boxes[0]) if boxes else "the texts beside the images"
            raise UsageError(f"detection data are not supported, got boxes in {where} ({plain(folder)}); {BOXES}")
        masks = [names[name] for name in MASK_FOLDERS if name in names]
        if images and masks and len(names) == 2:
            raise UsageError(
                f"segmentation data are not supported, got {plain(masks[0])} beside {plain(images[0])} "
                f"({plain(folder)}); to tell images apart, write each to the folder of its class, CLASS/NAME.png"
            )


def other_files(root: Path) -> str:
    """What a folder without images holds instead, with what to do; empty if nothing tells."""
    found = list(_files(root))
    if any(is_image(path.name) for path in found):
        return ""
    if arrays := [path for path in found if path.suffix.lower() == ".npz"]:
        names = " or ".join(shlex.quote(str(path)) for path in arrays[:2])
        return f"to use the arrays in it, give the file: {names}"
    for path in found:
        if path.name.lower().endswith(("-ubyte", "-ubyte.gz")) or path.name.startswith("data_batch_"):
            return (
                f"for files of a known data set, give its name, such as mnist, with --data-dir {shlex.quote(str(root))}"
            )
        if path.suffix.lower() == ".parquet":
            return f"{plain(path.name)} holds {ENCODED_IMAGES}"
        if kind := what_is(path):
            return f"{plain(path.name)} is {kind}"
    return ""


def what_is(path: Path) -> str:
    """What a file that is no data set is, with what to do; empty if nothing tells."""
    if not path.is_file():  # a named pipe would wait for a writer
        return ""
    try:
        with path.open("rb") as stream:
            kind = foreign_files.named(stream, path.name)
    except OSError:
        return ""
    return "" if kind in ("no image", "empty", "only zeros") or kind.startswith("text") else kind


def _files(root: Path) -> Iterator[Path]:
    """The first files directly in the folder and in its folders."""
    for folder in (root, *(root / name for name in folders(root))):
        for name in files(folder)[:MOST_LOOKED_AT]:
            yield folder / name


def _holds_only_texts(folder: Path) -> bool:
    """Whether a folder, or each in it, holds nothing but texts of boxes."""
    inner = [folder, *(folder / name for name in folders(folder))]
    names = [name for place in inner for name in files(place)[:MOST_LOOKED_AT]]
    return bool(names) and all(name.lower().endswith((".txt", ".xml", ".json", ".cache")) for name in names)


def _has_texts_of_boxes(folder: Path, names: list[str]) -> bool:
    """Whether each image directly in the folder has a text of its boxes beside it."""
    images = [Path(name).stem for name in names if is_image(name)][:MOST_LOOKED_AT]
    texts = {Path(name).stem: name for name in names if name.lower().endswith((".txt", ".xml"))}
    if not images or not all(stem in texts for stem in images):
        return False
    return _is_text_of_boxes(folder / texts[images[0]])


def _is_text_of_boxes(path: Path) -> bool:
    """Whether a text is in YOLO's form, rows of a class and four numbers, or an XML file with a bndbox."""
    try:
        with path.open("rb") as stream:
            text = stream.read(10_000).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if path.suffix.lower() == ".xml":
        return "<bndbox>" in text
    rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        return bool(rows) and all(len(row) >= 5 and all(map(_is_finite, row)) for row in rows[:10])
    except ValueError:
        return False


def _is_finite(word: str) -> bool:
    return abs(float(word)) < float("inf")
