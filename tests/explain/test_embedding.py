import numpy as np
import pytest

from sweeper.explain import embedding


def test_the_draw_is_stratified_and_repeats_itself():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    chosen = embedding.drawn(labels, 20, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [12, 6, 2]
    assert np.array_equal(chosen, embedding.drawn(labels, 20, seed=0))
    assert not np.array_equal(chosen, embedding.drawn(labels, 20, seed=1))


def test_few_images_are_all_drawn():
    assert embedding.drawn(np.array([1, 0]), 5, seed=0).tolist() == [0, 1]


def test_groups_stay_groups_and_the_seed_decides():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(place, 0.1, (20, 60)) for place in (0, 5)]).astype(np.float32)
    found = embedding.tsne(points, seed=0)
    assert found.shape == (40, 2)
    means = found[:20].mean(axis=0), found[20:].mean(axis=0)
    assert np.linalg.norm(means[0] - means[1]) > 3 * max(found[:20].std(), found[20:].std()) / 3
    assert np.array_equal(found, embedding.tsne(points, seed=0))


@pytest.mark.parametrize("n", [5, 6, 30])
def test_the_perplexity_fits_few_images(n):
    points = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    assert np.isfinite(embedding.tsne(points, seed=0)).all()


def test_one_varying_value_is_enough():
    points = np.zeros((10, 4), dtype=np.float32)
    points[:, 2] = np.arange(10)
    assert np.isfinite(embedding.tsne(points, seed=0)).all()


@pytest.mark.parametrize(("points", "message"), [
    (np.zeros((4, 3)), "at least 5 images, got 4"), (np.ones((9, 3)), "same values for all images"),
    (np.full((9, 3), np.nan), "not finite"),
])  # fmt: skip
def test_what_cannot_be_embedded_is_refused(points, message):
    with pytest.raises(ValueError, match=message):
        embedding.tsne(points.astype(np.float32), seed=0)
