from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import beta, kstest

from sweeper.config import TrainConfig
from sweeper.models.families import build
from sweeper.training import mixing
from sweeper.training.mixing import Mixer
from sweeper.training.optimizers import build_optimizer
from sweeper.training.step import Step
from tests.training.tiny import CLASSES, MODEL, SHAPE, tiny_data

MIXUP = TrainConfig(mixup_alpha=0.4)
CUTMIX = TrainConfig(cutmix_alpha=1.0)
BOTH = replace(MIXUP, cutmix_alpha=1.0, mix_p=0.5)


def drawn(config, n=4000, height=8, width=6, seed=0):
    return Mixer(config, torch.device("cpu")).draw(n, height, width, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_of_mixup_have_the_distribution_beta(alpha):
    share = drawn(TrainConfig(mixup_alpha=alpha)).share
    assert kstest(share.double().numpy(), beta(alpha, alpha).cdf).pvalue > 1e-3


def test_mixup_adds_the_next_image_of_the_batch_by_its_share():
    mixture, images = drawn(MIXUP, 5), torch.rand(5, 3, 8, 6)
    for n in range(5):
        share = mixture.share[n]
        torch.testing.assert_close(mixture.images(images)[n], share * images[n] + (1 - share) * images[n - 1])


def test_cutmix_pastes_a_rectangle_of_the_next_image_and_counts_its_pixels():
    mixture = drawn(CUTMIX, 300)
    numbers = torch.arange(300.0).view(-1, 1, 1, 1)
    mixed = mixture.images(numbers.expand(300, 3, 8, 6))
    own = mixed == numbers
    assert torch.equal(mixed[~own], numbers.roll(1, 0).expand_as(mixed)[~own])
    torch.testing.assert_close(mixture.share, own.float().mean((1, 2, 3)))
    pasted = ~own[:, 0]
    for one in pasted:
        rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
        if len(rows):
            assert one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
            assert one.sum() == (rows.max() + 1 - rows.min()) * (columns.max() + 1 - columns.min())
    # The areas reach from no pixel to most of them, and every pixel is pasted somewhere.
    assert mixture.share.min() < 0.4
    assert mixture.share.max() > 0.95
    assert pasted.any(0).all()


def test_area_of_a_rectangle_inside_the_image_is_the_other_images_share():
    mask, share = mixing._rectangles(torch.full((9,), 0.75), torch.full((9,), 0.5), torch.full((9,), 0.5), 32, 64)
    assert (mask.sum((1, 2, 3)) == 0.25 * 32 * 64).all()
    assert (share == 0.75).all()


def test_mix_p_is_the_share_of_images_that_are_mixed_and_half_of_these_are_pasted():
    mixture = drawn(BOTH)
    mixed = mixture.share < 1
    pasted = mixed & (mixture.mask.amax((1, 2, 3)) == 1)
    # Four standard deviations; a rectangle or share may be too small to change anything.
    assert abs(mixed.float().mean() - 0.5) < 0.035
    assert abs(pasted.float().mean() - 0.25) < 0.03
    constant = mixture.mask.amin((1, 2, 3)) == mixture.mask.amax((1, 2, 3))
    assert constant[mixed & ~pasted].all()


def test_same_generator_draws_the_same_mixture():
    first, again, other = drawn(BOTH), drawn(BOTH), drawn(BOTH, seed=1)
    assert torch.equal(first.mask, again.mask)
    assert torch.equal(first.share, again.share)
    assert not torch.equal(first.share, other.share)


@pytest.mark.parametrize("config", [TrainConfig(), replace(BOTH, mix_p=0.0)])
def test_training_without_alpha_or_probability_mixes_nothing(config):
    assert not mixing.is_on(config)


@pytest.mark.parametrize("weighted", [False, True])
def test_step_on_mixed_images_minimises_the_loss_of_both_labels_by_their_shares(weighted):
    config = replace(
        CUTMIX, optimizer="sgd", lr=1.0, label_smoothing=0.1, class_weights="balanced" if weighted else "none"
    )
    model_config, data = replace(MODEL, dropout=0.0, batch_norm=False), tiny_data()
    torch.manual_seed(0)
    model = build(model_config, SHAPE, CLASSES)
    torch.manual_seed(0)
    stepped = build(model_config, SHAPE, CLASSES)
    batch = torch.arange(20)
    step = Step(stepped, data, config, build_optimizer(stepped, config), torch.Generator().manual_seed(3))
    step.begin_epoch()
    step(batch)

    labels = data.train.labels[batch]
    mixture = Mixer(config, data.device).draw(20, *SHAPE[1:], torch.Generator().manual_seed(3))
    output = model(mixture.images(data.scale(data.train.images[batch])))
    one_hot = F.one_hot(labels, CLASSES).float()
    share = mixture.share[:, None]
    both = share * one_hot + (1 - share) * one_hot.roll(1, 0)
    weights = torch.ones(CLASSES)
    if weighted:
        weights = len(data.train) / (CLASSES * torch.bincount(data.train.labels, minlength=CLASSES))
    smooth = 0.9 * both * weights + 0.1 / CLASSES * weights
    loss = -(smooth * output.log_softmax(1)).sum() / (both * weights).sum()
    loss.backward()
    for (name, after), before in zip(stepped.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(after, before - before.grad, rtol=1e-4, atol=1e-5, msg=name)

    plain = -(both * output.log_softmax(1)).sum() / 20
    correct = (both * F.one_hot(output.argmax(1), CLASSES)).sum() / 20
    running = step.running(1)  # of an epoch of 130 images, of which 20 were seen
    assert running.loss == pytest.approx(plain.item() * 20 / 130, rel=1e-5)
    assert running.accuracy == pytest.approx(correct.item() * 20 / 130, rel=1e-5)
