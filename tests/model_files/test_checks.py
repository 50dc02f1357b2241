import numpy as np
import pytest

from sweeper.errors import SweeperError
from sweeper.model_files.checks import check

IMAGES = np.zeros((7, 1, 2, 2), np.uint8)
LOGITS = np.tile(np.array([[1.0, 3.0, 2.0]], np.float32), (7, 1))


def predict(images):
    return LOGITS[: len(images)]


def test_file_is_asked_one_image_a_few_and_all():
    seen = []

    def predict(images):
        seen.append(len(images))
        return LOGITS[: len(images)] + np.float32(1e-4)

    found = check(predict, LOGITS, IMAGES)
    assert seen == [1, 3, 7]
    assert (found.n_images, found.batches) == (7, (1, 3, 7))
    assert found.max_difference == pytest.approx(1e-4, rel=0.01)


def test_few_images_are_asked_in_batches_that_there_are():
    assert check(predict, LOGITS[:2], IMAGES[:2]).batches == (1, 2)


def test_another_decision_is_refused_however_near():
    def predict(images):
        found = near[: len(images)].copy()
        if len(images) == 7:
            found[6] = [1.0, 2.0, 2.0001]
        return found

    near = np.tile(np.array([[1.0, 2.0001, 2.0]], np.float32), (7, 1))
    with pytest.raises(SweeperError, match=r"decides otherwise than the network on 1 of 7 images .* not written"):
        check(predict, near, IMAGES)


@pytest.mark.parametrize("change", [lambda x: x * 2, lambda x: x + 0.01])
def test_other_logits_are_refused_although_the_decisions_are_the_same(change):
    with pytest.raises(SweeperError, match=r"must give the network's logits up to 0\.001 of the largest"):
        check(lambda images: change(predict(images)), LOGITS, IMAGES)


def test_logits_that_are_not_numbers_are_refused():
    with pytest.raises(SweeperError, match="is nan"):
        check(lambda images: np.where(predict(images) == 1, np.nan, predict(images)), LOGITS, IMAGES)
    with pytest.raises(SweeperError, match="got a difference of nan"):
        check(lambda images: np.where(predict(images) == 3, np.nan, predict(images)), LOGITS, IMAGES)


def test_file_of_a_fixed_batch_size_is_refused():
    def refuse(images):
        if len(images) > 1:
            raise RuntimeError("batch must be 1")
        return predict(images)

    with pytest.raises(SweeperError, match="cannot take a batch of 3: batch must be 1"):
        check(refuse, LOGITS, IMAGES)
    with pytest.raises(SweeperError, match=r"must give \(3, 3\) for a batch of 3, got \(1, 3\)"):
        check(lambda images: LOGITS[:1], LOGITS, IMAGES)
