from dataclasses import replace

import numpy as np
import pytest

from sweeper.data.source import DataSource
from sweeper.data.training_set import load_training_set
from sweeper.inspection import summary as summaries
from sweeper.inspection.summary import channel_statistics, pixel_statistics, sample_indices, summarise


@pytest.fixture(params=[1, 300, 10**6])
def chunk_bytes(request, monkeypatch):
    """Chunks of one image, chunks of several images with a smaller last chunk, and one chunk of all images."""
    monkeypatch.setattr(summaries, "CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("chunk_bytes")
def test_channel_statistics_are_those_of_the_pixels_in_unit_scale():
    images = np.random.default_rng(0).integers(0, 256, (17, 3, 5, 4), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)))
    assert std == pytest.approx((images / 255).std(axis=(0, 2, 3)))


@pytest.mark.usefixtures("chunk_bytes")
def test_pixel_statistics_are_those_of_each_pixel_in_unit_scale(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (17, 3, 5, 4), dtype=np.uint8)
    images[:, 0, 0] = 255
    np.save(tmp_path / "images.npy", images)
    mean, std = pixel_statistics(np.load(tmp_path / "images.npy", mmap_mode="r"))
    np.testing.assert_allclose(mean, (images / 255).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(std, (images / 255).std(axis=0), rtol=1e-13, atol=1e-15)
    # A pixel that never changes has a deviation of exactly 0, however the images are divided into chunks.
    assert (std[0, 0] == 0).all()


def test_samples_are_of_their_class_without_repetition_and_the_same_for_a_seed():
    labels = np.array([2, 0, 0, 2, 0, 0, 0])
    drawn = sample_indices(labels, 4, 3, seed=0)
    assert [len(indices) for indices in drawn] == [3, 0, 2, 0]
    assert [len(set(indices.tolist())) for indices in drawn] == [3, 0, 2, 0]
    assert (labels[drawn[0]] == 0).all()
    assert drawn[2].tolist() == [0, 3]
    many = np.zeros(1000, dtype=np.int64)
    by_seed = {tuple(sample_indices(many, 1, 9, seed)[0].tolist()) for seed in (0, 1, 0, 1)}
    assert len(by_seed) == 2


def test_class_counts_include_a_class_without_images(dataset, tmp_path):
    training_set = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    training_set.labels[training_set.labels == 9] = 3
    summary = summarise(training_set)["training"]
    assert summary["class_counts"]["class 3"] == 12
    assert summary["class_counts"]["class 9"] == 0
    assert sum(summary["class_counts"].values()) == summary["images"] == 60


def test_images_kept_for_validation_are_counted_separately_and_within_training(dataset, tmp_path):
    training_set = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    assert summarise(training_set)["own_validation"] is None
    summary = summarise(replace(training_set, own_validation=np.array([57, 58, 59])))
    assert summary["training"]["images"] == 60
    assert summary["own_validation"]["images"] == 3
    kept = {name for name, count in summary["own_validation"]["class_counts"].items() if count}
    assert kept == {"class 7", "class 8", "class 9"}


def test_pixels_that_never_change_are_counted(dataset, tmp_path):
    training_set = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    images = training_set.images.copy()
    images[:, 0, 0, :5] = 7
    found = summarise(replace(training_set, images=images))["pixel_std"]
    assert (found["constant"], found["pixels"], found["smallest"]) == (5, 784, 0.0)
    assert 0 < found["largest"] < 0.5
