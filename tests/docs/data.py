"""The data that the commands of pages need, by the name that a page gives."""

import itertools
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sweeper.data.known.catalog import FASHION_MNIST
from tests.docs.commands import environment
from tests.docs.markdown import ROOT


def shapes(folder: Path) -> None:
    """The folder shapes/ with 80 training and 20 test images of each class, and more/ with five of each."""
    write_shapes(folder / "shapes", {"train": 80, "test": 20})
    write_shapes(folder / "more", {"": 5}, seed=1)


def photos(folder: Path) -> None:
    """shapes/ of more images, and new/ with pictures of the same in other sizes and colours, and a broken file."""
    write_shapes(folder / "shapes", {"train": 300, "test": 40})
    write_shapes(folder / "drawn", {"": 2}, seed=2)
    new = folder / "new"
    new.mkdir()
    for shape, size in (("circle", (28, 28)), ("square", (84, 56))):
        Image.open(folder / "drawn" / shape / "0.png").save(new / f"{shape}-0.png")
        colour = Image.open(folder / "drawn" / shape / "1.png").convert("RGB")
        colour.resize(size, Image.Resampling.NEAREST).save(new / f"{shape}-1.jpg")
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


def pets(folder: Path) -> None:
    """The folder pets/ of colour pictures of several sizes, without parts, and classes.toml, which renames classes."""
    sizes = ((48, 64), (64, 48), (64, 64))
    write_pictures(folder / "pets", {"cat": 150, "dog": 140, "hen, wild": 60}, sizes)
    (folder / "classes.toml").write_text('bird = ["hen, wild"]\nmammal = ["cat", "dog"]\n')


def plants(folder: Path) -> None:
    """The folder plants/ with a folder of folders for each class, and garden/ with files in a format of phones."""
    counts = {"apple/healthy": 4, "apple/scab": 4, "corn/healthy": 4, "corn/rust": 4}
    write_pictures(folder / "plants", counts, ((32, 32),))
    write_pictures(folder / "garden", {"bee": 40, "wasp": 40}, ((32, 32),))
    for number in range(4):
        (folder / f"garden/bee/IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def pictures(folder: Path) -> None:
    """The folder path/to/folder/ of colour pictures of 32x32 of three classes, with a training and a test part."""
    write_pictures(folder / "path/to/folder/train", {"red": 150, "green": 150, "blue": 150}, ((32, 32),))
    write_pictures(folder / "path/to/folder/test", {"red": 20, "green": 20, "blue": 20}, ((32, 32),), seed=1)


def write_pictures(folder: Path, counts: Mapping[str, int], sizes: Sequence[tuple[int, int]], seed: int = 0) -> None:
    """Colour pictures of these sizes (width, height) in turn, in which the class has a colour and a pattern."""
    random = np.random.default_rng(seed)
    for number, (name, count) in enumerate(counts.items()):
        place = folder / name
        place.mkdir(parents=True)
        for i in range(count):
            width, height = sizes[i % len(sizes)]
            y, x = np.mgrid[:height, :width]
            stripes = np.sin((x if number % 2 else y) / (2 + number) + random.uniform(0, 6))
            pixels = random.integers(40, 120, (height, width, 3)) + 40.0
            pixels[..., number % 3] += 60 * stripes
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(place / f"{i}.jpg")


def insects(folder: Path) -> None:
    """The folder insects/ of colour pictures of three classes, one of which has two thirds of the pictures."""
    write_pictures(folder / "insects", {"bee": 200, "wasp": 80, "hornet": 20}, ((32, 32),))


def fashion_product(folder: Path) -> None:
    """The folder fashion-product/ in the form of Kaggle's data set, with its two kinds of mistakes, and examples/."""
    random = np.random.default_rng(0)
    images = folder / "fashion-product/images"
    images.mkdir(parents=True)
    shutil.copytree(ROOT / "examples", folder / "examples")
    kinds = tomllib.loads((ROOT / "examples/fashion_product.toml").read_text(encoding="utf-8")).values()
    rows = ["id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"]
    for number, kind in enumerate(12 * [*itertools.chain(*kinds), "Watches"]):
        name = "Red, with a comma" if number == 50 else "Red"
        rows.append(f"{number},Women,Apparel,Topwear,{kind},Red,Fall,2011,Casual,{name}")
        pixels = np.full((80, 60, 3), 255, np.uint8)
        pixels[15:65, 15:45] = random.integers(0, 150, (50, 30, 3))
        if number != 60:
            Image.fromarray(pixels).save(images / f"{number}.jpg")
    (folder / "fashion-product/styles.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


def weights(folder: Path) -> None:
    """The file resnet18.safetensors of timm's network with random weights."""
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), folder / "resnet18.safetensors")


def fashion_mnist(folder: Path) -> None:
    """Fashion-MNIST, where sweeper finds it: in Debian's package, or in the cache."""
    if not Path(FASHION_MNIST.debian_folder).is_dir():
        fetch_from_debian(folder)


def coat(folder: Path) -> None:
    """coat.png, a picture like those of Fashion-MNIST."""
    image = Image.new("L", (28, 28))
    image.paste(180, (8, 3, 20, 26))  # the coat
    image.paste(150, (4, 5, 7, 22))  # its sleeves
    image.paste(150, (21, 5, 24, 22))
    image.save(folder / "coat.png")


def fetch_from_debian(folder: Path) -> None:
    """Puts the files of Debian's package into the cache, without installing it."""
    with tempfile.TemporaryDirectory() as name:
        lists, archives = Path(name, "lists"), Path(name, "cache")
        (lists / "partial").mkdir(parents=True)
        (archives / "archives/partial").mkdir(parents=True)
        apt = ["apt-get", "-q", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}"]
        for command in ([*apt, "update"], [*apt, "download", FASHION_MNIST.debian_package]):
            subprocess.run(command, cwd=name, check=True, stdout=subprocess.DEVNULL)
        (package,) = Path(name).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), f"{name}/files"], check=True)
        shutil.copytree(f"{name}/files{FASHION_MNIST.debian_folder}", folder / ".cache" / FASHION_MNIST.name)


def study(folder: Path) -> None:
    """The study fashion_mnist-lenet5 of three trials, all complete, in the store mlruns/."""
    fashion_mnist(folder)
    search = "search fashion_mnist --subset 2000 --epochs 2 --trials 3 --pruner none --jobs 1 --quiet"
    subprocess.run(["sweeper", *search.split()], cwd=folder, env=environment(folder), check=True, capture_output=True)


MAKERS: Mapping[str, Callable[[Path], None]] = {
    "shapes": shapes,
    "photos": photos,
    "pets": pets,
    "plants": plants,
    "pictures": pictures,
    "insects": insects,
    "fashion_product": fashion_product,
    "weights": weights,
    "fashion_mnist": fashion_mnist,
    "coat": coat,
    "study": study,
}


def make(names: list[str], folder: Path) -> None:
    for name in names:
        MAKERS[name](folder)
