import os
import re
import threading

import numpy as np
import pytest
from PIL import Image

from sweeper.data.own import image_decoding, image_files
from sweeper.data.own.image_decoding import read
from sweeper.data.own.image_files import common_format, content_sha256, inspect
from sweeper.errors import SweeperError
from sweeper.images import bounds
from sweeper.images.decoded_cache import decoded
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted
from tests.data.pictures import encoded, image_files_in, picture

SKIP = DataOptions(skip_bad=True)


AS_THEY_ARE = DataOptions()
READING = Reading(print)


def decode(files, options=AS_THEY_ARE):
    """The images of the files, of classes a and b, in the most common format."""
    inspected = inspect(files, max_pixels=options.max_pixels)
    return read(inspected, content_sha256(inspected), ("a", "b"), common_format(inspected, options), options, READING)


FORMATS = ["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "WEBP", "JPEG", "AVIF", "QOI", "ICO", "TGA", "PCX", "SGI"]


@pytest.mark.parametrize("format", FORMATS)
def test_image_is_decoded_whatever_its_format(tmp_path, format):
    options = {"WEBP": {"lossless": True}, "ICO": {"sizes": [(6, 4)]}}.get(format, {})
    content = encoded(Image.new("RGB", (6, 4), (250, 120, 0)), format, **options)
    # A file of some formats begins with nothing characteristic.
    name = f"image.{format}" if format in ("TGA", "PCX", "SGI") else "image"
    found = decode(image_files_in(tmp_path, {name: content}))
    assert found.images.shape == (1, 3, 4, 6)
    pixels = found.images[0].reshape(3, -1).astype(int)
    # Only two formats are lossy.
    assert np.abs(pixels - np.array([[250], [120], [0]])).max() <= (3 if format in ("JPEG", "AVIF") else 0)


def test_junk_is_never_taken_for_an_image_of_a_format_without_a_mark(tmp_path):
    content = encoded(Image.new("RGB", (6, 4)), "TGA")
    with pytest.raises(SweeperError, match=r"1 is not \(image.jpg: no image\)"):
        decode(image_files_in(tmp_path, {"image.jpg": content}))


def test_larger_images_are_read_if_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_PIXELS", 1000)
    monkeypatch.setattr(image_files, "MOST_BYTES", 2000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    noise = encoded(Image.effect_noise((40, 40), 90))
    files = image_files_in(tmp_path, {"1": picture(1, (40, 40)), "2": noise})
    with pytest.raises(SweeperError, match=r"\(1, 2: claims 40 x 40 = 1,600 pixels, more than 1,000; --max-pixels"):
        decode(files)
    assert decode(files, DataOptions(max_pixels=1600)).images.shape == (2, 1, 40, 40)
    with pytest.raises(SweeperError, match="1, 2: claims"):
        decode(files, DataOptions(max_pixels=1599))
    assert Image.MAX_IMAGE_PIXELS == 600


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, [255]),
        ("L", 90, [90]),
        ("LA", (90, 10), [249]),
        ("P", 0, [0, 0, 0]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [255, 255, 255]),
        ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
    ],
)
def test_modes_become_grey_or_colour(tmp_path, mode, value, expected):
    content = encoded(Image.new(mode, (2, 2), value), "TIFF" if mode == "CMYK" else "PNG")
    assert decode(image_files_in(tmp_path, {"image": content})).images[0, :, 0, 0].tolist() == expected


def test_grey_and_colour_together_are_colour_and_with_grayscale_grey(tmp_path):
    files = image_files_in(tmp_path, {"1": picture(90), "2": picture((255, 0, 0), mode="RGB")})
    assert decode(files).images[:, :, 1, 1].tolist() == [[90, 90, 90], [255, 0, 0]]
    # 0.299 of red, as ITU-R 601-2 says.
    assert decode(files, DataOptions(grayscale=True)).images[:, :, 1, 1].tolist() == [[90], [76]]


@pytest.mark.parametrize(
    ("fit", "rows"),
    [
        ("pad", [[255] * 4, [50, 100, 150, 200], [50, 100, 150, 200], [255] * 4]),
        ("crop", [[88, 113, 138, 163]] * 4),  # of the columns 100 and 150, whose neighbours count a quarter
        ("stretch", [[50, 100, 150, 200]] * 4),
    ],
)
def test_image_of_other_proportions_is_padded_cropped_or_stretched(tmp_path, fit, rows):
    wide = Image.fromarray(np.tile(np.array([50, 100, 150, 200], np.uint8), (2, 1)))
    found = decode(image_files_in(tmp_path, {"1": wide}), DataOptions(resize=4, fit=fit))
    assert found.images[0, 0].tolist() == rows


CUT = encoded(picture(1, (4, 4)))[:-30]
BAD = {
    "text": (b"no image at all", "text, not an image"),
    "empty": (b"", "empty"),
    "cut.png": (encoded(picture(1, (40, 40)))[:-30], "truncated"),
    "cut.jpg": (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:-200], "truncated"),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "PostScript: convert to PNG"),
    "absurd": (b"P5 999999 999999 255\n", "claims 999,998,000,001 pixels, more than 64,000,000$"),
    "large": (b"P5 8001 8000 255\n", "more than 64,000,000; --max-pixels 65M reads it$"),
    "phone": (b"P5 20000 10000 255\n", "claims 200,000,000 pixels, more than 64,000,000; --max-pixels 200M reads it$"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_named_with_its_reason_or_left_out(tmp_path, name):
    content, reason = BAD[name]
    options = DataOptions(resize=40)
    files = image_files_in(tmp_path, {"a/1": picture(7, (40, 40)), name: content, "b/2": picture(8, (40, 40))})
    with pytest.raises(SweeperError, match=rf"1 is not \({name}: .*\); .*a 1 of [12]") as refusal:
        decode(files, options)
    told = re.search(rf"\({name}: (.*)\); ", str(refusal.value))[1]
    assert re.search(reason, told)
    found = decode(files, DataOptions(resize=40, skip_bad=True))
    assert (found.images[:, 0, -1, -1].tolist(), found.labels.tolist(), list(found.bad)) == ([7, 8], [0, 1], [name])


ODD = {
    "no regular file": os.mkfifo,
    "a link to nowhere, which does not exist": lambda path: path.symlink_to("nowhere"),
    "Too many levels of symbolic links": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("reason", ODD)
def test_anything_but_a_regular_file_is_bad_and_never_waited_for(tmp_path, reason):
    files = image_files_in(tmp_path, {"1": 1, "odd": b""})
    (tmp_path / "odd").unlink()
    ODD[reason](tmp_path / "odd")
    with pytest.raises(SweeperError, match=rf"1 is not \(odd: {reason}\)"):
        decode(files)


@pytest.mark.parametrize("place", ["builtins.open", "os.stat"])
def test_file_that_may_not_be_read_is_bad(tmp_path, monkeypatch, place):
    files = image_files_in(tmp_path, {"1": 1, "locked": 2})
    allowed = {"builtins.open": open, "os.stat": os.stat}[place]

    def refusing(path, *options, **named):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path, *options, **named)

    monkeypatch.setattr(place, refusing)
    with pytest.raises(SweeperError, match=r"1 is not \(locked: Permission denied\)"):
        decode(files)


def test_first_five_of_many_bad_files_are_named(tmp_path):
    files = image_files_in(tmp_path, {"0": 1} | {f"bad {number:04}": b"" for number in range(1234)})
    with pytest.raises(SweeperError) as refusal:
        decode(files)
    listed = ", ".join(f"bad {number:04}" for number in range(5))
    assert f"1,234 are not ({listed} and 1,229 more: empty)" in str(refusal.value)


def test_bad_files_only_are_refused_without_useless_advice(tmp_path):
    files = image_files_in(tmp_path, {"1": b"", "2": b""})
    with pytest.raises(SweeperError, match=r"one file must be an image, got none: 2 are not \(1, 2: empty\)$"):
        decode(files, SKIP)


def test_images_that_all_turn_out_bad_are_refused_even_with_skip_bad(tmp_path):
    truncated = encoded(picture(1, (40, 40)))[:-30]
    with pytest.raises(SweeperError, match=r"2 are not \(1, 2: [^)]*truncated.*\)$"):
        decode(image_files_in(tmp_path, {"1": truncated, "2": truncated}), SKIP)


def test_threads_give_the_same_result_as_a_loop(tmp_path, monkeypatch):
    files = image_files_in(tmp_path, {f"{'ab'[n % 2]}/{n:02}": n for n in range(40)} | {"a/bad": b"none", "b/cut": CUT})
    alone, threads = inspect(files), set()

    def noted(image, size, **named):
        threads.add(threading.current_thread())
        return fitted(image, size, **named)

    monkeypatch.setattr(image_decoding, "fitted", noted)
    monkeypatch.setattr(image_files, "MANY_BYTES", 0)
    monkeypatch.setattr(image_decoding, "MANY_PIXELS", 0)
    assert inspect(files) == alone
    found = decode(files, SKIP)
    assert threading.current_thread() not in threads
    assert found.images[:, 0, -1, -1].tolist() == list(range(40))
    assert found.labels.tolist() == [0, 1] * 20
    assert set(found.bad) == {"a/bad", "b/cut"}


@pytest.mark.filterwarnings("error")
def test_decoding_prints_and_logs_nothing(tmp_path, capfd, caplog):
    # A TIFF that claims an impossible number of values per pixel, which Pillow logs, and a size of which it warns.
    field = b"\x15\x01\x03\x00\x01\x00\x00\x00"
    absurd = encoded(picture(1, mode="RGB"), "TIFF").replace(field + b"\x03\x00", field + b"\x03\x8e")
    for content in (absurd, b"P5 10000 10000 255\n"):
        with pytest.raises(SweeperError):
            decode(image_files_in(tmp_path / "absurd", {"1": content}))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def replaced(monkeypatch, replacement):
    """Replaces the files after they are hashed and before they are decoded, and restores them afterwards."""

    def swapping(key, make, notify):
        def make_of_others(folder):
            before = {path: path.read_bytes() for path in replacement}
            for path, content in replacement.items():
                path.write_bytes(content)
            try:
                return make(folder)
            finally:
                for path, content in before.items():
                    path.write_bytes(content)

        return decoded(key, make_of_others, notify)

    monkeypatch.setattr(image_decoding, "decoded", swapping)


@pytest.mark.parametrize("options", [AS_THEY_ARE, SKIP])
@pytest.mark.parametrize("other", [encoded(picture(9)), encoded(picture(9, (8, 8))), b"no image", b""])
def test_file_that_is_replaced_between_hashing_and_decoding_is_never_cached(tmp_path, monkeypatch, other, options):
    files = image_files_in(tmp_path, {"1": 1, "2": 2})
    with monkeypatch.context() as patch:
        replaced(patch, {tmp_path / "2": other})
        with pytest.raises(SweeperError) as refusal:
            decode(files, options)
    assert str(refusal.value) == (
        f"a file must not change while it is read, got another content ({tmp_path}/2); run the command again"
    )
    assert decode(files, options).images[:, 0, -1, -1].tolist() == [1, 2]


def test_file_that_is_gone_between_hashing_and_decoding_is_named(tmp_path):
    files = image_files_in(tmp_path, {"1": 1, "2": 2})
    inspected = inspect(files)
    (tmp_path / "2").unlink()
    with pytest.raises(
        SweeperError, match=r"must not change while it is read, got No such file or directory \(.*/2\);"
    ):
        read(inspected, content_sha256(inspected), ("a",), common_format(inspected, SKIP), SKIP, READING)


@pytest.mark.parametrize("options", [DataOptions(resize=4), DataOptions(resize=4, skip_bad=True)])
def test_lack_of_memory_is_no_fault_of_a_file(tmp_path, monkeypatch, options):
    def greedy(*given, **named):
        raise MemoryError

    monkeypatch.setattr(image_decoding, "fitted", greedy)
    with pytest.raises(MemoryError):
        decode(image_files_in(tmp_path, {"1": 1, "2": 2}), options)


def test_large_images_are_decoded_by_fewer_threads(tmp_path, monkeypatch):
    at_once = []
    monkeypatch.setattr(image_decoding, "MANY_PIXELS", 0)
    monkeypatch.setattr(image_decoding, "HELD_BYTES", 2 * 8 * 100)
    monkeypatch.setattr(image_decoding, "each", lambda work, items, n: at_once.append(n) or list(map(work, items)))
    for side in (5, 10, 40):
        decode(image_files_in(tmp_path / str(side), {"1": picture(1, (side, side)), "2": picture(2, (side, side))}))
    assert at_once == [8, 2, 0]


def test_images_that_do_not_fit_into_memory_are_refused_before_any_is_decoded(tmp_path, monkeypatch):
    files = image_files_in(tmp_path, {"1": picture(1, (40, 40)), "2": picture(2, (40, 40))})
    monkeypatch.setattr(image_decoding, "fitted", lambda *given, **named: pytest.fail("decoded"))
    for available, message in (
        (3_000, "got 0.0 MB, 2 images of 1x40x40"),
        (12_000, rf"while one image is decoded \({tmp_path}/1\)"),
    ):
        monkeypatch.setattr(bounds, "available_memory", lambda memory=available: memory)
        with pytest.raises(SweeperError, match=message):
            decode(files)


def test_folder_of_tiny_files_with_huge_images_is_refused_unless_they_are_resized(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "ANY_RATIO_BYTES", 500_000)
    black = Image.new("L", (600, 600))
    files = image_files_in(tmp_path, {"1": black, "2": black})
    with pytest.raises(SweeperError, match=r"must take 200 times the bytes .* got 0.7 MB from .* with --max-bytes 1MB"):
        decode(files)
    assert decode(files, DataOptions(resize=600)).images.shape == (2, 1, 600, 600)
