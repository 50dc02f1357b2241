"""Names what a file holds that is no image which can be read, and says what to do about it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import ImageFile, TiffImagePlugin, features

from sweeper.images import tiff_bands
from sweeper.quantities import counted

# The bytes at the beginning of a file that tell its kind: tar archives and NIfTI volumes are marked latest, below 352.
HEAD_BYTES = 1024
# TIFF's tags, and the photometric interpretation of a sensor's colour filters.
PHOTOMETRIC, DNG_VERSION = 262, 50706
COLOUR_FILTERS = 32803
# More bands are no colours, with or without transparency.
MOST_BANDS = 4


@dataclass(frozen=True)
class _Kind:
    """A kind of file: its name with the remedy, the marks (offset, bytes) in its head, and the endings of its names."""

    told: str
    marks: tuple[tuple[int, bytes], ...]
    endings: tuple[str, ...] = ()

    def marks_are_in(self, head: bytes) -> bool:
        return any(head.startswith(mark, offset) for offset, mark in self.marks)


def _convert(name: str, tool: str) -> str:
    return f"{name}: convert to PNG, for example with {tool}"


_HEIC_BRANDS = ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")
_AVIF = _Kind(
    "AVIF, which this installation of Pillow cannot read: convert to PNG, for example with avifdec",
    ((4, b"ftypavif"), (4, b"ftypavis")),
    (".avif",),
)
_RAW = _Kind(
    _convert("raw data of a camera", "darktable-cli or rawpy"),
    ((4, b"ftypcrx"), (8, b"CR\x02"), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIRS"), (0, b"MMOR"), (0, b"IIU\0")),
    (".arw", ".cr2", ".cr3", ".crw", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw", ".x3f"),
)
# The first kind whose marks are in a file is the right one.
_KINDS = (
    _AVIF,
    _Kind(
        "HEIC: convert to JPEG or PNG, for example with heif-convert",
        tuple((4, f"ftyp{brand}".encode()) for brand in _HEIC_BRANDS),
        (".heic", ".heif", ".hif"),
    ),
    _RAW,
    _Kind(
        "a video: take images from it, for example with ffmpeg",
        (
            *((4, b"ftyp"), (4, b"moov"), (8, b"AVI "), (0, b"\x1aE\xdf\xa3"), (0, b"\0\0\x01\xba")),
            *((0, b"\0\0\x01\xb3"), (0, b"FLV\x01"), (0, b"0&\xb2u\x8ef\xcf\x11")),
        ),
        (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"),
    ),
    _Kind(_convert("DICOM", "dcm2pnm or pydicom"), ((128, b"DICM"),), (".dcm", ".dicom", ".ima")),
    _Kind(
        "a NIfTI volume: save slices of it as PNG, for example with nibabel",
        ((344, b"n+1\0"), (344, b"ni1\0")),
        (".nii", ".nii.gz"),
    ),
    _Kind(_convert("a Photoshop file", "magick 'FILE.psd[0]' FILE.png"), ((0, b"8BPS"),), (".psb", ".psd")),
    _Kind(_convert("a GIMP file", "GIMP"), ((0, b"gimp xcf"),), (".xcf",)),
    _Kind(_convert("PDF", "pdftoppm -png"), ((0, b"%PDF"),), (".pdf",)),
    _Kind(
        _convert("PostScript", "gs -sDEVICE=png16m"), ((0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")), (".eps", ".epsf", ".ps")
    ),
    _Kind(_convert("a Windows metafile", "inkscape"), ((0, b"\xd7\xcd\xc6\x9a"), (40, b" EMF")), (".emf", ".wmf")),
    _Kind(_convert("JPEG XL", "djxl"), ((0, b"\xff\x0a"), (4, b"JXL \r\n\x87\n")), (".jxl",)),
    _Kind(_convert("JPEG XR", "JxrDecApp"), ((0, b"II\xbc"),), (".hdp", ".jxr", ".wdp")),
    _Kind(_convert("DjVu", "ddjvu"), ((0, b"AT&TFORM"),), (".djv", ".djvu")),
    _Kind(_convert("FITS", "astropy"), ((0, b"SIMPLE  ="),), (".fit", ".fits")),
    _Kind(
        _convert("an image of high dynamic range", "magick"),
        ((0, b"v/1\x01"), (0, b"#?RADIANCE"), (0, b"#?RGBE")),
        (".exr", ".hdr"),
    ),
    _Kind(_convert("a texture", "magick"), ((0, b"DDS "), (0, b"\xabKTX ")), (".dds", ".ktx")),
    _Kind(
        "a NumPy array: save all images as one .npz file, with train_images and train_labels",
        ((0, b"\x93NUMPY"),),
        (".npy", ".npz"),
    ),
    _Kind("an HDF5 file: save its images as an .npz file", ((0, b"\x89HDF\r\n\x1a\n"),), (".h5", ".hdf5")),
    _Kind("a MATLAB file: save its images as an .npz file", ((0, b"MATLAB 5.0 MAT-file"),), (".mat",)),
    _Kind("a table in Parquet's format: save its images as files", ((0, b"PAR1"),), (".parquet",)),
    _Kind("a sound", ((8, b"WAVE"), (0, b"ID3"), (0, b"OggS"), (0, b"fLaC")), (".flac", ".mp3", ".ogg", ".wav")),
)
_ARCHIVE = _Kind(
    "an archive: unpack it",
    (
        *((0, b"PK\3\4"), (0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ\0"), (0, b"7z\xbc\xaf"), (0, b"Rar!")),
        *((257, b"ustar"), (0, b"\x28\xb5\x2f\xfd")),
    ),
)
_SVG = _convert("SVG, a drawing", "rsvg-convert or inkscape")
# What begins like an image, but has not even a header that can be read.
_DAMAGED = (
    _Kind("a damaged PNG file", ((0, b"\x89PNG"),)),
    _Kind("a damaged JPEG file", ((0, b"\xff\xd8\xff"),)),
    _Kind("a damaged GIF file", ((0, b"GIF8"),)),
    _Kind("a damaged WebP file", ((8, b"WEBP"),)),
)


def named(stream: BinaryIO, name: str) -> str:
    """What a file is, of which Pillow reads no header: by its content or else by the ending of its name, with a remedy.

    "no image" if nothing tells.
    """
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    lower = name.lower()
    if not head:
        return "empty"
    if text := _named_text(head):
        return text
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and not _RAW.marks_are_in(head):
        return _named_tiff(stream, lower)
    if head[4:8] == b"ftyp" and b"avif" in head[8:64]:
        return "a damaged AVIF file" if features.check("avif") else _AVIF.told
    by_content = [kind.told for kind in (*_KINDS, *_DAMAGED) if kind.marks_are_in(head)]
    by_ending = [kind.told for kind in _KINDS if lower.endswith(kind.endings)]
    archive = [_SVG if lower.endswith(".svgz") else _ARCHIVE.told] if _ARCHIVE.marks_are_in(head) else []
    return next(iter((*by_content, *by_ending, *archive)), "only zeros" if not any(head) else "no image")


def why_no_picture(image: ImageFile.ImageFile, name: str) -> str:
    """Why an image that Pillow reads is not the picture that a person sees; empty for nearly all.

    Pillow reads the small preview in a camera's raw file, which is a TIFF file, and drops the bands of a TIFF file that
    are no colours.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return ""
    return _foreign_tiff(image.tag_v2, name.lower())


def broken_link(path: Path) -> str:
    """Where a link leads to that leads nowhere."""
    target = os.readlink(path)
    if ".git/annex/" in target:
        return "a link to a file that git-annex has not fetched: run git annex get"
    return f"a link to {target}, which does not exist"


def _named_text(head: bytes) -> str:
    """What a text file is; empty for other files."""
    try:
        text = _whole_characters(head).decode("utf-8-sig").strip().lower()
    except UnicodeDecodeError:
        return ""
    if not text or not all(character.isprintable() or character.isspace() for character in text):
        return ""
    if text.startswith("version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer, not the image: run git lfs pull"
    if text.startswith("/annex/objects/"):
        return "a git-annex pointer, not the image: run git annex get"
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "a web page, not an image: download it again"
    if "<svg" in text:
        return _SVG
    if "<html" in text:
        return "a web page, not an image: download it again"
    if kind := next((kind.told for kind in _KINDS if kind.marks_are_in(head)), ""):
        return kind
    return "text, not an image"


def _whole_characters(head: bytes) -> bytes:
    """The head without a character of UTF-8 that its end cuts in two."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start > len(head) - 4 and "end of data" in error.reason:
            return head[: error.start]
    return head


def _named_tiff(stream: BinaryIO, name: str) -> str:
    """What a TIFF file holds that Pillow does not read."""
    try:
        stream.seek(0)
        tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(8))
        stream.seek(tags.next)
        tags.load(stream)
        # Pillow reads four bands if three of them are said to be colours.
        return (
            _foreign_tiff(tags, name, most_bands=3) or "a TIFF file of a kind that Pillow does not read: convert to PNG"
        )
    except MemoryError:
        raise
    except Exception:  # damaged bytes make Pillow's readers raise exceptions of any type
        return "a damaged TIFF file"


def _foreign_tiff(tags: TiffImagePlugin.ImageFileDirectory_v2, name: str, most_bands: int = MOST_BANDS) -> str:
    if DNG_VERSION in tags or tags.get(PHOTOMETRIC) == COLOUR_FILTERS or name.endswith(_RAW.endings):
        return _RAW.told
    n_bands = tiff_bands.n_bands(tags)
    if tags.get(PHOTOMETRIC) == tiff_bands.CMYK:
        if n_bands > most_bands + 1:
            n_extra = tiff_bands.n_extra(tags)
            return _convert(f"a TIFF file of CMYK and {counted(n_extra, 'more band')}", "magick")
    elif n_bands > most_bands:
        return (
            f"a TIFF file of {n_bands} bands: save three of them as RGB, for example with gdal_translate -b 1 -b 2 -b 3"
        )
    return ""
