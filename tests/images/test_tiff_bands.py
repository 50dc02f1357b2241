import io

import numpy as np
import pytest
from PIL import Image

from sweeper.images import tiff_bands
from tests.data.pictures import tiff


@pytest.mark.parametrize(
    ("channels", "photometric", "extra", "expected"),
    [
        *((1, 1, (), (1, 0, 0)), (2, 1, (2,), (2, 1, 1)), (4, 2, (), (4, 1, 0))),
        *((4, 5, (), (4, 0, 0)), (5, 5, (0,), (5, 1, 0))),
    ],
)
def test_bands_are_counted_by_what_they_are(channels, photometric, extra, expected):
    content = tiff(np.zeros((2, 2, channels), np.uint8), photometric=photometric, extra=extra)
    with Image.open(io.BytesIO(content)) as image:
        tags = image.tag_v2
    assert (tiff_bands.n_bands(tags), tiff_bands.n_extra(tags), tiff_bands.n_opacity(tags)) == expected


@pytest.mark.parametrize(("channels", "planes", "expected"), [(3, 1, False), (3, 2, True), (1, 2, False)])
def test_one_band_is_in_no_planes(channels, planes, expected):
    content = tiff(np.zeros((2, 2, channels), np.uint16), photometric=2 if channels > 1 else 1, planes=planes)
    with Image.open(io.BytesIO(content)) as image:
        assert (tiff_bands.is_in_planes(image.tag_v2), tiff_bands.bits(image.tag_v2)) == (expected, 16)
