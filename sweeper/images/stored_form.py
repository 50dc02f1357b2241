"""How an image file stores its pixels, as far as its header tells: depth, transparency, orientation and frames."""

import re
from dataclasses import dataclass

from PIL import ExifTags, Image, Jpeg2KImagePlugin, PngImagePlugin, SgiImagePlugin, TiffImagePlugin

from sweeper.images import tiff_bands
from sweeper.images.png_chunks import late_exif

# Modes that become grey; all others become colour. Transparency is no channel of its own.
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
DEEP_GREY_MODES = GREY_MODES[4:]
# Pillow opens these with the high byte of each value, of grey ones (LA) as colour.
DEEP_COLOUR = re.compile(r"(LA|RGB|RGBA|RGBX);16[BLN]")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
# What Pillow does to an image so that it stands upright, by the orientation that its EXIF block gives.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Where Pillow keeps the EXIF block of a file, and the one that ImageMagick writes to PNG files as text.
EXIF_BLOCKS = ("exif", "Raw profile type exif")
# Those that swap width and height.
ON_ITS_SIDE = (5, 6, 7, 8)
# What begins the pixels of a JPEG 2000 file, how far behind it the depth of the first channel is, and how far into the
# file, behind colour profiles, the beginning is looked for.
CODESTREAM, DEPTH_PLACE, MOST_HEAD = b"\xff\x4f\xff\x51", 42, 2**20


@dataclass(frozen=True)
class StoredForm:
    """How a file stores its image.

    `mode` is Pillow's. `is_deep` says that a channel has more than 8 bits or a sign, `has_alpha` that pixels may be
    transparent. `orientation` is a key of UPRIGHT, or 1 if the image is to stay as it is. `has_frames` says that there
    are several images, of which Pillow opens the first, and `has_other_band` that a TIFF file has a band beside its
    colours of which it does not say that it is transparency, such as infrared. `is_cut` says that Pillow keeps only the
    highest 8 bits of deeper colours.
    """

    mode: str
    is_grey: bool
    is_deep: bool
    has_alpha: bool
    orientation: int
    has_frames: bool
    has_other_band: bool
    is_cut: bool


def stored_form(image: Image.Image, *, exif: bool) -> StoredForm:
    """The form of an image that was opened and not decoded yet; without `exif` it has no orientation.

    Raises ValueError for one that Pillow opens but misreads.
    """
    raw = raw_mode(image)
    is_deep = image.mode in DEEP_GREY_MODES or DEEP_COLOUR.fullmatch(raw) is not None or is_signed(image)
    _refuse_misread(image, raw, is_deep=is_deep)
    return StoredForm(
        mode=image.mode,
        is_grey=image.mode in GREY_MODES or raw.startswith("LA;16"),
        is_deep=is_deep,
        has_alpha=has_alpha(image),
        orientation=_orientation(image) if exif else 1,
        has_frames=_has_frames(image),
        has_other_band=isinstance(image, TiffImagePlugin.TiffImageFile)
        and tiff_bands.n_extra(image.tag_v2) > tiff_bands.n_opacity(image.tag_v2),
        is_cut=not is_deep and isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and _depth_of_jpeg2000(image) > 8,
    )


def _refuse_misread(image: Image.Image, raw: str, *, is_deep: bool) -> None:
    """Refuses values of two bytes of which Pillow keeps the high byte alone, or takes each byte for a value."""
    kind, bits = "", 16
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (bits := tiff_bands.bits(image.tag_v2)) > 8:
        if tiff_bands.is_in_planes(image.tag_v2):
            kind = "and a plane for each"
        elif not is_deep:
            kind = "in CMYK" if image.mode == "CMYK" else "with premultiplied opacity"
    elif isinstance(image, SgiImagePlugin.SgiImageFile) and (image.tile[0].codec_name == "SGI16" or ";16" in raw):
        kind = "in SGI's format"
    if kind:
        raise ValueError(
            f"{bits} bits a channel {kind}, which Pillow misreads: convert to PNG, for example with magick"
        )


def without_xmp(image: Image.Image) -> Image.Image:
    """The image, which is not decoded yet, without the orientation that Pillow would take from XMP for a TIFF file."""
    image.info.pop("xmp", None)
    return image


def has_alpha(image: Image.Image) -> bool:
    """Whether pixels may be transparent; a band of a TIFF file is opacity only if the file says so."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.mode in ALPHA_MODES and tiff_bands.n_opacity(image.tag_v2) > 0
    return image.mode in ALPHA_MODES or "transparency" in image.info


def _depth_of_jpeg2000(image: Jpeg2KImagePlugin.Jpeg2KImageFile) -> int:
    """The bits of the first channel; 8 if the file does not begin as it should."""
    assert image.fp is not None
    place = image.fp.tell()
    try:
        image.fp.seek(0)
        head = image.fp.read(MOST_HEAD)
    finally:
        image.fp.seek(place)
    found = head.find(CODESTREAM)
    depth = head[found + DEPTH_PLACE :][:1] if found >= 0 else b""
    return (depth[0] & 0x7F) + 1 if depth else 8


def is_signed(image: Image.Image) -> bool:
    """Whether these are bytes from -128 to 127, which Pillow opens as if they were those from 0 to 255."""
    return (
        image.mode == "L"
        and isinstance(image, TiffImagePlugin.TiffImageFile)
        and (image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT) == (2,))
    )


def raw_mode(image: Image.Image) -> str:
    """The form in which the file holds its values, in Pillow's words; empty if Pillow does not say."""
    tiles = getattr(image, "tile", None)
    found = tiles[0].args if tiles else ""
    return str(found[0] if isinstance(found, tuple) and found else found or "")


def _orientation(image: Image.Image) -> int:
    # Pillow itself turns TIFF images, by a tag of theirs that has nothing to do with EXIF.
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    try:
        if isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info and image.fp is not None:
            image.info["exif"] = late_exif(image.fp)
        # Read by an image with nothing else. PNG's own method decodes the whole file in search of a block behind the
        # pixels, and all methods fall back to XMP, which programs keep when they turn the pixels and remove the block.
        bare = Image.new("1", (1, 1))
        bare.info = {name: image.info[name] for name in EXIF_BLOCKS if name in image.info}
        found = bare.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # a damaged block says nothing, and the image is as good as without it
        return 1
    return found if found in UPRIGHT else 1


def _has_frames(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception:  # GIF reads on to the second image, which may be damaged: the first is used all the same
        return False
