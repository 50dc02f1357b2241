"""Tiny images, folders of images and .npz files, like those that users bring."""

import io
import struct
import zipfile
import zlib
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


def deep_png(values: np.ndarray, bits: int = 16, transparency: bytes | None = None, exif: bytes | None = None) -> bytes:
    """A PNG file of values (height, width) of 2 or 16 bits, or of 16 bits (height, width, 2, 3 or 4)."""
    colour_type = 0 if values.ndim == 2 else {2: 4, 3: 2, 4: 6}[values.shape[2]]
    rows = (
        [np.packbits(np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, -2:]).tobytes() for row in values]
        if bits == 2
        else [row.astype(">u2").tobytes() for row in values]
    )
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": transparency, b"eXIf": exif}
    chunks |= {b"IDAT": zlib.compress(b"".join(b"\0" + row for row in rows)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
        if data is not None
    )


def deep_tiff(values: np.ndarray, order: str, *, compressed: bool, **tags: object) -> bytes:
    """A TIFF file of 16 bits (height, width, 3 or 4) in the order of bytes < or >, with more tags as in `tiff`."""
    extra = {"extra": (2,)} if values.shape[2] == 4 else {}
    return tiff(values.astype(np.uint16), order, compressed=compressed, **extra | tags)


def tiff(
    values: np.ndarray,
    order: str = "<",
    *,
    compressed: bool = False,
    photometric: int = 2,
    extra: tuple[int, ...] = (),
    planes: int = 1,
) -> bytes:
    """A TIFF file of integers (height, width, channels) whose channels are stored together, whatever `planes` says.

    `extra` says what the channels beside the colours are: 0 nothing, 1 opacity of premultiplied colours, 2 opacity.
    """
    content = values.astype(values.dtype.newbyteorder(order)).tobytes()
    content = zlib.compress(content) if compressed else content
    height, width, channels = values.shape
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * channels, 259: [8 if compressed else 1]}
    tags |= {262: [photometric], 273: [8], 277: [channels], 278: [height], 279: [len(content)], 284: [planes]}
    tags |= {338: list(extra)} if extra else {}
    body, entries = content.ljust(len(content) + len(content) % 2, b"\0"), b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            body, packed = body + packed, struct.pack(f"{order}I", 8 + len(body))
        entries += struct.pack(f"{order}HHI", tag, 3, len(numbers)) + packed.ljust(4, b"\0")
        body += b"\0" * (len(body) % 2)
    start = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(body))
    return start + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


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
