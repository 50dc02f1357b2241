"""Any bytes in a data file give an array or one line that names the file, and nothing absurd is allocated."""

import gzip
import hashlib
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.data.formats.gzipped import decompress
from sweeper.data.formats.idx import read_idx
from sweeper.data.known import locate, verified_files
from sweeper.data.known.catalog import FASHION_MNIST, DataFile
from sweeper.data.known.reader import decode
from sweeper.errors import SweeperError
from tests.data.damage import assert_one_line, damaged
from tests.fake_data import idx_bytes
from tests.hostile import examples, refused, within

VALID = idx_bytes(np.arange(60).reshape(5, 4, 3))
# The most memory that refusing a few kilobytes may take.
MOST_BYTES = 1_000_000


headers = st.builds(
    lambda magic, sizes, rest: magic + b"".join(size.to_bytes(4, "big") for size in sizes) + rest,
    st.sampled_from([bytes((0, 0, 8, n)) for n in (0, 1, 2, 3, 4, 255)] + [bytes((0, 0, 13, 3)), b"\x93NUMPY"]),
    st.lists(st.sampled_from([0, 1, 28, 60_000, 2**16, 2**31, 2**32 - 1]), max_size=5),
    st.binary(max_size=40),
)
contents = (
    st.binary(max_size=200) | headers | damaged(VALID) | damaged(gzip.compress(VALID)) | headers.map(gzip.compress)
)


@examples(1000)
@given(contents, st.sampled_from([1, 3]))
@example(VALID, 3)
@example(gzip.compress(VALID), 3)
@example(bytes((0, 0, 8, 3)) + bytes((0, 0, 0xE8, 0xD4)) * 3, 3)
def test_any_bytes_give_an_array_of_their_size_or_one_line(data, ndim):
    tracemalloc.start()
    try:
        with within():
            content = decompress(data, "some/file", 10_000)
            array = read_idx(content, "some/file", ndim)
        assert array.tobytes() == content[4 + 4 * ndim :]
        assert array.ndim == ndim
    except SweeperError as error:
        assert_one_line(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST_BYTES


@given(contents)
@example(VALID)
@example(gzip.compress(VALID))
@example(gzip.compress(bytes(10_000_000)))
@example(gzip.compress(gzip.compress(VALID)))
def test_only_the_exact_content_passes_the_hash(data):
    file = DataFile("some-file", len(VALID), hashlib.sha256(VALID).hexdigest())
    tracemalloc.start()
    try:
        with within():
            assert verified_files.check(data, file, "some/file") == VALID
    except SweeperError as error:
        assert_one_line(error)
        assert data not in (VALID, gzip.compress(VALID))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST_BYTES


@given(contents, contents, st.booleans())
@example(idx_bytes(np.zeros((0, 4, 3))), idx_bytes(np.zeros(0)), True)
@example(idx_bytes(np.zeros((1, 4, 3))), idx_bytes(np.full(1, 10)), True)
def test_files_that_pass_their_hash_are_decoded_or_refused_by_name(images, labels, both):
    """The hashes are not checked here: a mistake in the catalog would let such files through."""
    labels = labels if both else idx_bytes(np.zeros(5))
    paths = (Path("some/images"), Path("some/labels"))
    tiny = replace(FASHION_MNIST, input_shape=(1, 4, 3))
    try:
        with within():
            pixels, classes = decode(tiny, locate.LocatedFiles((images, labels), paths))
        assert len(pixels) == len(classes) > 0
    except SweeperError as error:
        assert_one_line(error, "images|labels")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("change", ["flip", "cut", "bomb", "absurd header"])
def test_data_info_names_the_damaged_file(dataset, tmp_path, change, compress):
    path = tmp_path / "data" / dataset.training[0].name
    content = path.read_bytes()
    match change:
        case "flip":
            content, rule = content[:-1] + bytes((content[-1] ^ 1,)), f"SHA-256 must be {dataset.training[0].digest}"
        case "cut":
            content, rule = content[:1000], "truncated to 1,000"
        case "bomb":
            content, rule = bytes(20_000_000), "more"
        case "absurd header":
            content, rule = bytes((0, 0, 8, 3)) + b"\xff" * 12, "truncated to 16"
    path.unlink()
    path.with_name(path.name + ".gz" * compress).write_bytes(gzip.compress(content) if compress else content)
    line = refused("data", "info", "tiny", "--data-dir", tmp_path / "data", codes=(1,))
    assert rule in line
    assert path.name in line


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_data_info_names_a_path_that_is_not_a_file(dataset, tmp_path, make):
    path = tmp_path / "data" / dataset.training[0].name
    path.unlink()
    make(path)
    assert f"({path})" in refused("data", "info", "tiny", "--data-dir", tmp_path / "data", codes=(1,))
