"""The data that the commands of pages need, by the name that a page gives."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def shapes(folder: Path) -> None:
    """The folder shapes/ with 80 training and 20 test images of each class, and more/ with five of each."""
    write_shapes(folder / "shapes", {"train": 80, "test": 20})
    write_shapes(folder / "more", {"": 5}, seed=1)


def photos(folder: Path) -> None:
    """shapes/ of more images, and new/ with pictures of the same in other sizes and colours, and a broken file."""
    write_shapes(folder / "shapes", {"train": 300, "test": 40})
    write_shapes(folder / "drawn", {"": 2}, seed=1)
    new = folder / "new"
    new.mkdir()
    for shape, size in (("circle", (64, 64)), ("square", (90, 60))):
        Image.open(folder / "drawn" / shape / "0.png").save(new / f"{shape}-0.png")
        Image.open(folder / "drawn" / shape / "1.png").convert("RGB").resize(size).save(new / f"{shape}-1.jpg")
    whole = (new / "circle-1.jpg").read_bytes()
    (new / "broken.jpg").write_bytes(whole[: len(whole) // 2])


def write_shapes(folder: Path, counts: Mapping[str, int], seed: int = 0) -> None:
    """Grey images of 28x28 of a circle or a square somewhere: so many of each for each part (a folder)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    for part, count in counts.items():
        for shape in ("circle", "square"):
            place = folder / part / shape
            place.mkdir(parents=True)
            for number in range(count):
                (down, right), size = random.integers(8, 20, 2), random.integers(4, 8)
                from_circle = np.hypot(y - down, x - right)
                from_square = np.maximum(abs(y - down), abs(x - right))
                inside = (from_circle if shape == "circle" else from_square) <= size
                pixels = np.where(inside, 200, 30) + random.integers(-30, 30, (28, 28))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


MAKERS: Mapping[str, Callable[[Path], None]] = {"shapes": shapes, "photos": photos}


def make(names: list[str], folder: Path) -> None:
    for name in names:
        MAKERS[name](folder)
