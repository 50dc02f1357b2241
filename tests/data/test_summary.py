import numpy as np
import pytest

from sweeper.data.pool import load_training_pool
from sweeper.data.summary import channel_statistics, summarise


def test_channel_statistics_are_those_of_the_pixels_in_unit_scale():
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 4), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)))
    assert std == pytest.approx((images / 255).std(axis=(0, 2, 3)))


def test_class_counts_include_a_class_without_images(dataset, tmp_path):
    pool = load_training_pool("tiny", data_dir=tmp_path / "data")
    pool.labels[pool.labels == 9] = 3
    summary = summarise(pool)["training"]
    assert summary["class_counts"]["class 3"] == 12
    assert summary["class_counts"]["class 9"] == 0
    assert sum(summary["class_counts"].values()) == summary["images"] == 60
