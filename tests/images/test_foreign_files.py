import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image, features

from sweeper.images.foreign_files import broken_link, named, why_no_picture
from tests.data import pictures
from tests.data.pictures import encoded


def boxes(brand, *compatible):
    """The head of an ISO base media file."""
    content = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + bytes(200)


def tiff(tags):
    """A TIFF file that is nothing but its tags, and one strip of zeros."""
    tags = {256: 4, 257: 4, 273: 8, 279: 64} | tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(tags)) + entries + bytes(4)


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return stream.getvalue()


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x", "y")
    return stream.getvalue()


def array():
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
CONTENTS = [
    (b"", "empty"),
    (b"<html>404</html>", "a web page, not an image: download it again"),
    (b"\xef\xbb\xbf\n<!DOCTYPE HTML><head>" + b"x" * 2000, "a web page"),
    (b"\xef\xbb\xbf <!doctype html>" + "ü".encode() * 2000, "a web page"),
    (LFS, "a Git LFS pointer, not the image: run git lfs pull"),
    (b"/annex/objects/SHA256E-s12--00.jpg\n", "a git-annex pointer, not the image: run git annex get"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG, a drawing: convert to PNG"),
    (b"<?xml version='1.0'?>\n<!-- a -->\n<svg:svg/>", "SVG"),
    (b'{"error": "not found"}', "text, not an image"),
    ("Zugriff verweigert: ä".encode(), "text, not an image"),
    (boxes(b"heic"), "HEIC: convert to JPEG or PNG, for example with heif-convert"),
    (boxes(b"mif1", b"mif1", b"heic"), "HEIC"),
    (boxes(b"crx "), "raw data of a camera"),
    (boxes(b"isom"), "a video: take images from it, for example with ffmpeg"),
    (boxes(b"qt  "), "a video"),
    (b"RIFF\0\0\0\0AVI LIST", "a video"),
    (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
    (bytes(128) + b"DICM" + bytes(100), "DICOM: convert to PNG, for example with dcm2pnm or pydicom"),
    (b"\x5c\x01" + bytes(342) + b"n+1\0" + bytes(90), "a NIfTI volume"),
    (b"8BPS\0\1" + bytes(60), "a Photoshop file"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF: convert to PNG, for example with pdftoppm"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "PostScript"),
    (b"\xff\x0a" + bytes(9), "JPEG XL"),
    (b"SIMPLE  =                    T / conforms" + b" " * 2000, "FITS"),
    (b"v/1\x01" + bytes(60), "an image of high dynamic range"),
    (array(), "a NumPy array: save all images as one .npz file"),
    (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
    (b"PAR1" + bytes(50), "a table in Parquet's format"),
    (zipped(), "an archive: unpack it"),
    (tar(), "an archive"),
    (b"\x1f\x8b\x08" + bytes(20), "an archive"),
    (b"FUJIFILMCCD-RAW 0201" + bytes(90), "raw data of a camera: convert to PNG, for example with darktable-cli"),
    (b"II*\0\x10\0\0\0CR\x02\0" + bytes(90), "raw data of a camera"),
    (tiff({262: 2, 277: 3, 50706: 0x00000401}), "raw data of a camera"),
    (tiff({262: 32803, 277: 1}), "raw data of a camera"),
    (tiff({262: 1, 277: 13}), "a TIFF file of 13 bands: save three of them as RGB, for example with gdal"),
    (tiff({262: 1, 277: 4}), "a TIFF file of 4 bands: save three of them as RGB"),
    (tiff({262: 5, 277: 5}), "a TIFF file of CMYK and 1 more band: convert to PNG, for example with magick"),
    (tiff({262: 5, 277: 4}), "a TIFF file of a kind that Pillow does not read"),
    (tiff({262: 1, 258: 64}), "a TIFF file of a kind that Pillow does not read: convert to PNG"),
    (b"II*\0" + bytes(2), "a damaged TIFF file"),
    (b"\x89PNG\r\n\x1a\n" + bytes(5), "a damaged PNG file"),
    (b"\xff\xd8\xff\xe0", "a damaged JPEG file"),
    (bytes(500), "only zeros"),
    (b"\x07\x99" * 100, "no image"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "told"), CONTENTS, ids=[told for _, told in CONTENTS])
def test_file_is_named_by_its_content_whatever_its_name_is(content, told):
    for name in ("a/picture.jpg", "a/picture"):
        assert named(io.BytesIO(content), name).startswith(told)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("IMG_1.HEIC", "HEIC"),
        ("scan.dcm", "DICOM"),
        ("brain.nii.gz", "a NIfTI volume"),
        ("x.CR3", "raw data of a camera"),
        ("x.mp4", "a video"),
        ("x.svgz", "SVG"),
        ("x.mat", "a MATLAB file"),
    ],
)
def test_content_that_tells_nothing_is_named_by_the_ending(name, told):
    content = b"\x1f\x8b\x08" + bytes(20) if name.endswith("gz") or name.endswith("svgz") else b"\x07\x99" * 100
    assert named(io.BytesIO(content), name).startswith(told)
    assert named(io.BytesIO(b"<html>"), name).startswith("a web page")


@pytest.mark.parametrize("tool", ["nef", "arw", "DNG"])
def test_preview_in_a_cameras_raw_file_is_not_the_picture(tool):
    content = encoded(Image.new("RGB", (4, 4)), "TIFF")
    with Image.open(io.BytesIO(content)) as image:
        assert why_no_picture(image, "a/1.tif") == ""
        assert why_no_picture(image, f"a/1.{tool}").startswith("raw data of a camera")


@pytest.mark.parametrize(
    ("photometric", "n_bands", "n_extra", "told"),
    [
        (2, 5, 2, "a TIFF file of 5 bands: save three of them as RGB"),
        (2, 6, 3, "a TIFF file of 6 bands: save three of them as RGB"),
        (5, 6, 2, "a TIFF file of CMYK and 2 more bands: convert to PNG, for example with magick"),
        (5, 5, 1, ""),
    ],
)
def test_bands_that_pillow_would_drop_are_told(photometric, n_bands, n_extra, told):
    content = pictures.tiff(np.zeros((4, 4, n_bands), np.uint8), photometric=photometric, extra=(0,) * n_extra)
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == ("CMYK" if photometric == 5 else "RGB")
        assert why_no_picture(image, "x.tif").startswith(told)
        assert bool(why_no_picture(image, "x.tif")) == bool(told)


def test_image_of_another_format_is_a_picture_whatever_its_name_is():
    with Image.open(io.BytesIO(encoded(Image.new("RGB", (4, 4))))) as image:
        assert why_no_picture(image, "x.nef") == ""


@pytest.mark.parametrize(("can_read", "told"), [(True, "a damaged AVIF file"), (False, "AVIF, which this")])
def test_avif_is_damaged_only_where_pillow_can_read_it(monkeypatch, can_read, told):
    monkeypatch.setattr(features, "check", lambda feature: can_read and feature == "avif")
    for content in (boxes(b"avif"), boxes(b"mif1", b"mif1", b"avif")):
        assert named(io.BytesIO(content), "x.jpg").startswith(told)


def test_link_that_leads_nowhere_says_where_it_should(tmp_path):
    for name, target in (("gone", "/nowhere/x.png"), ("annex", "../.git/annex/objects/x.jpg")):
        (tmp_path / name).symlink_to(target)
    assert broken_link(tmp_path / "gone") == "a link to /nowhere/x.png, which does not exist"
    assert broken_link(tmp_path / "annex") == "a link to a file that git-annex has not fetched: run git annex get"
