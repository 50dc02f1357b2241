"""Any folder, .npz file or image of a user gives a data set, or one line that says what is wrong and where."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.cli import main
from sweeper.data.source import DataSource
from sweeper.data.test_set import load_test_set
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from tests.data.damage import damaged
from tests.data.pictures import deep_png, encoded, npy_claiming, picture, write_npz
from tests.hostile import error_line, examples, listing, within

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
TURNED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
VALID = [encoded(picture(90 + place, mode=mode), kind) for place, kind in enumerate(FORMATS) for mode in ("L", "RGB")]
VALID += [encoded(picture(7, mode=mode)) for mode in ("1", "P", "LA", "RGBA", "I;16")]
VALID += [encoded(picture(7, mode=mode), "TIFF") for mode in ("I;16", "I", "F", "RGBA", "LAB")]
VALID += [deep_png(np.full((4, 4, channels), 300)) for channels in (2, 3, 4)]
VALID += [encoded(picture(7), "JPEG", exif=TURNED), encoded(picture(7), "WEBP", exif=TURNED)]
VALID += [encoded(picture(8, size)) for size in ((1, 1), (9, 3))]
# Headers that claim more pixels than any photograph has, or none at all.
ABSURD = [
    VALID[0][:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + VALID[0][24:]
    for width, height in ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (0, 4), (2**32 - 1, 1))
]
ABSURD += [b"P5 999999 999999 255\n", b"P5 0 0 255\n", VALID[4][:6] + bytes(4) + VALID[4][10:]]
LINKS = {"dangling link": "nowhere", "link to itself": "link", "link to the root": "/"}

contents = (
    st.sampled_from(VALID) | st.sampled_from(VALID).flatmap(damaged) | st.sampled_from(ABSURD) | st.binary(max_size=60)
)
odd_names = st.text(min_size=1, max_size=8).filter(lambda text: not set(text) & {"/", "\0"}) | st.just("\udcff")
parts = st.sampled_from(["train", "train", "val", "test", "test", ".", "valid"])
# Odd class names are rare, because they are refused at once and other faults would not be reached.
classes = st.integers(0, 30).flatmap(
    lambda n: odd_names if n == 30 else st.sampled_from(["a", "b", "a", "b", "c", ".b"])
)
names = st.sampled_from(["1.png", "2.jpg", "deep/3.gif", "x.png/y.png", ".DS_Store", "link"]) | odd_names
things = contents | st.sampled_from(["pipe", "folder", *LINKS])
trees = st.dictionaries(st.tuples(parts, classes, names), things, max_size=8)
# Without these files, hardly any tree would get past the check of its layout.
started = st.fixed_dictionaries({("train", "a", "0.png"): contents, ("train", "b", "0.png"): contents})
trees = trees | st.builds(lambda first, rest: first | rest, started, trees)

GOOD = {"images": np.arange(48, dtype=np.uint8).reshape(4, 3, 4), "labels": np.array([0, 1, 1, 0])}
KEYS = [f"{part}_{kind}" for part in ("train", "val", "test") for kind in GOOD]
dtypes = st.sampled_from(
    ["|u1", "<i8", ">u2", "<u8", "<f4", "|b1", "<U2", "<U0", "|S0", "|O", "<m8", "(2,2)u1", [["a", "|u1"]], "junk"]
)
sizes = st.integers(-3, 5) | st.sampled_from([10**12, 2**63, -(10**6), True, "4", 2.0])
shapes = st.lists(sizes, max_size=5).map(tuple) | st.sampled_from([None, 4, "()", {}])
claims = st.builds(npy_claiming, shapes, dtypes, st.binary(max_size=64), st.sampled_from([False, True, 3, None]))
numbers = st.lists(st.integers(-1, 3) | st.sampled_from([2**62, 9**9]), min_size=1, max_size=6)
labels = st.builds(lambda values, shape: np.array(values).reshape(shape), numbers, st.sampled_from([(-1,), (-1, 1)]))
images = st.builds(
    lambda count, side, rest: np.full((count, side, side, *rest), side, dtype=np.uint8),
    *(st.integers(0, 6), st.integers(0, 4), st.sampled_from([(), (1,), (3,), (4,), (0,)])),
)
texts = st.lists(st.text(max_size=4), max_size=4).map(lambda values: np.array(values, dtype="U4"))
changes = st.dictionaries(
    st.sampled_from([*KEYS, "classes", "../x"]), images | labels | texts | claims | st.binary(max_size=40), max_size=3
)
archives = st.builds(
    lambda parts, changed: {f"{part}_{kind}": GOOD[kind] for part in ["train", *parts] for kind in GOOD} | changed,
    st.lists(st.sampled_from(["val", "test"]), max_size=3),
    changes,
)

options = st.builds(
    DataOptions,
    classes=st.sampled_from([()] * 8 + [("b", "a"), ("a",), ("a", "a"), ("1", "0"), ("nothing", "a")]),
    resize=st.sampled_from([None, None, 1, 5]),
    grayscale=st.booleans(),
    skip_bad=st.sampled_from([True, True, False]),
)


@contextmanager
def scratch():
    """A folder with a cache of its own, so that no example finds images that another one decoded."""
    before = os.environ["SWEEPER_CACHE_DIR"]
    with tempfile.TemporaryDirectory() as place:
        os.environ["SWEEPER_CACHE_DIR"] = str(Path(place, "cache"))
        try:
            yield Path(place)
        finally:
            os.environ["SWEEPER_CACHE_DIR"] = before


def build(root, tree):
    """Makes as much of the tree as the file system allows."""
    root.mkdir()
    for (part, label, name), thing in tree.items():
        path = root / part / label / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            match thing:
                case bytes():
                    path.write_bytes(thing)
                case "pipe":
                    os.mkfifo(path)
                case "folder":
                    path.mkdir()
                case "link to the root":
                    path.symlink_to(root)
                case _:
                    path.symlink_to(LINKS[thing])
        except (OSError, ValueError):
            continue  # a file is where a folder should be, or the name is not allowed


def assert_plain(error):
    assert str(error).isprintable()
    assert len(str(error)) < 3000


def loaded(load, path, chosen, **arguments):
    """The loaded images with their labels, or None after an error of one line."""
    notes = []
    try:
        with within():
            found = load(DataSource(str(path), chosen), notify=notes.append, **arguments)
    except SweeperError as error:
        assert_plain(error)
        return None
    assert found.images.dtype == np.uint8
    assert len(found.images) == len(found.labels) > 0
    assert 0 <= found.labels.min() <= found.labels.max() < len(found.classes)
    assert len(found.classes) > 1
    assert all(note.isprintable() for note in notes)
    return found


def check(place, path, chosen):
    """Loads both parts twice: only complete entries stay in the cache, and nothing is written elsewhere."""
    before = listing(place)
    training_set = loaded(load_training_set, path, chosen)
    wanted = PixelFormat((1, 4, 4)) if training_set is None else training_set.pixel_format
    for _ in range(2):
        test = loaded(load_test_set, path, chosen, pixel_format=wanted)
        assert test is None or test.images.shape[1:] == wanted.shape
    again = loaded(load_training_set, path, chosen)
    assert (again is None) == (training_set is None)
    if training_set is not None:
        np.testing.assert_array_equal(again.images, training_set.images)
    after = listing(place)
    assert [name for name in after if not name.startswith("cache")] == before
    assert not [name for name in after if name.startswith("cache/decoded/.")]


@examples(200)
@given(trees, options)
@example(
    {("train", "a", "0"): VALID[0], ("train", "b", "0"): VALID[1], ("train", "a", "link"): "link to the root"},
    DataOptions(skip_bad=True),
)
@example({("train", "a", "0"): VALID[0], ("train", "b", "0"): VALID[0], ("test", "b", "0"): VALID[2]}, DataOptions())
def test_any_folder_is_a_data_set_or_refused_in_one_line(tree, chosen):
    with scratch() as place:
        build(place / "brought", tree)
        check(place, place / "brought", chosen)


@examples(200)
@given(archives, options, st.none() | st.randoms(use_true_random=False))
@example(
    {"train_images": npy_claiming((4, -2, -2), content=bytes(16)), "train_labels": GOOD["labels"]}, DataOptions(), None
)
@example(
    {f"train_{kind}": array for kind, array in GOOD.items()} | {"classes": npy_claiming((10**12,), "<U0")},
    DataOptions(),
    None,
)
def test_any_npz_file_is_a_data_set_or_refused_in_one_line(members, chosen, damage):
    with scratch() as place:
        path = write_npz(place / "brought.npz", members)
        if damage is not None:
            content = bytearray(path.read_bytes())
            for _ in range(damage.randint(1, 4)):
                content[damage.randrange(len(content))] = damage.randrange(256)
            path.write_bytes(content[: damage.choice([None, None, damage.randrange(len(content))])])
        check(place, path, chosen)


@examples(100)
@given(st.sampled_from(VALID).flatmap(damaged) | st.sampled_from(ABSURD), options)
def test_any_image_is_decoded_or_reported_as_bad(content, chosen):
    with scratch() as place:
        tree = {("train", label, "0.png"): VALID[0] for label in "ab"} | {("train", "a", "1.png"): content}
        build(place / "brought", tree)
        check(place, place / "brought", chosen)


@examples(20)
@given(trees)
def test_data_info_shows_a_folder_or_gives_one_error_line(tree):
    with scratch() as place:
        build(place / "brought", tree)
        shown(place / "brought")


@examples(20)
@given(archives)
def test_data_info_shows_an_npz_file_or_gives_one_error_line(members):
    with scratch() as place:
        shown(write_npz(place / "brought.npz", members))


def shown(path):
    with within():
        result = CliRunner().invoke(main, ["data", "info", str(path)])
    assert result.exit_code in (0, 1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        error_line(result)
