import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sweeper.images.png_chunks import check_chunks, late_exif
from tests.data.pictures import encoded

CONTENT = encoded(Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)))
EMPTY = struct.pack(">I", 0) + b"prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
FIRST = CONTENT.index(b"IDAT") - 4


@pytest.mark.parametrize("place", [FIRST, len(CONTENT) - 12])
def test_very_many_empty_chunks_are_refused_wherever_they_are(place):
    with pytest.raises(ValueError, match="more than 100,000 small chunks in a PNG file: save it again"):
        check_chunks(io.BytesIO(CONTENT[:place] + EMPTY * 200_000 + CONTENT[place:]))


@pytest.mark.parametrize(
    "content", [CONTENT, CONTENT[:FIRST] + EMPTY * 1000 + CONTENT[FIRST:], CONTENT[:20], b"", b"x"]
)
def test_other_files_are_left_at_their_beginning(content):
    stream = io.BytesIO(content)
    stream.seek(min(5, len(content)))
    check_chunks(stream)
    assert stream.tell() == 0


def test_exif_block_is_found_behind_the_pixels():
    content = CONTENT[:-12] + struct.pack(">I", 3) + b"eXIfabc" + bytes(4) + CONTENT[-12:]
    assert late_exif(io.BytesIO(content)) == b"abc"
    assert late_exif(io.BytesIO(CONTENT)) is None
