"""Damages the content of files, and checks the one line that must report the damage."""

import re

from hypothesis import strategies as st


@st.composite
def damaged(draw, content):
    """The content with a few bytes changed, cut off, inserted or repeated."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "cut", "put", "double"])):
            case "flip" if at < len(data):
                data[at] ^= draw(st.integers(1, 255))
            case "cut":
                del data[at:]
            case "put":
                data[at:at] = draw(st.binary(max_size=8))
            case "double":
                data += data[at:]
    return bytes(data)


def assert_one_line(error, places="file"):
    message = str(error)
    assert re.search(rf"\(some/({places})\)$", message)
    assert message.isprintable()
