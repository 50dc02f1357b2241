"""Trainings whose classifier trains first."""

from dataclasses import replace

import pytest
import torch

from sweeper.config import TrainConfig
from sweeper.models.classifier import tensors_of_classifier
from sweeper.models.families import build
from sweeper.training.freezing import Freezing
from sweeper.training.loop import fit
from tests.training.tiny import CLASSES, MODEL, SHAPE, tiny_data

NETWORK = replace(MODEL, aux_heads=("conv1",))
CONFIG = TrainConfig(lr=1e-2, batch_size=16, freeze_epochs=2)
HEAD = {f"{layer}.{name}" for layer in ("classifier.output", "aux.conv1") for name in ("weight", "bias")}
CONFIGS = [
    CONFIG,
    replace(CONFIG, optimizer="adamw", schedule="one_cycle", weight_decay=1e-2),
    replace(CONFIG, optimizer="sgd", momentum=0.9, schedule="cosine", weight_decay=0.1, decoupled_weight_decay=True),
    replace(CONFIG, schedule="one_cycle", cycle_momentum=True, weight_decay=0.1, clip_norm=0.5),
    replace(CONFIG, optimizer="rmsprop", momentum=0.9, weight_decay=0.1, weight_decay_layers=("conv2", "output")),
]
configs = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.optimizer}-{config.schedule}")


def network():
    torch.manual_seed(5)
    return build(NETWORK, SHAPE, CLASSES).to(memory_format=torch.channels_last)


def begun(model, config=CONFIG, **options):
    return fit(model, tiny_data(), config, **{"epochs": 4, "seed": 5, "head": tensors_of_classifier(model), **options})


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@configs
def test_only_the_classifier_trains_at_first_and_then_everything(config):
    model = network()
    states = [state(model)] + [state(model) for _ in begun(model, config)]
    assert changed(states[0], states[1]) == changed(states[1], states[2]) == HEAD
    # The norm takes the conv's bias away, so that its gradient is rounding or 0.
    assert changed(states[2], states[3]) >= states[0].keys() - {"features.conv1.bias", "features.conv2.bias"}


@configs
@pytest.mark.parametrize("n_done", [1, 2, 3])
def test_training_cut_short_before_at_and_behind_the_change_goes_on_bitwise(tmp_path, config, n_done):
    whole = network()
    history = [metrics.validation_loss for metrics in begun(whole, config)]
    path = tmp_path / "checkpoint.safetensors"
    epochs = begun(network(), config, checkpoint_path=path)
    for _ in range(n_done):
        next(epochs)
    epochs.close()
    torch.rand(7)
    resumed = network()
    assert [metrics.validation_loss for metrics in begun(resumed, config, checkpoint_path=path)] == history
    assert not changed(state(whole), state(resumed))


def test_all_epochs_may_be_of_the_classifier_alone():
    model = network()
    before = state(model)
    assert len(list(begun(model, replace(CONFIG, freeze_epochs=9)))) == 4
    assert changed(before, state(model)) == HEAD


def test_patience_does_not_count_while_the_classifier_trains_alone():
    hopeless = replace(CONFIG, lr=1e-12, patience=1, freeze_epochs=3, optimizer="sgd")  # the loss stays as it is
    assert len(list(begun(network(), hopeless))) == 4


def test_other_parameters_may_be_frozen_for_good():
    model = network()
    frozen = {name for name in model.state_dict() if name.startswith("features")}
    before = state(model)
    list(begun(model, frozen=frozen))
    assert not changed(before, state(model)) & frozen
    assert "classifier.hidden1.weight" in changed(before, state(model))


def test_nothing_left_to_train_is_refused():
    with pytest.raises(ValueError, match=r"^freeze_epochs leaves nothing to train: the classifier is frozen, too$"):
        Freezing(network(), HEAD, HEAD, 1)


def test_decay_of_layers_that_wait_begins_when_they_train():
    decaying = replace(CONFIG, optimizer="sgd", weight_decay=0.1, decoupled_weight_decay=True)
    model = network()
    before = model.features.conv2.weight.detach().clone()
    epochs = begun(model, replace(decaying, weight_decay_layers=("conv2",)))
    next(epochs), next(epochs)
    assert torch.equal(model.features.conv2.weight, before)
    next(epochs)
    assert not torch.equal(model.features.conv2.weight, before)
