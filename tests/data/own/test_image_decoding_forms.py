"""Image files that hold something else than 8-bit grey or colour: what they are decoded to, and what is said of it."""

import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sweeper.data.own import image_files
from sweeper.data.own.image_decoding import read
from sweeper.data.own.image_files import common_format, content_sha256, inspect
from sweeper.errors import SweeperError, UsageError
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.stored_form import stored_form
from sweeper.images.value_range import ValueRange
from tests.data.pictures import deep_png, deep_tiff, encoded, image_files_in, picture, tiff

PLAIN = DataOptions()
# What each orientation asks for, by arrays.
UPRIGHT = {
    1: np.asarray,
    2: np.fliplr,
    3: lambda stored: stored[::-1, ::-1],
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: np.rot90,
}
INK = np.array([[0, 40, 128, 255]] * 4, np.uint8)


def decode(root, contents, options=PLAIN, value_range=None, notify=print):
    inspected = inspect(image_files_in(root, contents), exif=not options.no_exif)
    wanted = common_format(inspected, options)
    if value_range:
        wanted = image_files.Format(wanted.size, wanted.is_grey, value_range)
    return read(inspected, content_sha256(inspected), ("a",), wanted, options, Reading(notify))


def deep(values):
    return encoded(Image.fromarray(values), "TIFF")


def rotated(image, orientation, format="JPEG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, format, exif=exif, **options)


def ink_in_alpha(mode):
    """A black drawing whose shape is in its opacity alone."""
    opacity = Image.fromarray(INK)
    return encoded(Image.merge(mode, [Image.new("L", (4, 4), 0)] * (len(mode) - 1) + [opacity]))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(("background", "expected"), [("white", 255 - INK), ("black", 0 * INK)])
def test_ink_that_lives_in_opacity_is_seen_on_the_background(tmp_path, mode, background, expected):
    found = decode(tmp_path, {"1": ink_in_alpha(mode)}, DataOptions(background=background))
    np.testing.assert_array_equal(found.images[0], [expected] * (1 if mode == "LA" else 3))
    assert found.conversions == (f"transparency on {background}",)


def test_images_without_a_transparent_pixel_are_read_as_they_are_stored(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8))
    with_alpha = image.copy()
    with_alpha.putalpha(255)
    found = decode(tmp_path, {"1": encoded(with_alpha), "2": encoded(image)})
    np.testing.assert_array_equal(found.images, [np.asarray(image).transpose(2, 0, 1)] * 2)
    assert found.conversions == ()


def test_what_is_hidden_under_transparency_does_not_reach_the_network(tmp_path):
    hidden = Image.new("RGBA", (4, 4), (200, 10, 60, 0))
    hidden.putpixel((0, 0), (1, 2, 3, 255))
    found = decode(tmp_path, {"1": encoded(hidden)})
    assert found.images[0, :, 0, 0].tolist() == [1, 2, 3]
    assert (found.images[0].reshape(3, -1)[:, 1:] == 255).all()


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_colours_of_palettes_are_put_on_the_background(tmp_path, format):
    image = Image.fromarray(np.array([[0, 1, 1, 0]] * 4, np.uint8), "P")
    image.putpalette([9, 9, 9, 200, 0, 0])
    found = decode(tmp_path, {"1": encoded(image, format, transparency=0)})
    assert found.images[0, :, 0].T.tolist() == [[255] * 3, [200, 0, 0], [200, 0, 0], [255] * 3]
    assert found.conversions == ("transparency on white",)


@pytest.mark.parametrize(
    ("mode", "value", "transparency", "expected"),
    [("L", 7, 7, [255]), ("RGB", (1, 2, 3), (1, 2, 3), [255] * 3), ("RGB", (1, 2, 3), (1, 2, 4), [1, 2, 3])],
)
def test_png_may_name_one_transparent_value(tmp_path, mode, value, transparency, expected):
    content = encoded(Image.new(mode, (2, 2), value), transparency=transparency)
    assert decode(tmp_path, {"1": content}).images[0, :, 0, 0].tolist() == expected


def test_transparent_value_of_few_bits_is_that_of_the_file(tmp_path):
    # 0 and 1 of 3, of which 1 is transparent; 85 is what Pillow makes of 1.
    content = deep_png(np.array([[0, 1], [1, 0]]), bits=2, transparency=b"\0\1")
    found = decode(tmp_path, {"1": content}, DataOptions(background="black"))
    assert found.images[0, 0].tolist() == [[0, 0], [0, 0]]
    assert decode(tmp_path, {"1": content}).images[0, 0].tolist() == [[0, 255], [255, 0]]


def test_sixteen_bits_are_scaled_by_as_many_bits_as_the_largest_value_has(tmp_path):
    values = np.array([[0, 1000], [2000, 4095]], np.uint16)
    expected = [[0, 62], [125, 255]]
    found = decode(tmp_path, {"1": deep(values), "2": encoded(Image.fromarray(values))})
    assert found.images[:, 0].tolist() == [expected] * 2
    assert found.conversions == ("values 0 to 4,095 to 8 bits",)
    assert found.value_range == ValueRange(0, 4095)
    other = decode(tmp_path, {"1": deep(values * 16 + 15)})
    assert (other.value_range, other.images[0, 0].tolist()) == (ValueRange(0, 65535), expected)


@pytest.mark.parametrize(("channels", "kept"), [(2, 1), (3, 3), (4, 3)], ids=["grey and alpha", "colour", "with alpha"])
def test_sixteen_bits_a_channel_are_scaled_and_not_cut(tmp_path, channels, kept):
    values = np.random.default_rng(0).integers(0, 1024, (3, 5, channels), dtype=np.uint16)
    values[0, 0] = 1023
    if channels != kept:
        values[..., -1] = 65535
    found = decode(tmp_path, {"1": deep_png(values)})
    np.testing.assert_array_equal(found.images[0], np.rint(values[..., :kept] / 1023 * 255).transpose(2, 0, 1))
    assert found.conversions == ("values 0 to 1,023 to 8 bits",)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_tiff_files_of_sixteen_bits_are_scaled_in_any_form(tmp_path, order, compressed, channels):
    values = np.random.default_rng(0).integers(0, 4096, (3, 5, channels), dtype=np.uint16)
    values[0, 0], values[..., 3:] = 4095, 65535
    found = decode(tmp_path, {"1": deep_tiff(values, order, compressed=compressed)})
    np.testing.assert_array_equal(found.images[0], np.rint(values[..., :3] / 4095 * 255).transpose(2, 0, 1))


def test_transparency_of_sixteen_bits_is_put_on_the_background(tmp_path):
    values = np.array([[[65535, 0, 0, 32768], [0, 0, 65535, 65535]]], np.uint16)
    found = decode(tmp_path, {"1": deep_png(values)})
    assert found.images[0, :, 0].T.tolist() == [[255, 127, 127], [0, 0, 255]]
    assert found.conversions == ("values 0 to 65,535 to 8 bits", "transparency on white")
    grey = deep_png(np.array([[300, 65535]]), bits=16, transparency=(300).to_bytes(2, "big"))
    assert decode(tmp_path, {"1": grey}, DataOptions(background="black")).images[0, 0].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("values", "expected", "told"),
    [
        (np.array([[0, 255]], np.int32), [0, 255], "values 0 to 255 to 8 bits"),
        (np.array([[0, 100_000]], np.int32), [0, 195], "values 0 to 131,071 to 8 bits"),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], "values 0 to 1 to 8 bits"),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255], "values 0 to 255 to 8 bits"),
        (np.array([[-1000, 0, 3000]], np.float32), [0, 64, 255], "values -1,000 to 3,000 to 8 bits"),
    ],
)
def test_wide_integers_and_floats_are_scaled_by_a_rule_that_is_told(tmp_path, values, expected, told):
    found = decode(tmp_path, {"1": deep(values)})
    assert found.images[0, 0, 0].tolist() == expected
    assert found.conversions == (told,)


def test_range_is_that_of_all_files_and_8_bit_files_stay_as_they_are(tmp_path):
    dark, light = np.full((4, 4), 10, np.uint16), np.full((4, 4), 900, np.uint16)
    found = decode(tmp_path, {"1": deep(dark), "2": deep(light), "3": 77})
    assert found.value_range == ValueRange(0, 1023)
    assert found.images[:, 0, 1, 1].tolist() == [2, 224, 77]


def test_range_of_the_training_images_holds_for_test_images_and_what_is_outside_is_counted(tmp_path):
    found = decode(tmp_path, {"1": deep(np.array([[0, 1023, 2046, 9000]], np.uint16))}, value_range=ValueRange(0, 2046))
    assert found.images[0, 0].tolist() == [[0, 128, 255, 255]]
    assert found.conversions == ("values 0 to 2,046 to 8 bits, 1 outside clipped",)


def test_given_range_takes_the_place_of_the_rule_and_needs_deep_files(tmp_path):
    options = DataOptions(value_range=ValueRange(-5, 5))
    found = decode(tmp_path, {"1": deep(np.array([[-5, 0, 5]], np.int32))}, options)
    assert found.images[0, 0].tolist() == [[0, 128, 255]]
    with pytest.raises(UsageError, match=r"^--value-range is for files of more than 8 bits a channel, got none \("):
        decode(tmp_path, {"2": 9}, options)


def test_negative_integers_are_refused_with_the_option_to_type(tmp_path):
    with pytest.raises(UsageError, match=r"must not be negative, got -5 to 3; say which .* --value-range -5,3 "):
        decode(tmp_path, {"1": deep(np.array([[-5, 3]], np.int32))})


@pytest.mark.parametrize("options", [PLAIN, DataOptions(value_range=ValueRange(0, 60_000))])
def test_integers_beside_floats_are_refused(tmp_path, options):
    integers, floats = (deep(np.full((4, 4), value)) for value in (np.uint16(60_000), np.float32(0.5)))
    contents = {"1": integers, "2": floats, "3": floats, "4": 7}
    with pytest.raises(UsageError, match="or all floats, got integers in 1, such as 1, and floats in 2, such as 2"):
        decode(tmp_path, contents, options)
    wide = deep(np.full((4, 4), 9, np.int32))
    assert len(decode(tmp_path / "integers", {"1": integers, "2": wide, "3": 7}).images) == 3


def test_file_with_values_that_are_no_numbers_is_bad(tmp_path):
    contents = {"1": deep(np.array([[0, np.nan]], np.float32)), "2": deep(np.array([[0, 1]], np.float32))}
    with pytest.raises(SweeperError, match=r"1 is not .1: values that are infinite or not a number"):
        decode(tmp_path, contents)
    found = decode(tmp_path, contents, DataOptions(skip_bad=True))
    assert (found.images.tolist(), found.value_range) == ([[[[0, 255]]]], ValueRange(0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_photographs_are_turned_upright(tmp_path, format, orientation):
    image = Image.new("L", (16, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # the upper left corner
    lossless = {"lossless": True} if format == "WEBP" else {}
    found = decode(tmp_path, {"1": rotated(image, orientation, format, **lossless)})
    upright = UPRIGHT[orientation](np.asarray(image))
    np.testing.assert_allclose(found.images[0, 0], upright, atol=8 * (format == "JPEG"))
    assert found.conversions == (() if orientation == 1 else ("orientation by EXIF",))
    stored = decode(tmp_path, {"1": rotated(image, orientation, format, **lossless)}, DataOptions(no_exif=True))
    assert stored.images.shape[2:] == (8, 16)
    assert stored.conversions == ()


def test_size_of_a_photograph_on_its_side_is_that_of_the_upright_one(tmp_path):
    found = decode(tmp_path, {"1": rotated(picture(1, (6, 4)), 6), "2": rotated(picture(2, (4, 6)), 1)})
    assert found.images.shape == (2, 1, 6, 4)


def test_turned_images_may_be_deep_and_transparent(tmp_path):
    values = np.array([[[0, 65535], [4095, 65535], [4095, 0]]], np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode(tmp_path, {"1": deep_png(values, exif=exif.tobytes()[6:])})
    assert found.images[0, 0].tolist() == [[0], [255], [255]]
    assert found.conversions == ("orientation by EXIF", "values 0 to 4,095 to 8 bits", "transparency on white")


@pytest.mark.parametrize(
    "block", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09"]
)
def test_broken_exif_block_does_not_refuse_the_image(tmp_path, block):
    found = decode(tmp_path, {"1": encoded(picture(90, (8, 8)), "JPEG", exif=block)})
    assert found.images.shape == (1, 1, 8, 8)
    assert found.conversions == ()


def test_orientation_of_a_tiff_file_is_applied_once(tmp_path):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = encoded(Image.fromarray(values), "TIFF", tiffinfo={0x0112: 6})
    np.testing.assert_array_equal(decode(tmp_path, {"1": content}).images[0, 0], np.rot90(values, -1))


def test_small_values_are_white_where_a_tiff_file_says_so(tmp_path):
    content = encoded(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF", tiffinfo={262: 0})
    assert decode(tmp_path, {"1": content}).images[0, 0].tolist() == [[255, 0]]


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'


@pytest.mark.parametrize(
    ("format", "dtype"),
    [(format, np.uint8) for format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")]
    + [("PNG", np.uint16), ("TIFF", np.uint16)],
)
def test_orientation_in_xmp_turns_nothing(tmp_path, format, dtype):
    values = np.repeat(np.array([[0, 255]], dtype), 8).reshape(2, 8) * dtype(1 if dtype is np.uint8 else 257)
    other = Image.Exif()
    other[0x010E] = "a block without orientation"
    lossless = {"lossless": True} if format == "WEBP" else {}
    for number, exif in enumerate((None, other)):
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        xmp = {"PNG": {"pnginfo": text}, "TIFF": {"tiffinfo": {700: XMP}}}.get(format, {"xmp": XMP})
        block = {} if exif is None or format == "TIFF" else {"exif": exif}
        content = encoded(Image.fromarray(values), format, **xmp, **block, **lossless)
        assert b"tiff:Orientation" in content
        found = decode(tmp_path / str(number), {"1": content})
        np.testing.assert_allclose(found.images[0, 0], values // (257 if dtype is np.uint16 else 1), atol=8)
        assert "orientation by EXIF" not in found.conversions


def test_exif_block_that_imagemagick_writes_as_text_turns_a_png_file(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n")
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = decode(tmp_path, {"1": encoded(Image.fromarray(values), pnginfo=text)})
    np.testing.assert_array_equal(found.images[0, 0], np.rot90(values, -1))


def test_exif_block_behind_the_pixels_of_a_png_file_is_found(tmp_path):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    first = rotated(Image.fromarray(values), 6, "PNG")
    start = first.index(b"eXIf") - 4
    size = 12 + int.from_bytes(first[start : start + 4], "big")
    late = first[:start] + first[start + size : -12] + first[start : start + size] + first[-12:]
    for content in (first, late):
        found = decode(tmp_path, {"1": content})
        np.testing.assert_array_equal(found.images[0, 0], np.rot90(values, -1))


def test_exif_block_that_claims_gigabytes_takes_no_more_than_the_file(tmp_path):
    content = encoded(Image.new("L", (3, 2)))
    path = tmp_path / "late.png"
    path.write_bytes(content[:-12] + b"\xff\xff\xff\xf0eXIf" + content[-12:])
    tracemalloc.start()
    try:
        with Image.open(path) as image:
            assert stored_form(image, exif=True).orientation == 1
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_bytes_with_a_sign_are_not_taken_for_others(tmp_path):
    with pytest.raises(UsageError, match=r"must not be negative, got -5 to 100; .* --value-range -5,100 "):
        decode(tmp_path, {"1": encoded(Image.fromarray(np.array([[251, 100]], np.uint8)), "TIFF", tiffinfo={339: 2})})
    content = encoded(Image.fromarray(np.array([[0, 100]], np.uint8)), "TIFF", tiffinfo={339: 2})
    assert decode(tmp_path, {"1": content}).images[0, 0].tolist() == [[0, 100]]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("channels", "tags", "kind"),
    [
        (3, {"planes": 2}, "and a plane for each"),
        (4, {"extra": (1,)}, "with premultiplied opacity"),
        (4, {"photometric": 5}, "in CMYK"),
    ],
)
def test_sixteen_bits_that_pillow_misreads_are_refused(tmp_path, order, compressed, channels, tags, kind):
    values = np.full((3, 5, channels), 4095, np.uint16)
    with pytest.raises(SweeperError, match=f"16 bits a channel {kind}, which Pillow misreads: convert to PNG, for ex"):
        decode(tmp_path, {"1": tiff(values, order, compressed=compressed, **tags)})


def test_planes_are_refused_though_their_bits_are_given_once(tmp_path):
    once = struct.pack("<HHIHH", 258, 3, 1, 16, 0)
    content = tiff(np.full((3, 5, 3), 4095, np.uint16), planes=2)
    place = content.index(struct.pack("<HHI", 258, 3, 3))
    with pytest.raises(SweeperError, match="16 bits a channel and a plane for each"):
        decode(tmp_path, {"1": content[:place] + once + content[place + 12 :]})


@pytest.mark.parametrize("rle", [0, 1])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_in_the_format_of_sgi_are_refused(tmp_path, rle, channels):
    head = struct.pack(">HBBHHHH", 474, rle, 2, 3 if channels > 1 else 2, 4, 4, channels)
    with pytest.raises(SweeperError, match="16 bits a channel in SGI's format, which Pillow misreads"):
        decode(tmp_path, {"1.sgi": head.ljust(512, b"\0") + bytes(8 * 4 * channels)})


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("dtype", "extra"), [(np.uint8, ()), (np.uint8, (0,)), (np.uint8, (999,)), (np.uint16, ()), (np.uint16, (0,))]
)
def test_fourth_band_of_a_tiff_file_is_opacity_only_if_the_file_says_so(tmp_path, extra, dtype, compressed):
    values = np.random.default_rng(0).integers(0, 256, (3, 5, 4)).astype(dtype)
    values[..., 3] = 0
    found = decode(tmp_path, {"1": tiff(values, extra=extra, compressed=compressed)})
    np.testing.assert_array_equal(found.images[0], values[..., :3].transpose(2, 0, 1))
    assert found.conversions == (() if dtype is np.uint8 else ("values 0 to 255 to 8 bits",))


def test_fifth_band_of_a_cmyk_file_is_left_out(tmp_path):
    values = np.array([[[0, 255, 255, 0, 7], [0, 0, 0, 255, 7]]], np.uint8)
    found = decode(tmp_path, {"1": tiff(values, photometric=5, extra=(0,))})
    assert found.images[0, :, 0].T.tolist() == [[255, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("contents", "n_entries", "told"),
    [
        ({"1": picture(9), "2": picture(8)}, 1, [(), (), (), (), ()]),
        (
            {"1": picture(9), "2": picture(8, (6, 4))},
            3,
            [
                ("padded with white to squares",),
                ("padded with black to squares",),
                *[("padded with white to squares",)] * 2,
                (),
            ],
        ),
        (
            {"1": ink_in_alpha("LA"), "2": picture(8)},
            2,
            [("transparency on white",), ("transparency on black",), *[("transparency on white",)] * 3],
        ),
        (
            {"1": rotated(picture(9), 3), "2": picture(8)},
            2,
            [("orientation by EXIF",), ("orientation by EXIF",), (), *[("orientation by EXIF",)] * 2],
        ),
    ],
    ids=["plain", "not square", "transparent", "turned"],
)
def test_options_that_change_no_pixel_make_no_other_images(tmp_path, monkeypatch, contents, n_entries, told):
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "cache"))
    every = [{}, {"background": "black"}, {"no_exif": True}, {"max_pixels": 64_000_000}, {"fit": "crop"}]
    found = [decode(tmp_path / "data", contents, DataOptions(resize=8, **options)) for options in every]
    assert [each.conversions for each in found] == told
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == n_entries


def test_files_that_a_bound_leaves_out_make_other_images(tmp_path):
    contents = {"1": picture(9), "2": picture(8, (6, 4))}
    for max_pixels, n_images in ((None, 2), (20, 1), (None, 2)):
        options = DataOptions(resize=8, skip_bad=True, max_pixels=max_pixels)
        inspected = inspect(image_files_in(tmp_path, contents), max_pixels=max_pixels)
        wanted = common_format(inspected, options)
        found = read(inspected, content_sha256(inspected), ("a",), wanted, options, Reading(print))
        assert len(found.images) == n_images
