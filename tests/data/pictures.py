"""Tiny images, folders of images and .npz files, like those that users bring."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from sweeper.data.own.image_files import ImageFile


def picture(value: int | tuple[int, ...], size: tuple[int, int] = (4, 4), mode: str = "L") -> Image.Image:
    """An image of one colour, except that the first pixel is 0, so that different values give different images."""
    image = Image.new(mode, size, value)
    image.putpixel((0, 0), 0)
    return image


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The content of the image's file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def write_folder(root: Path, contents: Mapping[str, bytes | Image.Image | int]) -> Path:
    """Writes files by their path under `root`: bytes as they are, images as PNG, numbers as a grey image of 4x4."""
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image = picture(content) if isinstance(content, int) else content
        (root / name).write_bytes(encoded(image) if isinstance(image, Image.Image) else image)
    return root


def image_files_in(root: Path, contents: Mapping[str, bytes | Image.Image | int]) -> list[ImageFile]:
    """Writes image files of class a, or of the class that the name begins with."""
    write_folder(root, contents)
    return [ImageFile(root / name, name, name[0] if "/" in name else "a") for name in contents]


def tree(root: Path, *files: str) -> Path:
    """Makes empty files under `root`; a name that ends with a slash is a folder."""
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def npy(array: np.ndarray) -> bytes:
    """The array as a member of an .npz file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_claiming(shape: object, descr: object = "|u1", content: bytes = b"", fortran: object = False) -> bytes:
    """A member whose header claims the given shape and type, whatever its content is."""
    header = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def write_npz(path: Path, members: Mapping[str, bytes | np.ndarray], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Writes an .npz file of arrays, and of members with any content."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", npy(content) if isinstance(content, np.ndarray) else content)
    return path
