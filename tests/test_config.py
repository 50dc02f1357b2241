from dataclasses import asdict

import pytest

from sweeper.config import Configuration, ModelConfig, Protocol, TrainConfig, check_value


@pytest.mark.parametrize(
    ("kind", "field", "value", "rule"),
    [
        (ModelConfig, "filters", [], "a non-empty array"),
        (ModelConfig, "filters", 6, "a non-empty array"),
        (ModelConfig, "filters", [6, 0], "an integer of at least 1"),
        (ModelConfig, "kernel_size", True, "an integer of at least 1"),
        (ModelConfig, "kernel_size", [3, 2.0], "an integer of at least 1"),
        (ModelConfig, "padding", "valid", '"same"'),
        (ModelConfig, "padding", -1, "at least 0"),
        (ModelConfig, "pool_after", [2, 1], "rising order"),
        (ModelConfig, "pool_after", [0], "at least 1"),
        (ModelConfig, "pooling", "min", "max, avg"),
        (ModelConfig, "batch_norm", 1, "true or false"),
        (ModelConfig, "activation", "swish", "relu"),
        (ModelConfig, "dropout", 1.0, "[0, 1)"),
        (ModelConfig, "dropout", [0.1, -0.1], "[0, 1)"),
        (ModelConfig, "dropout_flatten", [0.1], "[0, 1)"),
        (ModelConfig, "aux_heads", ["dense1"], "conv2"),
        (ModelConfig, "aux_heads", ["conv"], "conv2"),
        (ModelConfig, "aux_heads", ["conv1", "conv1"], "twice"),
        (ModelConfig, "init", "zeros", "torch, glorot, he"),
        (TrainConfig, "lr", 0, "positive"),
        (TrainConfig, "lr", float("inf"), "positive"),
        (TrainConfig, "lr", float("nan"), "positive"),
        (TrainConfig, "momentum", 1, "[0, 1)"),
        (TrainConfig, "weight_decay", -1e-4, "at least 0"),
        (TrainConfig, "schedule", "warmup", "constant, step"),
        (TrainConfig, "batch_size", 0, "at least 1"),
        (TrainConfig, "batch_size", 2**31, "at most 2147483647"),
        (TrainConfig, "lr", 10**400, "positive"),
        (TrainConfig, "weight_decay", 10**400, "at least 0"),
        (ModelConfig, "padding", 2**31, "at most 2147483647"),
        (Protocol, "validation", 2**31, "at most 2147483647"),
        (Protocol, "epochs", 1.5, "at least 1"),
        (Protocol, "validation", 0, "a share below 1 or a count"),
        (Protocol, "validation", 1.5, "a share below 1"),
        (Protocol, "confirm", -1, "a share below 1 or a count"),
        (Protocol, "pixels", "raw", "unit, standard"),
    ],
)
def test_bad_value_is_refused_with_field_rule_and_value(kind, field, value, rule):
    with pytest.raises(ValueError, match=f"^{field} ") as refused:
        kind(**{field: value})
    assert rule in str(refused.value)
    offenders = [value, *value, tuple(value)] if isinstance(value, list) else [value]
    assert any(f"got {offender!r}" in str(refused.value) for offender in offenders)


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
    assert asdict(Protocol()) == {"epochs": 15, "validation": 0.1, "confirm": 0.1, "pixels": "standard"}
    assert asdict(TrainConfig()) == {
        "optimizer": "adam",
        "lr": 1e-3,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "step_size": 5,
        "step_gamma": 0.5,
        "exponential_gamma": 0.9,
        "batch_size": 64,
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
