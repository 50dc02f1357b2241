import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sweeper.data.own import image_files
from sweeper.data.own.image_files import ImageFile, common_format, content_sha256, inspect, remarks
from sweeper.images.options import DataOptions
from tests.data.pictures import encoded, image_files_in, picture, tiff


def test_format_is_found_by_reading_only_headers(tmp_path, monkeypatch):
    files = image_files_in(tmp_path, {"1": 1, "2": 2})
    monkeypatch.delattr(image_files.hashlib, "sha256")
    assert common_format(inspect(files, hashed=False), DataOptions()).input_shape == (1, 4, 4)


def test_files_of_several_images_and_cmyk_are_told_with_their_number(tmp_path):
    frames = [picture(1), picture(2)]
    contents = {
        "1": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "2": encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "3": encoded(frames[0].convert("RGB"), "MPO", save_all=True, append_images=[frames[1].convert("RGB")]),
        "4": encoded(Image.new("CMYK", (4, 4)), "TIFF"),
        "5": encoded(frames[0]),
    }
    assert list(remarks(inspect(image_files_in(tmp_path, contents)), "training")) == [
        "3 of 5 training files hold several images (frames or pages): the first of each is used",
        "1 of 5 training files are CMYK: they become RGB without their colour profiles",
    ]
    assert list(remarks(inspect(image_files_in(tmp_path, {"5": contents["5"], "6": b"junk"})), "training")) == []


@pytest.mark.parametrize(
    ("channels", "photometric", "extra", "told"),
    [
        *((4, 2, (), 1), (4, 2, (0,), 1), (4, 2, (1,), 0), (4, 2, (2,), 0), (3, 2, (), 0)),
        *((2, 1, (0,), 1), (2, 1, (2,), 0), (1, 1, (), 0), (4, 5, (), 0), (5, 5, (0,), 1)),
    ],
)
def test_band_beside_the_colours_that_is_no_opacity_is_told(tmp_path, channels, photometric, extra, told):
    content = tiff(np.zeros((4, 4, channels), np.uint8), photometric=photometric, extra=extra)
    notes = list(remarks(inspect(image_files_in(tmp_path, {"1.tif": content})), "training"))
    expected = "1 of 1 training files have a band that is neither colour nor marked as opacity, left out"
    assert (expected in notes) == told


@pytest.mark.parametrize("no_jp2", [True, False])
@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_deep_colours_of_jpeg_2000_are_told(tmp_path, mode, bits, no_jp2):
    content = bytearray(encoded(Image.new(mode, (4, 4)), "JPEG2000", no_jp2=no_jp2))
    # Pillow writes 8 bits a channel: 7 in the first byte of each channel's three.
    first = content.index(b"\xff\x4f\xff\x51") + 42
    for place in range(first, first + 3 * len(mode), 3):
        assert content[place] == 7
        content[place] = bits - 1
    notes = list(remarks(inspect(image_files_in(tmp_path, {"1.jp2": bytes(content)})), "training"))
    told = ["1 of 1 training files hold more than 8 bits a channel, of which the highest 8 are used"]
    assert notes == (told if bits > 8 else [])


def test_gif_file_whose_second_frame_is_damaged_is_one_image(tmp_path):
    whole = encoded(picture(1), "GIF", save_all=True, append_images=[picture(2)])
    [found] = inspect(image_files_in(tmp_path, {"1": whole[:-20]}))
    assert isinstance(found.header, image_files.Header)


def test_header_of_a_png_file_is_found_without_decoding_it(tmp_path, monkeypatch):
    files = image_files_in(tmp_path, {"1": picture((1, 2, 3, 4), mode="RGBA")})
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", None)
    [found] = inspect(files)
    assert (found.header.form.has_alpha, found.header.form.orientation) == (True, 1)


def test_content_hash_is_of_names_and_bytes_in_order(tmp_path):
    def digest(contents):
        return content_sha256(inspect(image_files_in(tmp_path, contents)))

    same = digest({"1": b"x", "2": b"y"})
    assert digest({"1": b"x", "2": b"y"}) == same
    assert len({same, digest({"1": b"x", "2": b"z"}), digest({"1": b"x", "3": b"y"}), digest({"1": b"xy"})}) == 4


@pytest.mark.parametrize("hashed", [True, False])
def test_file_of_absurd_size_is_bad_before_it_is_read(tmp_path, hashed):
    files = image_files_in(tmp_path, {"1": 1, "sparse": b""})
    with open(tmp_path / "sparse", "r+b") as file:
        file.truncate(300_000_000_000)
    good, bad = inspect(files, hashed=hashed)
    reason = "300,000,000,000 bytes, more than 300,000,000"
    assert (bad.sha256, bad.header) == (reason, f"{reason}; --max-pixels lifts this bound")
    assert isinstance(good.header, image_files.Format)


def test_bound_of_fewer_pixels_neither_refuses_a_file_for_its_bytes_nor_changes_its_hash(tmp_path):
    files = image_files_in(tmp_path, {"1": picture(1, (40, 40)), "sparse": b""})
    with open(tmp_path / "sparse", "r+b") as file:
        file.truncate(300_000_000_000)
    usual, fewer = inspect(files), inspect(files, max_pixels=1600)
    assert [found.sha256 for found in fewer] == [found.sha256 for found in usual]
    assert isinstance(inspect(files[:1], max_pixels=1)[0].header, str)
    assert inspect(files[:1], max_pixels=1)[0].sha256 == usual[0].sha256
    assert isinstance(fewer[0].header, image_files.Format)


def test_hash_of_a_broken_link_is_that_of_older_versions(tmp_path):
    (tmp_path / "gone").symlink_to("nowhere")
    (found,) = inspect([ImageFile(tmp_path / "gone", "gone", "a")])
    assert (found.sha256, found.header) == ("No such file or directory", "a link to nowhere, which does not exist")


def test_header_is_that_of_the_hashed_bytes(tmp_path, monkeypatch):
    files = image_files_in(tmp_path, {"1": picture(1, (3, 5))})
    before, real = inspect(files), image_files.content_of

    def overwritten_when_read(file, *options):
        content = real(file, *options)
        file.path.write_bytes(b"no image")
        return content

    monkeypatch.setattr(image_files, "content_of", overwritten_when_read)
    assert inspect(files) == before


def test_large_files_are_hashed_by_fewer_threads(tmp_path, monkeypatch):
    at_once = []
    monkeypatch.setattr(image_files, "MANY_BYTES", 100)
    monkeypatch.setattr(image_files, "HELD_BYTES", 2000)
    monkeypatch.setattr(image_files, "each", lambda work, items, n: at_once.append(n) or list(map(work, items)))
    for n_bytes in (50, 500, 3000):
        inspect(image_files_in(tmp_path / str(n_bytes), {"1": bytes(n_bytes)}))
    assert at_once == [1, 4, 0]
