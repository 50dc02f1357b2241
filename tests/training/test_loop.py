import json
import math
import threading
from dataclasses import fields, replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.utils import compute_class_weight

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.job import TrialJob, TrialResult, train_trial
from sweeper.evaluation.metrics import balanced_accuracy, macro_f1
from sweeper.models.families import build
from sweeper.training import augment, loop, process_locks, validation
from sweeper.training.checkpoint import CheckpointError, holds
from sweeper.training.device_data import TrainingData
from sweeper.training.epoch_metrics import Diverged, EpochMetrics
from sweeper.training.loop import batch_bounds, fit
from sweeper.training.optimizers import build_optimizer, learning_rate
from sweeper.training.step import log_loss
from sweeper.training.validation import evaluate
from tests.training.tiny import CLASSES, MODEL, SHAPE, tiny_data

CONFIG = TrainConfig(lr=1e-2, batch_size=16)
AUGMENTED = replace(
    CONFIG, flip_p=0.5, rotation=20, crop_padding=1, brightness=0.3, contrast=0.3, sharpness_p=0.5, erasing_p=0.5
)


def train(config=CONFIG, *, epochs=3, seed=5, model_config=MODEL, **options):
    """All metrics but the speed, and the network."""
    torch.manual_seed(seed)
    model = build(model_config, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    history = [
        replace(m, images_per_second=0.0, epoch_seconds=0.0)
        for m in fit(model, tiny_data(), config, epochs=epochs, seed=seed, **options)
    ]
    return history, model


def test_network_learns():
    history, _ = train(epochs=15)
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].validation_accuracy > 0.9  # chance is 0.25
    assert [m.epoch for m in history] == list(range(1, 16))
    assert all(m.gradient_norm > 0 for m in history)


@pytest.mark.parametrize("config", [CONFIG, AUGMENTED], ids=["plain", "augmented"])
def test_same_seed_gives_bitwise_the_same_numbers_and_another_seed_does_not(config):
    first, model = train(config)
    again, same_model = train(config)
    other, _ = train(config, seed=6)
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
        replace(CONFIG, schedule="one_cycle", cycle_momentum=True, clip_norm=0.5),
        replace(CONFIG, optimizer="rmsprop", schedule="cyclic", cycle_momentum=True, weight_decay=1e-2),
        replace(CONFIG, optimizer="rmsprop", weight_decay=0.1, decoupled_weight_decay=True, label_smoothing=0.1),
        replace(CONFIG, optimizer="sgd", momentum=0.9, nesterov=True, weight_decay=0.1, weight_decay_layers=("conv2",)),
        replace(CONFIG, schedule="cosine", warmup_epochs=3, weight_decay=0.1, weight_decay_layers=("aux_conv1",)),
        AUGMENTED,
        replace(AUGMENTED, mixup_alpha=0.4, cutmix_alpha=1.0, ema_decay=0.9),
        replace(CONFIG, ema_decay=0.9, patience=1),
    ],
    ids=lambda config: f"{config.optimizer}-{config.schedule}-{config.weight_decay}",
)
def test_training_cut_short_goes_on_bitwise_from_its_checkpoint(tmp_path, config):
    with_heads = replace(MODEL, aux_heads=("conv1",))
    whole, model = train(config, epochs=4, model_config=with_heads)

    path = tmp_path / "checkpoint.safetensors"
    torch.manual_seed(5)
    interrupted = build(with_heads, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    epochs = fit(interrupted, tiny_data(), config, epochs=4, seed=5, checkpoint_path=path, identity="x")
    next(epochs), next(epochs)
    epochs.close()

    torch.manual_seed(99)  # another process has drawn other numbers by now
    torch.rand(7)
    resumed, resumed_model = train(config, epochs=4, model_config=with_heads, checkpoint_path=path, identity="x")
    assert resumed == whole
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed_model.state_dict()[name]), name


def test_average_of_the_weights_is_validated_and_takes_their_place_at_the_end(tmp_path):
    config, path = replace(CONFIG, ema_decay=0.8), tmp_path / "checkpoint.safetensors"
    history, model = train(config, checkpoint_path=path, identity="x")
    trained, plain = load_file(path), train()[1].state_dict()
    loss, outputs = evaluate(model, tiny_data(), tiny_data().validation)
    assert history[-1].validation_loss == loss
    assert history[-1].validation_accuracy == np.mean(outputs.argmax(1) == tiny_data().validation.labels.numpy())
    for name, value in model.state_dict().items():
        assert torch.equal(value, trained[f"average.network.{name}"]), name
        assert torch.equal(plain[name], trained[f"model.{name}"]), name  # the weights train on as without an average
    assert not torch.equal(plain["features.conv1.weight"], model.state_dict()["features.conv1.weight"])
    # A finished training, taken up again, ends with the average, too.
    _, again = train(config, checkpoint_path=path, identity="x")
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))


def test_test_flip_scores_the_mean_of_the_outputs_for_image_and_mirror_image():
    whole, model = train(test_flip=True)
    assert [epoch.train_loss for epoch in whole] == [epoch.train_loss for epoch in train()[0]]
    data = tiny_data()
    _, plain = evaluate(model, data, data.validation)
    mirrored = replace(data.validation, images=data.validation.images.flip(3))
    _, of_mirrored = evaluate(model, data, mirrored)
    loss, flipped = evaluate(model, data, data.validation, test_flip=True)
    np.testing.assert_allclose(flipped, (plain + of_mirrored) / 2, rtol=1e-5)
    assert whole[-1].validation_loss == loss
    assert loss != evaluate(model, data, data.validation)[0]


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


def rewritten(path, *, tensors=None, **changes):
    """Writes a checkpoint again, whole, with other tensors or another progress; None takes a tensor away."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    progress = json.loads(metadata["progress"])
    for name, change in changes.items():
        progress[name] = change(progress[name])
    kept = {name: value for name, value in (load_file(path) | (tensors or {})).items() if value is not None}
    save_file(kept, path, metadata | {"progress": json.dumps(progress)})


FOREIGN = {
    "a metric more": lambda path: rewritten(path, history=lambda h: [past | {"top5": 1.0} for past in h]),
    "a metric less": lambda path: rewritten(path, history=lambda h: [{"epoch": past["epoch"]} for past in h]),
    "fewer epochs than it says": lambda path: rewritten(path, history=lambda h: h[:-1]),
    "another number of epochs": lambda path: rewritten(path, epoch=lambda n: n + 1),
    "epochs out of order": lambda path: rewritten(path, history=lambda h: h[::-1]),
    "no state of a generator": lambda path: rewritten(path, tensors={"generator.order": None}),
    "another size of generator": lambda path: rewritten(
        path, tensors={"generator.global": torch.zeros(7, dtype=torch.uint8)}
    ),
    "no moments": lambda path: rewritten(path, tensors={f"optimizer.{i}.exp_avg": None for i in range(10)}),
    "moments of another shape": lambda path: rewritten(path, tensors={"optimizer.0.exp_avg": torch.zeros(3)}),
    "a single moment": lambda path: rewritten(path, tensors={"optimizer.0.exp_avg": torch.zeros(())}),
    "a step for each weight": lambda path: rewritten(path, tensors={"optimizer.0.step": torch.ones(4, 1, 3, 3)}),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_whole_checkpoint_that_does_not_fit_is_refused_before_an_epoch_is_yielded(tmp_path, foreign):
    path = tmp_path / "checkpoint.safetensors"
    given = {"epochs": 3, "seed": 5, "checkpoint_path": path, "identity": "x"}
    for _ in islice(fit(initial(MODEL), tiny_data(), CONFIG, **given), 2):
        pass
    FOREIGN[foreign](path)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is damaged: "):
        next(fit(initial(MODEL), tiny_data(), CONFIG, **given))


def test_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(Diverged, match="loss of epoch 1 is"):
        train(TrainConfig(optimizer="sgd", lr=1e30, batch_size=16))


@pytest.mark.parametrize("config", [CONFIG, AUGMENTED], ids=["plain", "augmented"])
def test_metrics_are_those_worked_out_by_hand_from_the_final_network_and_the_images_as_they_are(config):
    history, model = train(config)
    data = tiny_data()
    model.eval()
    with torch.no_grad():
        logits = model(data.scale(data.validation.images))
    loss, outputs = evaluate(model, data, data.validation)
    expected = torch.nn.functional.cross_entropy(logits, data.validation.labels).item()
    assert loss == pytest.approx(expected, abs=1e-6)
    assert history[-1].validation_loss == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(outputs, logits.numpy(), atol=1e-5)
    assert (outputs.shape, outputs.dtype) == ((40, CLASSES), np.float32)
    share = (logits.argmax(1) == data.validation.labels).float().mean().item()
    assert history[-1].validation_accuracy == pytest.approx(share)
    labels = data.validation.labels.numpy()
    assert history[-1].validation_macro_f1 == pytest.approx(macro_f1(labels, outputs.argmax(1), CLASSES))
    balanced = balanced_accuracy(labels, outputs.argmax(1), CLASSES)
    assert history[-1].validation_balanced_accuracy == pytest.approx(balanced)
    assert len({m.validation_macro_f1 for m in history}) > 1


def test_running_train_loss_is_the_mean_over_images_although_batches_differ_in_size():
    # Without dropout, norm and learning (lr near 0), the running loss is the loss of the fixed network.
    still = ConvNetConfig(filters=(4,), kernel_size=3, padding=1, pool_after=(1,), hidden=())
    history, model = train(TrainConfig(optimizer="sgd", lr=1e-12, batch_size=48), epochs=1, model_config=still)
    data = tiny_data()
    loss, outputs = evaluate(model, data, data.train)
    assert history[0].train_loss == pytest.approx(loss, rel=1e-5)
    assert history[0].train_accuracy == pytest.approx(np.mean(outputs.argmax(1) == data.train.labels.numpy()))


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


def without_validation(n_train=130):
    return tiny_data(n_train, n_validation=0)


def test_without_validation_part_its_figures_are_nan_and_the_training_is_the_same():
    with_part, model = train()
    torch.manual_seed(5)
    refitted = build(MODEL, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    # The training part of both is the same; only the part beside it differs.
    data = replace(tiny_data(), validation=without_validation().validation)
    history = list(fit(refitted, data, CONFIG, epochs=3, seed=5))
    assert [m.train_loss for m in history] == [m.train_loss for m in with_part]
    for metrics in history:
        assert math.isnan(metrics.validation_loss)
        assert math.isnan(metrics.validation_accuracy)
        assert math.isnan(metrics.validation_macro_f1)
        assert math.isnan(metrics.validation_balanced_accuracy)
    for name, value in model.state_dict().items():
        assert torch.equal(value, refitted.state_dict()[name]), name


def test_training_loss_that_is_not_finite_ends_the_training_without_validation_part_too():
    torch.manual_seed(5)
    model = build(MODEL, SHAPE, CLASSES)
    config = TrainConfig(optimizer="sgd", lr=1e30, batch_size=16)
    with pytest.raises(Diverged, match="training loss of epoch 1 is"):
        list(fit(model, without_validation(), config, epochs=1, seed=5))


def trial_job(folder):
    return TrialJob(0, Configuration(MODEL, CONFIG), 3, 5, folder, "data")


def test_trial_without_validation_part_leaves_its_weights_under_its_identity_and_no_confusions(tmp_path):
    job = trial_job(tmp_path)
    *epochs, result = train_trial(job, without_validation())
    assert [m.epoch for m in epochs] == [1, 2, 3]
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert isinstance(result, TrialResult)
    assert result.confusion is None
    assert holds(job.weights, job.identity)
    assert set(load_file(job.weights)) == set(build(MODEL, SHAPE, CLASSES).state_dict())


def test_trial_without_validation_part_cut_short_goes_on_bitwise(tmp_path):
    whole, interrupted = trial_job(tmp_path / "whole"), trial_job(tmp_path / "cut")
    *expected, _ = train_trial(whole, without_validation())
    epochs = train_trial(interrupted, without_validation())
    next(epochs), next(epochs)
    epochs.close()
    assert not interrupted.weights.exists()
    *resumed, _ = train_trial(interrupted, without_validation())
    assert [(m.epoch, m.train_loss, m.gradient_norm) for m in resumed] == [
        (m.epoch, m.train_loss, m.gradient_norm) for m in expected
    ]
    assert all(math.isnan(m.validation_loss) for m in resumed)  # those read from the checkpoint too
    assert interrupted.weights.read_bytes() == whole.weights.read_bytes()


def test_trial_with_validation_part_leaves_its_confusions_too(tmp_path):
    job = trial_job(tmp_path)
    *epochs, result = train_trial(job, tiny_data())
    assert result.confusion.sum() == 40
    assert np.trace(result.confusion) / 40 == pytest.approx(epochs[-1].validation_accuracy)
    assert holds(job.weights, job.identity)


# No dropout and no norm: what a step does can be worked out by hand.
PLAIN = ConvNetConfig(filters=(4,), kernel_size=3, padding=1, pool_after=(1,), hidden=())
STILL = TrainConfig(optimizer="sgd", lr=1e-12, batch_size=48)


def initial(model_config, seed=5):
    torch.manual_seed(seed)
    return build(model_config, SHAPE, CLASSES).to(memory_format=torch.channels_last)


def total_norm(loss, model):
    return (
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)])
        .norm()
        .item()
    )


def part_loss(model, data, batch):
    return F.cross_entropy(model(data.scale(data.train.images[batch])), data.train.labels[batch])


@pytest.mark.parametrize("batch_size", [130, 48])
def test_gradient_norm_is_the_mean_over_steps(batch_size):
    # The same generator that orders the images of the first epoch.
    order = torch.randperm(130, generator=torch.Generator().manual_seed(5))
    data, model = tiny_data(), initial(PLAIN)
    norms = [total_norm(part_loss(model, data, batch), model) for batch in order.split(batch_size)]
    history, _ = train(replace(STILL, batch_size=batch_size), epochs=1, model_config=PLAIN)
    assert history[0].gradient_norm == pytest.approx(np.mean(norms), rel=1e-4)


def test_every_step_has_the_rate_of_its_schedule_and_the_last_one_is_logged():
    config = replace(STILL, lr=0.05, schedule="cosine")
    order_generator = torch.Generator().manual_seed(5)
    data, expected = tiny_data(), initial(PLAIN)
    rates = [learning_rate(config, step, 3, 2) for step in range(6)]
    batches = [b for _ in range(2) for b in torch.randperm(130, generator=order_generator).split(48)]
    for batch, rate in zip(batches, rates, strict=True):
        loss = part_loss(expected, data, batch)
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
                parameter -= rate * gradient
    history, model = train(config, epochs=2, model_config=PLAIN)
    assert [m.lr for m in history] == [rates[2], rates[5]]
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_images_come_in_another_order_every_epoch(monkeypatch):
    seen = []
    scale = TrainingData.scale

    def spy(self, images):
        seen.append(images.flatten(1).sum(1).tolist())
        return scale(self, images)

    monkeypatch.setattr(TrainingData, "scale", spy)
    train(replace(STILL, batch_size=130), epochs=2, model_config=PLAIN)
    plain = tiny_data().train.images.flatten(1).sum(1).tolist()
    first, second = (images for images in seen if len(images) == 130)
    assert sorted(first) == sorted(second) == sorted(plain)
    assert first != second
    assert plain not in (first, second)


def test_network_sees_the_training_images_changed_as_the_generator_of_their_order_draws():
    config = replace(AUGMENTED, optimizer="sgd", lr=1e-12, batch_size=48)
    generator = torch.Generator().manual_seed(5)
    data, model = tiny_data(), initial(PLAIN)
    sums = []
    for _ in range(2):
        losses = []
        for batch in torch.randperm(130, generator=generator).split(48):
            draws = augment.draw(config, len(batch), 8, 8, generator)
            inputs = augment.erased(data.scale(augment.augmented(data.train.images[batch], draws)), draws)
            losses.append(F.cross_entropy(model(inputs), data.train.labels[batch], reduction="sum").item())
        sums.append(sum(losses) / 130)
    history, _ = train(config, epochs=2, model_config=PLAIN)
    assert [m.train_loss for m in history] == pytest.approx(sums, rel=1e-5)
    plain, _ = evaluate(model, data, data.train)
    assert len({round(loss, 4) for loss in (*sums, plain)}) == 3


def test_draws_are_the_same_whatever_dropout_takes_from_torchs_generator(monkeypatch):
    seen = []
    draw = augment.draw
    monkeypatch.setattr(augment, "draw", lambda *args: seen.append(draw(*args)) or seen[-1])
    for dropout in (0.0, 0.2):
        train(replace(AUGMENTED, batch_size=130), epochs=2, model_config=replace(MODEL, dropout=dropout))
    first, second, *with_dropout = (draws.angle for draws in seen)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip((first, second), with_dropout, strict=True))


def test_training_whose_changes_have_no_probability_is_bitwise_one_without_them():
    never = replace(CONFIG, rotation=20, rotation_p=0.0, brightness=0.3, saturation=0.3, jitter_p=0.0)
    assert train(never, epochs=2)[0] == train(epochs=2)[0]


def test_weight_of_the_auxiliary_heads_reaches_the_gradient_and_not_the_train_loss():
    with_heads = replace(PLAIN, aux_heads=("conv1", "pool1"))
    data, model = tiny_data(), initial(with_heads)
    output, heads = model.forward_heads(data.scale(data.train.images))
    main = F.cross_entropy(output, data.train.labels)
    aux = sum(F.cross_entropy(logits, data.train.labels) for logits in heads.values())
    seen = {}
    for weight in (0.0, 0.3, 2.0):
        config = replace(STILL, batch_size=130, aux_weight=weight)
        history, _ = train(config, epochs=1, model_config=with_heads)
        assert history[0].train_loss == pytest.approx(main.item(), rel=1e-5)
        expected = torch.autograd.grad(main + weight * aux, list(model.parameters()), retain_graph=True)
        assert history[0].gradient_norm == pytest.approx(
            torch.cat([g.flatten() for g in expected]).norm().item(), rel=1e-4
        )
        seen[weight] = history[0].gradient_norm
    assert len(set(seen.values())) == 3


def log_probabilities(logits):
    return logits - logits.logsumexp(1, keepdim=True)


def smoothed(logits, labels, smoothing):
    """Cross-entropy with (1 - s) on the label and s spread over all classes (Szegedy et al., 2016, section 7)."""
    logs = log_probabilities(logits)
    return -((1 - smoothing) * logs[range(len(labels)), labels] + smoothing * logs.mean(1)).mean()


def after_one_step(objective, model, lr, clip_norm=math.inf):
    """The parameters by name after a step of gradient descent by hand."""
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(objective, list(named.values()))
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    scale = lr * min(1, clip_norm / norm.item())
    return {
        name: (parameter - scale * gradient).detach()
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True)
    }


def assert_close(model, expected):
    for name, value in model.named_parameters():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-4)


ONE_STEP = TrainConfig(optimizer="sgd", lr=0.5, batch_size=130)


@pytest.mark.parametrize("clip_norm", [0.01, 100.0])
def test_gradients_are_clipped_to_the_norm_and_reported_as_they_were(clip_norm):
    data, model = tiny_data(), initial(PLAIN)
    loss = F.cross_entropy(model(data.scale(data.train.images)), data.train.labels)
    norm = total_norm(loss, model)
    assert 0.01 < norm < 100
    history, stepped = train(replace(ONE_STEP, clip_norm=clip_norm), epochs=1, model_config=PLAIN)
    assert history[0].gradient_norm == pytest.approx(norm, rel=1e-4)
    assert_close(stepped, after_one_step(loss, model, 0.5, clip_norm))


def test_smoothed_labels_reach_the_steps_of_output_and_heads_and_not_the_reported_loss():
    with_heads = replace(PLAIN, aux_heads=("pool1",))
    data, model = tiny_data(), initial(with_heads)
    output, heads = model.forward_heads(data.scale(data.train.images))
    labels = data.train.labels
    objective = smoothed(output, labels, 0.2) + 0.3 * smoothed(heads["pool1"], labels, 0.2)
    history, stepped = train(replace(ONE_STEP, label_smoothing=0.2), epochs=1, model_config=with_heads)
    assert_close(stepped, after_one_step(objective, model, 0.5))
    assert history[0].train_loss == pytest.approx(smoothed(output, labels, 0).item(), rel=1e-5)
    logits = stepped.eval()(data.scale(data.validation.images))
    expected = smoothed(logits, data.validation.labels, 0).item()
    assert history[0].validation_loss == pytest.approx(expected, rel=1e-4)


def test_balanced_class_weights_reach_the_steps_and_not_the_reported_loss():
    data, model = tiny_data(), initial(PLAIN)
    labels = data.train.labels
    present = np.unique(labels)
    weights = torch.zeros(data.n_classes)
    weights[present] = torch.tensor(compute_class_weight("balanced", classes=present, y=labels.numpy())).float()
    assert weights.unique().numel() > 1
    output = model(data.scale(data.train.images))
    weight = weights[labels] * len(present) / data.n_classes
    losses = F.cross_entropy(output, labels, reduction="none")
    history, stepped = train(replace(ONE_STEP, class_weights="balanced"), epochs=1, model_config=PLAIN)
    assert_close(stepped, after_one_step((losses * weight).sum() / weight.sum(), model, 0.5))
    assert history[0].train_loss == pytest.approx(losses.mean().item(), rel=1e-5)


def test_loss_of_a_network_with_softmax_is_the_cross_entropy_of_its_probabilities():
    config = replace(PLAIN, softmax_output=True)
    data, model = tiny_data(), initial(config)
    probabilities = model(data.scale(data.train.images))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(130))
    loss = smoothed(probabilities, data.train.labels, 0)
    history, stepped = train(ONE_STEP, epochs=1, model_config=config)
    assert history[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert_close(stepped, after_one_step(loss, model, 0.5))
    validation_loss, outputs = evaluate(stepped, data, data.validation)
    np.testing.assert_allclose(outputs.sum(1), 1, rtol=1e-5)
    expected = smoothed(torch.from_numpy(outputs), data.validation.labels, 0).item()
    assert validation_loss == history[0].validation_loss == pytest.approx(expected, rel=1e-5)


def test_reported_loss_of_probabilities_is_minus_ln_p_and_the_minimised_one_stands_beside_it():
    config = replace(PLAIN, softmax_output=True)
    data, model = tiny_data(), initial(config)
    labels = data.train.labels
    probabilities = model(data.scale(data.train.images))
    [plain], stepped = train(ONE_STEP, epochs=1, model_config=config)
    [reported], same = train(ONE_STEP, epochs=1, model_config=config, probabilities=True)
    assert_close(stepped, same.state_dict())
    expected = F.nll_loss(probabilities.log(), labels).item()
    assert reported.train_loss == pytest.approx(expected, rel=1e-5)
    assert reported.train_softmax_loss == plain.train_loss != pytest.approx(expected, rel=1e-2)
    _, outputs = evaluate(stepped, data, data.validation)
    expected = -np.log(outputs[np.arange(len(outputs)), data.validation.labels.numpy()]).mean()
    assert reported.validation_loss == pytest.approx(expected, rel=1e-5)
    assert reported.validation_softmax_loss == plain.validation_loss
    assert {"train_softmax_loss", "validation_softmax_loss"} <= reported.values().keys() - plain.values().keys()


def test_probability_of_zero_has_a_finite_loss():
    losses = log_loss(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([0, 1]), reduction="none")
    assert losses.tolist() == pytest.approx([87.3365, math.log(2)])


def test_checkpoint_of_an_older_sweeper_has_other_losses_and_is_refused(tmp_path):
    config, options = replace(MODEL, softmax_output=True), {"checkpoint_path": tmp_path / "c", "identity": "x"}
    train(epochs=1, model_config=config, **options)
    with pytest.raises(CheckpointError, match="holds the losses of an older sweeper"):
        train(epochs=2, model_config=config, probabilities=True, **options)


def test_heads_have_their_accuracies_on_both_parts():
    with_heads = replace(PLAIN, aux_heads=("conv1", "pool1"))
    history, model = train(STILL, epochs=1, model_config=with_heads)
    data = tiny_data()
    expected = {}
    for split, part in (("train", data.train), ("validation", data.validation)):
        _, heads = model.forward_heads(data.scale(part.images))
        for name, logits in heads.items():
            expected[f"{name}_{split}_accuracy"] = (logits.argmax(1) == part.labels).float().mean().item()
    assert history[0].heads == pytest.approx(expected)
    assert len(set(expected.values())) > 2
    assert {name: value for name, value in history[0].values().items() if name.startswith("aux_")} == {
        f"aux_{name}": value for name, value in history[0].heads.items()
    }


def test_figures_of_an_epoch_are_flat_and_the_penalty_is_there_where_it_is_not_zero():
    history, model = train(replace(CONFIG, weight_decay=0.3, weight_decay_layers=("conv2",)), epochs=2)
    by_hand = 0.15 * model.features.conv2.weight.square().sum().item()
    assert history[1].penalty == pytest.approx(by_hand)
    assert history[1].values()["penalty"] == history[1].penalty
    assert history[0].penalty != history[1].penalty
    plain = train(epochs=1)[0][0]
    assert plain.penalty == 0
    assert set(plain.values()) == {f.name for f in fields(EpochMetrics)} - {"penalty", "heads"}
    assert all(isinstance(value, int | float) for value in plain.values().values())


# Its validation loss goes up and down.
RESTLESS = TrainConfig(lr=0.1, batch_size=16)
PATIENCE = 3


def last_epoch(losses, patience):
    """Where a training ends whose last `patience` losses are no lower than the lowest before them."""
    for n_epochs in range(patience + 1, len(losses)):
        if min(losses[n_epochs - patience : n_epochs]) >= min(losses[: n_epochs - patience]):
            return n_epochs
    raise AssertionError("this training never waits so long")


def test_training_ends_after_as_many_epochs_without_a_lower_validation_loss_as_it_has_patience():
    whole, _ = train(RESTLESS, epochs=25)
    losses = [m.validation_loss for m in whole]
    stopped, _ = train(replace(RESTLESS, patience=PATIENCE), epochs=25)
    assert stopped == whole[: last_epoch(losses, PATIENCE)]


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_training_that_ran_out_of_patience_ends_at_the_same_epoch_when_it_was_cut_short(tmp_path, behind):
    config = replace(RESTLESS, patience=PATIENCE)
    whole, model = train(config, epochs=25)
    path = tmp_path / "checkpoint.safetensors"
    interrupted = fit(initial(MODEL), tiny_data(), config, epochs=25, seed=5, checkpoint_path=path, identity="x")
    for _ in range(len(whole) - behind):
        next(interrupted)
    interrupted.close()
    resumed, resumed_model = train(config, epochs=25, checkpoint_path=path, identity="x")
    assert resumed == whole
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed_model.state_dict()[name]), name


def test_loss_that_stays_the_same_is_no_lower_one():
    history, _ = train(replace(STILL, patience=2), epochs=9, model_config=PLAIN)
    assert len({m.validation_loss for m in history}) == 1
    assert len(history) == 3


@pytest.mark.parametrize(
    ("config", "n_epochs"), [(CONFIG, 3), (replace(STILL, optimizer="adam", patience=1), 2)], ids=["last", "stalled"]
)
def test_checkpoint_of_a_training_at_its_end_has_no_state_of_the_optimizer_and_nothing_goes_on_from_it(
    tmp_path, config, n_epochs
):
    path = tmp_path / "checkpoint.safetensors"
    files = {"checkpoint_path": path, "identity": "x"}
    kept = []
    for _ in fit(initial(PLAIN), tiny_data(), config, epochs=3, seed=5, **files):
        kept.append(any(name.startswith("optimizer.") for name in load_file(path)))
    assert kept == [True] * (n_epochs - 1) + [False]
    assert len(train(config, epochs=3, model_config=PLAIN, **files)[0]) == n_epochs
    beyond = fit(initial(PLAIN), tiny_data(), replace(config, patience=0), epochs=4, seed=5, **files)
    with pytest.raises(CheckpointError, match=r"is of a training that ended after epoch"):
        next(beyond)  # before it tells an epoch, which its caller would count as trained


def test_without_validation_part_nothing_ends_a_training_early():
    config = replace(STILL, patience=1)
    history = list(fit(initial(PLAIN), without_validation(), config, epochs=4, seed=5))
    assert [m.epoch for m in history] == [1, 2, 3, 4]


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


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
FROZEN = ("features.conv1.weight", "features.conv1.bias", *(f"features.norm1.{name}" for name in NORM))


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, optimizer="sgd", momentum=0.9, weight_decay=0.1),
        replace(CONFIG, optimizer="rmsprop", weight_decay=0.1, decoupled_weight_decay=True),
        replace(CONFIG, optimizer="adamw", weight_decay=0.1, clip_norm=0.5),
        replace(CONFIG, weight_decay=0.1, weight_decay_layers=("conv1",)),
    ],
    ids=lambda config: f"{config.optimizer}-{config.weight_decay_layers}",
)
def test_frozen_tensors_stay_as_they_are_through_weight_decay_and_a_resumption(tmp_path, config):
    def frozen_training(epochs, path):
        torch.manual_seed(5)
        model = build(MODEL, SHAPE, CLASSES).to(memory_format=torch.channels_last)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        options = {"epochs": 3, "seed": 5, "checkpoint_path": path, "identity": "x", "frozen": FROZEN}
        history = islice(fit(model, tiny_data(), config, **options), epochs)
        return before, model.state_dict(), [(m.train_loss, m.gradient_norm, m.penalty) for m in list(history)]

    before, after, whole = frozen_training(3, tmp_path / "whole")
    assert {name for name in after if torch.equal(before[name], after[name])} == set(FROZEN)
    frozen_training(2, tmp_path / "cut")
    _, resumed, gone_on = frozen_training(3, tmp_path / "cut")
    assert gone_on == whole
    assert all(torch.equal(after[name], resumed[name]) for name in after)


def test_dropout_inside_a_frozen_norm_and_behind_it_goes_on_dropping():
    seen = []
    torch.manual_seed(5)
    model = build(MODEL, SHAPE, CLASSES)
    model.features.norm1.add_module("drop", torch.nn.Dropout(0.5))
    model.features.norm1.register_forward_hook(lambda module, *_: seen.append((module.training, module.drop.training)))
    model.classifier.dropout1.register_forward_hook(lambda module, *_: seen.append(module.training))
    epochs = fit(model, replace(tiny_data(), validation=tiny_data().train), CONFIG, epochs=1, seed=5, frozen=FROZEN)
    next(epochs)
    n_steps = len(batch_bounds(130, 16))
    assert seen[: 2 * n_steps] == [(False, True), True] * n_steps


def test_with_graphs_one_batch_is_validated_under_the_lock_before_any_step_and_optimizers_are_made_one_by_one(
    monkeypatch,
):
    """CUDA loads the kernels of validation then: later, that could break a neighbour's capture."""
    seen, default = [], SimpleNamespace(state="default")
    default.graphsafe_get_state = lambda: default.state
    default.graphsafe_set_state = lambda state: setattr(default, "state", state)
    monkeypatch.setattr(torch.cuda, "default_generators", {None: default})

    def is_free(lock):
        free = []
        thread = threading.Thread(target=lambda: free.append(lock.acquire(blocking=False) and lock.release() is None))
        thread.start()
        thread.join()
        return free == [True]

    def building(*arguments, **options):
        seen.append(("optimizer", is_free(process_locks.building)))
        return build_optimizer(*arguments, **options)

    def warm_up(model, data, *, test_flip):
        seen.append(("validation", is_free(process_locks.gpu)))
        assert default.state != "default"
        validation.warm_up(model, data, test_flip=test_flip)

    class Epoch:
        """Stands in for GraphedEpoch."""

        def __init__(self, step, lengths, own, tell):
            seen.append(("graphs", is_free(process_locks.gpu)))

        def __call__(self, order, rates, after_batch):
            assert default.state == "default"

    monkeypatch.setattr(loop, "build_optimizer", building)
    monkeypatch.setattr(loop, "warm_up", warm_up)
    monkeypatch.setattr(loop, "GraphedEpoch", Epoch)
    network = build(MODEL, SHAPE, CLASSES)
    assert len(list(fit(network, tiny_data(), CONFIG, epochs=2, seed=0, graphs=True))) == 2
    assert seen == [("optimizer", False), ("validation", False), ("graphs", True)]
