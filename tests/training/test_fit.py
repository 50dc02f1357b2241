from dataclasses import replace

import numpy as np
import pytest
import torch

from sweeper.config import ModelConfig, TrainConfig
from sweeper.models import build
from sweeper.training.checkpoint import CheckpointError
from sweeper.training.fit import Diverged, batch_bounds, evaluate, fit
from tests.training.tiny import CLASSES, MODEL, SHAPE, tiny_data

CONFIG = TrainConfig(lr=1e-2, batch_size=16)


def train(config=CONFIG, *, epochs=3, seed=5, model_config=MODEL, **options):
    """All metrics but the speed, and the network."""
    torch.manual_seed(seed)
    model = build(model_config, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    history = [
        replace(m, images_per_second=0.0) for m in fit(model, tiny_data(), config, epochs=epochs, seed=seed, **options)
    ]
    return history, model


def test_network_learns():
    history, _ = train(epochs=15)
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].validation_accuracy > 0.9  # chance is 0.25
    assert [m.epoch for m in history] == list(range(1, 16))
    assert all(m.gradient_norm > 0 for m in history)


def test_same_seed_gives_bitwise_the_same_numbers_and_another_seed_does_not():
    first, model = train()
    again, same_model = train()
    other, _ = train(seed=6)
    assert first == again
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), same_model.state_dict().values(), strict=True)
    )
    assert first != other


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, optimizer="adamw", schedule="one_cycle", weight_decay=1e-2),
        replace(CONFIG, optimizer="sgd", momentum=0.9, schedule="cosine"),
        replace(CONFIG, optimizer="sgd", schedule="exponential"),
    ],
    ids=lambda config: f"{config.optimizer}-{config.schedule}",
)
def test_training_cut_short_goes_on_bitwise_from_its_checkpoint(tmp_path, config):
    whole, model = train(config, epochs=4)

    path = tmp_path / "checkpoint.safetensors"
    torch.manual_seed(5)
    cut = build(MODEL, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    epochs = fit(cut, tiny_data(), config, epochs=4, seed=5, checkpoint_path=path, identity="x")
    next(epochs), next(epochs)
    epochs.close()

    torch.manual_seed(99)  # another process has drawn other numbers by now
    torch.rand(7)
    resumed, resumed_model = train(config, epochs=4, checkpoint_path=path, identity="x")
    assert resumed == whole
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed_model.state_dict()[name]), name


def test_finished_training_is_replayed_from_its_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    first, _ = train(checkpoint_path=path, identity="x")
    written = path.stat().st_mtime_ns
    assert train(checkpoint_path=path, identity="x")[0] == first
    assert path.stat().st_mtime_ns == written


def test_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train(epochs=1, checkpoint_path=path, identity="x")
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors belongs to another training"):
        train(epochs=1, checkpoint_path=path, identity="y")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_damaged_checkpoint_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    train(epochs=1, checkpoint_path=path, identity="x")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is damaged"):
        train(epochs=1, checkpoint_path=path, identity="x")


def test_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(Diverged, match="loss of epoch 1 is"):
        train(TrainConfig(optimizer="sgd", lr=1e30, batch_size=16))


def test_metrics_are_those_worked_out_by_hand_from_the_final_network():
    history, model = train()
    data = tiny_data()
    model.eval()
    with torch.no_grad():
        logits = model(data.scale(data.validation.images))
    loss, predictions = evaluate(model, data, data.validation)
    expected = torch.nn.functional.cross_entropy(logits, data.validation.labels).item()
    assert loss == pytest.approx(expected, abs=1e-6)
    assert history[-1].validation_loss == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(predictions, logits.argmax(1).numpy())
    share = (logits.argmax(1) == data.validation.labels).float().mean().item()
    assert history[-1].validation_accuracy == pytest.approx(share)


def test_running_train_loss_is_the_mean_over_images_although_batches_differ_in_size():
    # Without dropout, norm and learning (lr near 0), the running loss is the loss of the fixed network.
    still = ModelConfig(filters=(4,), kernel_size=3, padding=1, pool_after=(1,), hidden=())
    history, model = train(TrainConfig(optimizer="sgd", lr=1e-12, batch_size=48), epochs=1, model_config=still)
    data = tiny_data()
    loss, predictions = evaluate(model, data, data.train)
    assert history[0].train_loss == pytest.approx(loss, rel=1e-5)
    assert history[0].train_accuracy == pytest.approx(np.mean(predictions == data.train.labels.numpy()))


def test_softmax_output_is_trained_on_its_probabilities():
    floor = np.log(np.e + CLASSES - 1) - 1  # cross-entropy of a one-hot row taken as logits
    history, _ = train(epochs=25, model_config=replace(MODEL, softmax_output=True))
    assert floor < history[-1].train_loss < np.log(CLASSES) + 0.05
    assert history[-1].validation_accuracy > 0.9


def test_auxiliary_heads_are_trained():
    with_heads = replace(MODEL, aux_heads=("conv1", "pool2"))
    torch.manual_seed(5)
    before = {k: v.clone() for k, v in build(with_heads, SHAPE, CLASSES).aux.state_dict().items()}
    _, model = train(epochs=1, model_config=with_heads)
    assert all(not torch.equal(before[k], v) for k, v in model.aux.state_dict().items())


@pytest.mark.parametrize(
    ("n_images", "batch_size", "expected"),
    [
        (10, 4, [(0, 4), (4, 8), (8, 10)]),
        (9, 4, [(0, 4), (4, 9)]),  # a last batch of one joins the one before
        (8, 4, [(0, 4), (4, 8)]),
        (1, 4, [(0, 1)]),
        (3, 1, [(0, 1), (1, 3)]),
    ],
)
def test_batches_cover_every_image_once(n_images, batch_size, expected):
    assert batch_bounds(n_images, batch_size) == expected
