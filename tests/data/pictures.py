"""Tiny images, folders of them and .npz files, as a person might bring them."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(value: int | tuple[int, ...], size: tuple[int, int] = (4, 4), mode: str = "L") -> Image.Image:
    """An image of one colour but for its first pixel, with which no two values make the same."""
    image = Image.new(mode, size, value)
    image.putpixel((0, 0), 0)
    return image


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The image as a file's content."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def write_folder(root: Path, contents: Mapping[str, bytes | Image.Image | int]) -> Path:
    """Files by their path under `root`: bytes as they are, images as PNG, numbers as a grey image of 4x4."""
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image = picture(content) if isinstance(content, int) else content
        (root / name).write_bytes(encoded(image) if isinstance(image, Image.Image) else image)
    return root


def npy(array: np.ndarray) -> bytes:
    """The array as a member of an .npz file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_claiming(shape: object, descr: object = "|u1", content: bytes = b"", fortran: object = False) -> bytes:
    """A member whose header says whatever it is told to."""
    header = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def write_npz(path: Path, members: Mapping[str, bytes | np.ndarray], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """An .npz file of arrays, and of members with whatever content."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", npy(content) if isinstance(content, np.ndarray) else content)
    return path
