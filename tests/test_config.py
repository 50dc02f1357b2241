from dataclasses import asdict, fields

import pytest

from sweeper.config import Configuration, ModelConfig, Protocol, TrainConfig, check_value
from sweeper.layers import trace

BAD_VALUES = [
    (ModelConfig, "family", "resnet", "one of convnet"),
    (ModelConfig, "filters", [], "a non-empty array"),
    (ModelConfig, "filters", 6, "a non-empty array"),
    (ModelConfig, "filters", [6, 0], "an integer of at least 1"),
    (ModelConfig, "kernel_size", True, "an integer of at least 1"),
    (ModelConfig, "kernel_size", [3, 2.0], "an integer of at least 1"),
    (ModelConfig, "padding", "valid", '"same"'),
    (ModelConfig, "padding", -1, "at least 0"),
    (ModelConfig, "input_padding", -1, "at least 0"),
    (ModelConfig, "pool_after", [2, 1], "rising order"),
    (ModelConfig, "pool_after", [0], "at least 1"),
    (ModelConfig, "pooling", "min", "max, avg"),
    (ModelConfig, "batch_norm", 1, "true or false"),
    (ModelConfig, "activation", "swish", "relu"),
    (ModelConfig, "leaky_relu_slope", 1, "[0, 1)"),
    (ModelConfig, "leaky_relu_slope", -0.01, "[0, 1)"),
    (ModelConfig, "hidden", 84, "an array"),
    (ModelConfig, "hidden", [84, 0], "an integer of at least 1"),
    (ModelConfig, "hidden_activation", "tanh", "true or false"),
    (ModelConfig, "dropout", 1.0, "[0, 1)"),
    (ModelConfig, "dropout", [0.1, -0.1], "[0, 1)"),
    (ModelConfig, "dropout_conv", "0.1", "[0, 1)"),
    (ModelConfig, "dropout_pool", True, "[0, 1)"),
    (ModelConfig, "dropout_flatten", [0.1], "[0, 1)"),
    (ModelConfig, "softmax_output", 0, "true or false"),
    (ModelConfig, "aux_heads", "conv1", "an array of names"),
    (ModelConfig, "aux_heads", ["conv0"], "conv2"),
    (ModelConfig, "aux_heads", ["dense1"], "conv2"),
    (ModelConfig, "aux_heads", ["conv"], "conv2"),
    (ModelConfig, "aux_heads", ["conv1", "conv1"], "twice"),
    (ModelConfig, "init", "zeros", "torch, glorot, he"),
    (TrainConfig, "optimizer", "lion", "adam, adamw, sgd, rmsprop"),
    (TrainConfig, "lr", 0, "positive"),
    (TrainConfig, "lr", float("inf"), "positive"),
    (TrainConfig, "lr", float("nan"), "positive"),
    (TrainConfig, "momentum", 1, "[0, 1)"),
    (TrainConfig, "nesterov", 0.9, "true or false"),
    (TrainConfig, "weight_decay", -1e-4, "at least 0"),
    (TrainConfig, "weight_decay_layers", "conv1", "an array of names"),
    (TrainConfig, "weight_decay_layers", ["norm1"], '"conv2", "hidden1", "output" or "aux_conv2"'),
    (TrainConfig, "weight_decay_layers", ["conv"], '"conv2"'),
    (TrainConfig, "weight_decay_layers", ["output1"], '"conv2"'),
    (TrainConfig, "weight_decay_layers", [1], '"conv2"'),
    (TrainConfig, "weight_decay_layers", ["conv1", "conv1"], "twice"),
    (TrainConfig, "decoupled_weight_decay", "yes", "true or false"),
    (TrainConfig, "schedule", "warmup", "constant, step, exponential, cosine, cyclic, one_cycle"),
    (TrainConfig, "step_size", 0, "at least 1"),
    (TrainConfig, "step_gamma", 0, "in (0, 1]"),
    (TrainConfig, "step_gamma", 1e300, "in (0, 1]"),
    (TrainConfig, "exponential_gamma", -0.9, "in (0, 1]"),
    (TrainConfig, "warmup_epochs", -1, "at least 0"),
    (TrainConfig, "warmup_epochs", 0.5, "an integer"),
    (TrainConfig, "cycle_start", 0, "(0, 1)"),
    (TrainConfig, "cycle_start", 1, "(0, 1)"),
    (TrainConfig, "cycle_end", 0.0, "(0, 1)"),
    (TrainConfig, "cycle_rise", 1.0, "[0, 1)"),
    (TrainConfig, "cycle_epochs", 0, "at least 1"),
    (TrainConfig, "cycle_momentum", 1, "true or false"),
    (TrainConfig, "momentum_low", 0, "(0, 1)"),
    (TrainConfig, "momentum_high", 1, "(0, 1)"),
    (TrainConfig, "momentum_high", float("nan"), "(0, 1)"),
    (TrainConfig, "batch_size", 0, "at least 1"),
    (TrainConfig, "batch_size", 2**31, "at most 2147483647"),
    (TrainConfig, "clip_norm", -1, "at least 0"),
    (TrainConfig, "clip_norm", float("inf"), "at least 0"),
    (TrainConfig, "label_smoothing", 1, "[0, 1)"),
    (TrainConfig, "patience", -1, "at least 0"),
    (TrainConfig, "patience", 2.0, "an integer"),
    (TrainConfig, "aux_weight", -0.3, "at least 0"),
    (TrainConfig, "lr", 10**400, "positive"),
    (TrainConfig, "weight_decay", 10**400, "at least 0"),
    (ModelConfig, "padding", 2**31, "at most 2147483647"),
    (Protocol, "validation", 2**31, "at most 2147483647"),
    (Protocol, "epochs", 1.5, "at least 1"),
    (Protocol, "validation", 0, "a share below 1 or a count"),
    (Protocol, "validation", 1.5, "a share below 1"),
    (Protocol, "confirm", -1, "a share below 1 or a count"),
    (Protocol, "folds", 1, "0 for none, or at least 2"),
    (Protocol, "folds", 101, "at most 100"),
    (Protocol, "folds", -2, "at least 0"),
    (Protocol, "folds", 2**31, "at most 2147483647"),
    (Protocol, "folds", True, "an integer"),
    (Protocol, "repeats", 0, "at least 1"),
    (Protocol, "repeats", 2.0, "an integer"),
    (Protocol, "pixels", "raw", "unit, standard"),
]


@pytest.mark.parametrize(("kind", "field", "value", "rule"), BAD_VALUES)
def test_bad_value_is_refused_with_field_rule_and_value(kind, field, value, rule):
    with pytest.raises(ValueError, match=f"^{field} ") as refused:
        kind(**{field: value})
    assert rule in str(refused.value)
    offenders = [value, *value, tuple(value)] if isinstance(value, list) else [value]
    assert any(f"got {offender!r}" in str(refused.value) for offender in offenders)
    assert "\n" not in str(refused.value)


def test_every_field_has_a_bad_value_here():
    kinds = (ModelConfig, TrainConfig, Protocol)
    assert {(kind, f.name) for kind in kinds for f in fields(kind)} == {(kind, name) for kind, name, *_ in BAD_VALUES}


def test_every_layer_with_weights_can_be_named_for_weight_decay():
    network = trace(ModelConfig(aux_heads=("conv1", "pool2"), batch_norm=True), (1, 32, 32), 10)
    names = [layer.name for layer in network if layer.kind in ("conv", "linear")]
    assert names == ["conv1", "conv2", "conv3", "hidden1", "output", "aux_conv1", "aux_pool2"]
    assert TrainConfig(weight_decay_layers=names).weight_decay_layers == tuple(names)


def test_whole_numbers_become_floats_and_arrays_tuples_so_that_equal_configurations_compare_equal():
    assert TrainConfig(lr=1).lr == 1.0
    assert isinstance(TrainConfig(lr=1).lr, float)
    assert ModelConfig(filters=[6, 16, 120]) == ModelConfig(filters=(6, 16, 120))


def test_confirm_may_be_empty_and_parts_may_be_counts():
    assert check_value(Protocol, "confirm", 0) == 0
    assert check_value(Protocol, "validation", 5000) == 5000


def test_configuration_survives_its_flat_values():
    configuration = Configuration(
        ModelConfig(filters=(8, 24), kernel_size=(5, 3), dropout=(0.1,)), TrainConfig(optimizer="sgd", momentum=0.9)
    )
    again = Configuration.from_values(configuration.values())
    assert again == configuration
    assert again.key() == configuration.key()


def test_keys_tell_configurations_apart():
    configurations = [
        Configuration(ModelConfig(), TrainConfig()),
        Configuration(ModelConfig(), TrainConfig(lr=2e-3)),
        Configuration(ModelConfig(batch_norm=True), TrainConfig()),
    ]
    assert len({configuration.key() for configuration in configurations}) == 3


def test_field_names_are_unique_across_model_training_and_protocol():
    names = [*ModelConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__, *Protocol.__dataclass_fields__]
    assert len(names) == len(set(names))


def test_unknown_family_is_refused():
    with pytest.raises(ValueError, match="family must be one of convnet, got 'resnet'"):
        Configuration.from_values({"family": "resnet"})


@pytest.mark.parametrize(("validation", "confirm"), [(0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_nothing_to_train_on_are_refused(validation, confirm):
    with pytest.raises(ValueError, match=f"must sum below 1, got {validation} and {confirm}"):
        Protocol(validation=validation, confirm=confirm)
    assert Protocol(validation=validation, confirm=5000).confirm == 5000


def test_defaults_are_the_documented_ones():
    assert asdict(Protocol()) == {
        "epochs": 15,
        "validation": 0.1,
        "confirm": 0.1,
        "folds": 0,
        "repeats": 1,
        "pixels": "standard",
    }
    assert asdict(TrainConfig()) == {
        "optimizer": "adam",
        "lr": 1e-3,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "weight_decay_layers": (),
        "decoupled_weight_decay": False,
        "schedule": "constant",
        "step_size": 5,
        "step_gamma": 0.5,
        "exponential_gamma": 0.9,
        "warmup_epochs": 0,
        "cycle_start": 0.04,
        "cycle_end": 4e-6,
        "cycle_rise": 0.3,
        "cycle_epochs": 2,
        "cycle_momentum": False,
        "momentum_low": 0.85,
        "momentum_high": 0.95,
        "batch_size": 64,
        "clip_norm": 0.0,
        "label_smoothing": 0.0,
        "patience": 0,
        "aux_weight": 0.3,
    }
    assert asdict(ModelConfig()) == {
        "family": "convnet",
        "filters": (6, 16, 120),
        "kernel_size": 5,
        "padding": 0,
        "input_padding": 0,
        "pool_after": (1, 2),
        "pooling": "max",
        "batch_norm": False,
        "activation": "relu",
        "leaky_relu_slope": 0.01,
        "hidden": (84,),
        "hidden_activation": True,
        "dropout": 0.0,
        "dropout_conv": 0.0,
        "dropout_pool": 0.0,
        "dropout_flatten": 0.0,
        "softmax_output": False,
        "aux_heads": (),
        "init": "torch",
    }
