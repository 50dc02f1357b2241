import json
from dataclasses import asdict, fields

import pytest

from sweeper.config import (
    MODEL_FAMILIES,
    Configuration,
    ConvNetConfig,
    CustomConfig,
    MlpConfig,
    Protocol,
    ResNetConfig,
    TimmConfig,
    TrainConfig,
    check_value,
)
from sweeper.models.layers import trace

BAD_VALUES = [
    (ConvNetConfig, "family", "resnext", "one of convnet, mlp, resnet, timm"),
    (ResNetConfig, "family", "resnext", "one of convnet, mlp, resnet, timm"),
    (ResNetConfig, "softmax_output", 1, "true or false"),
    (ResNetConfig, "filters", [], "a non-empty array"),
    (ResNetConfig, "blocks", 0, "at least 1"),
    (ResNetConfig, "downsample_at", [2, 1], "rising order"),
    (ResNetConfig, "downsampling", "min", "stride, max, avg"),
    (ResNetConfig, "activation", "swish", "one of relu"),
    (ResNetConfig, "leaky_relu_slope", 1, "[0, 1)"),
    (ResNetConfig, "dropout", [0.1], "[0, 1)"),
    (ResNetConfig, "init", "zero", "one of torch"),
    (TrainConfig, "ema_decay", 1.0, "[0, 1)"),
    (TrainConfig, "mixup_alpha", -0.1, "at least 0"),
    (TrainConfig, "cutmix_alpha", float("inf"), "at least 0"),
    (TrainConfig, "mix_p", 1.1, "[0, 1]"),
    (Protocol, "test_flip", 1, "true or false"),
    (ConvNetConfig, "filters", [], "a non-empty array"),
    (ConvNetConfig, "filters", 6, "a non-empty array"),
    (ConvNetConfig, "filters", [6, 0], "an integer of at least 1"),
    (ConvNetConfig, "kernel_size", True, "an integer of at least 1"),
    (ConvNetConfig, "kernel_size", [3, 2.0], "an integer of at least 1"),
    (ConvNetConfig, "padding", "valid", '"same"'),
    (ConvNetConfig, "padding", -1, "at least 0"),
    (ConvNetConfig, "input_padding", -1, "at least 0"),
    (ConvNetConfig, "pool_after", [2, 1], "rising order"),
    (ConvNetConfig, "pool_after", [0], "at least 1"),
    (ConvNetConfig, "pooling", "min", "max, avg"),
    (ConvNetConfig, "batch_norm", 1, "true or false"),
    (ConvNetConfig, "activation", "swish", "relu"),
    (ConvNetConfig, "leaky_relu_slope", 1, "[0, 1)"),
    (ConvNetConfig, "leaky_relu_slope", -0.01, "[0, 1)"),
    (ConvNetConfig, "hidden", 84, "an array"),
    (ConvNetConfig, "hidden", [84, 0], "an integer of at least 1"),
    (ConvNetConfig, "hidden_activation", "tanh", "true or false"),
    (ConvNetConfig, "dropout", 1.0, "[0, 1)"),
    (ConvNetConfig, "dropout", [0.1, -0.1], "[0, 1)"),
    (ConvNetConfig, "dropout_conv", "0.1", "[0, 1)"),
    (ConvNetConfig, "dropout_pool", True, "[0, 1)"),
    (ConvNetConfig, "dropout_flatten", [0.1], "[0, 1)"),
    (ConvNetConfig, "softmax_output", 0, "true or false"),
    (ConvNetConfig, "aux_heads", "conv1", "an array of names"),
    (ConvNetConfig, "aux_heads", ["conv0"], "conv2"),
    (ConvNetConfig, "aux_heads", ["dense1"], "conv2"),
    (ConvNetConfig, "aux_heads", ["conv"], "conv2"),
    (ConvNetConfig, "aux_heads", ["conv1", "conv1"], "twice"),
    (ConvNetConfig, "init", "zeros", "torch, glorot, he"),
    (MlpConfig, "family", "perceptron", "one of convnet, mlp, resnet, timm"),
    (MlpConfig, "softmax_output", 1, "true or false"),
    (MlpConfig, "hidden", 1024, "an array"),
    (MlpConfig, "hidden", [1024, 0], "an integer of at least 1"),
    (MlpConfig, "batch_norm", "yes", "true or false"),
    (MlpConfig, "activation", "swish", "relu"),
    (MlpConfig, "leaky_relu_slope", 1, "[0, 1)"),
    (MlpConfig, "dropout", [0.1, 1.0], "[0, 1)"),
    (MlpConfig, "dropout_flatten", [0.1], "[0, 1)"),
    (MlpConfig, "init", "zeros", "torch, glorot, he"),
    (TimmConfig, "family", "resnext", "one of convnet, mlp, resnet, timm"),
    (TimmConfig, "softmax_output", 1, "true or false"),
    (TimmConfig, "model_name", 18, "the name of a timm model"),
    (TimmConfig, "model_name", "hf-hub:somebody/model", "the name of a timm model"),
    (TimmConfig, "model_name", "local-dir:/tmp", "the name of a timm model"),
    (TimmConfig, "model_name", "resnet18\n", "the name of a timm model"),
    (TimmConfig, "model_name", "r" * 61, "the name of a timm model"),
    (TimmConfig, "pretrained", "yes", "true or false"),
    (TimmConfig, "drop_rate", 1.0, "[0, 1)"),
    (TimmConfig, "drop_path_rate", -0.1, "[0, 1)"),
    (TimmConfig, "pretrained_file", "a\nb", "the path of a file"),
    (TimmConfig, "pretrained_file", 3, "the path of a file"),
    (TimmConfig, "input_size", -1, "at least 0"),
    (TrainConfig, "flip_p", 1.1, "[0, 1]"),
    (TrainConfig, "flip_p", True, "[0, 1]"),
    (TrainConfig, "rotation", 181, "[0, 180]"),
    (TrainConfig, "rotation_p", -0.1, "[0, 1]"),
    (TrainConfig, "translation", 1, "[0, 1)"),
    (TrainConfig, "crop_padding", -1, "at least 0"),
    (TrainConfig, "brightness", -0.1, "[0, 255]"),
    (TrainConfig, "contrast", float("inf"), "[0, 255]"),
    (TrainConfig, "saturation", float("nan"), "[0, 255]"),
    (TrainConfig, "jitter_p", "always", "[0, 1]"),
    (TrainConfig, "sharpness", 256, "[0, 255]"),
    (TrainConfig, "sharpness_p", 2, "[0, 1]"),
    (TrainConfig, "erasing_area", 0, "(0, 1)"),
    (TrainConfig, "erasing_p", float("nan"), "[0, 1]"),
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
    (TrainConfig, "precision", "half", "float32, tf32, bfloat16"),
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
    (TrainConfig, "class_weights", "inverse", "none, balanced"),
    (TrainConfig, "freeze_epochs", -1, "at least 0"),
    (TrainConfig, "patience", -1, "at least 0"),
    (TrainConfig, "patience", 2.0, "an integer"),
    (TrainConfig, "aux_weight", -0.3, "at least 0"),
    (TrainConfig, "lr", 10**400, "positive"),
    (TrainConfig, "weight_decay", 10**400, "at least 0"),
    (ConvNetConfig, "padding", 2**31, "at most 2147483647"),
    (Protocol, "validation", 2**31, "at most 2147483647"),
    (Protocol, "epochs", 1.5, "at least 1"),
    (Protocol, "validation", 0, "a share below 1 or a count"),
    (Protocol, "validation", 1.5, "a share below 1"),
    (Protocol, "confirm", -1, "a share below 1 or a count"),
    (Protocol, "folds", 1, "0 for none, or an integer of at least 2"),
    (Protocol, "folds", 101, "at most 100"),
    (Protocol, "folds", -2, "at least 2"),
    (Protocol, "folds", 2**31, "at most 100"),
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
    kinds = (*MODEL_FAMILIES.values(), TrainConfig, Protocol)
    assert {(kind, f.name) for kind in kinds for f in fields(kind)} == {(kind, name) for kind, name, *_ in BAD_VALUES}


FIELDS = [(kind, f) for kind in (*MODEL_FAMILIES.values(), CustomConfig, TrainConfig, Protocol) for f in fields(kind)]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda part: getattr(part, "name", None))
def test_every_field_has_a_meaning_in_one_line(kind, field):
    meaning = field.metadata["meaning"]
    assert meaning
    assert meaning == meaning.strip().rstrip(".")
    assert "\n" not in meaning


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, f) for kind, f in FIELDS if f.name != "arguments"],  # which no file gives as one value
    ids=lambda part: getattr(part, "name", None),
)
def test_rules_say_what_their_errors_say(kind, field):
    rule = field.metadata["rule"]
    with pytest.raises(ValueError, match=r"^must be (.*), got <") as refused:
        rule(object())
    said = str(refused.value).removeprefix("must be ").partition(", got <")[0]
    assert said in rule.text


def test_every_layer_with_weights_can_be_named_for_weight_decay():
    network = trace(ConvNetConfig(aux_heads=("conv1", "pool2"), batch_norm=True), (1, 32, 32), 10)
    names = [layer.name for layer in network if layer.kind in ("conv", "linear")]
    assert names == ["conv1", "conv2", "conv3", "hidden1", "output", "aux_conv1", "aux_pool2"]
    assert TrainConfig(weight_decay_layers=names).weight_decay_layers == tuple(names)


def test_whole_numbers_become_floats_and_arrays_tuples_so_that_equal_configurations_compare_equal():
    assert TrainConfig(lr=1).lr == 1.0
    assert isinstance(TrainConfig(lr=1).lr, float)
    assert ConvNetConfig(filters=[6, 16, 120]) == ConvNetConfig(filters=(6, 16, 120))


def test_confirm_may_be_empty_and_parts_may_be_counts():
    assert check_value(Protocol, "confirm", 0) == 0
    assert check_value(Protocol, "validation", 5000) == 5000


@pytest.mark.parametrize(
    "model",
    [
        ConvNetConfig(filters=(8, 24), kernel_size=(5, 3), dropout=(0.1,)),
        MlpConfig(hidden=(64, 32), dropout=(0.1, 0.2)),
        TimmConfig(model_name="convnext_atto", drop_rate=0.1),
    ],
)
def test_configuration_survives_its_flat_values(model):
    configuration = Configuration(model, TrainConfig(optimizer="sgd", momentum=0.9))
    again = Configuration.from_values(configuration.values())
    assert again == configuration
    assert again.key() == configuration.key()


def test_keys_tell_configurations_apart():
    configurations = [
        Configuration(ConvNetConfig(), TrainConfig()),
        Configuration(ConvNetConfig(), TrainConfig(lr=2e-3)),
        Configuration(ConvNetConfig(batch_norm=True), TrainConfig()),
        Configuration(MlpConfig(), TrainConfig()),
        Configuration(TimmConfig(), TrainConfig()),
        Configuration(ResNetConfig(), TrainConfig()),
        Configuration(ResNetConfig(), TrainConfig(ema_decay=0.9)),
        Configuration(ResNetConfig(), TrainConfig(cutmix_alpha=1.0)),
        Configuration(ResNetConfig(), TrainConfig(cutmix_alpha=1.0, mix_p=0.5)),
    ]
    assert len({configuration.key() for configuration in configurations}) == 9


def test_values_of_fields_that_the_family_lacks_are_dropped():
    values = Configuration(ConvNetConfig(filters=(8,), hidden=(7,)), TrainConfig(lr=0.1)).values()
    configuration = Configuration.from_values(values | {"family": "mlp"})
    assert configuration == Configuration(MlpConfig(hidden=(7,)), TrainConfig(lr=0.1))


@pytest.mark.parametrize("model", MODEL_FAMILIES.values())
def test_field_names_are_unique_across_model_training_and_protocol(model):
    names = [*model.__dataclass_fields__, *TrainConfig.__dataclass_fields__, *Protocol.__dataclass_fields__]
    assert len(names) == len(set(names))


def test_unknown_family_is_refused():
    message = "family must be one of convnet, mlp, resnet, timm, custom, got 'resnext'"
    with pytest.raises(ValueError, match=message):
        Configuration.from_values({"family": "resnext"})


@pytest.mark.parametrize(("validation", "confirm"), [(0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_nothing_to_train_on_are_refused(validation, confirm):
    with pytest.raises(ValueError, match=f"must sum to less than 1, got {validation} and {confirm}"):
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
        "test_flip": False,
    }
    assert asdict(TrainConfig()) == {
        "flip_p": 0.0,
        "rotation": 0.0,
        "rotation_p": 1.0,
        "translation": 0.0,
        "crop_padding": 0,
        "brightness": 0.0,
        "contrast": 0.0,
        "saturation": 0.0,
        "jitter_p": 1.0,
        "sharpness": 2.0,
        "sharpness_p": 0.0,
        "erasing_area": 0.33,
        "erasing_p": 0.0,
        "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0,
        "mix_p": 1.0,
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
        "ema_decay": 0.0,
        "batch_size": 64,
        "clip_norm": 0.0,
        "precision": "float32",
        "label_smoothing": 0.0,
        "class_weights": "none",
        "patience": 0,
        "aux_weight": 0.3,
        "freeze_epochs": 0,
    }
    assert asdict(ConvNetConfig()) == {
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
    assert asdict(MlpConfig()) == {
        "family": "mlp",
        "softmax_output": False,
        "hidden": (1024,),
        "batch_norm": False,
        "activation": "relu",
        "leaky_relu_slope": 0.01,
        "dropout": 0.0,
        "dropout_flatten": 0.0,
        "init": "torch",
    }
    assert asdict(ResNetConfig()) == {
        "family": "resnet",
        "softmax_output": False,
        "filters": (32, 64, 128),
        "blocks": 1,
        "downsample_at": (1, 2),
        "downsampling": "stride",
        "activation": "relu",
        "leaky_relu_slope": 0.01,
        "dropout": 0.0,
        "init": "torch",
    }
    assert asdict(TimmConfig()) == {
        "family": "timm",
        "softmax_output": False,
        "model_name": "resnet18",
        "pretrained": False,
        "drop_rate": 0.0,
        "drop_path_rate": 0.0,
        "pretrained_file": "",
        "input_size": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_weights", "balanced"), ("freeze_epochs", 2), ("ema_decay", 0.9), ("mixup_alpha", 0.2),
        ("cutmix_alpha", 1.0), ("mix_p", 0.5), ("pretrained_file", "/w.pt"), ("input_size", 64),
    ],
)  # fmt: skip
def test_key_of_a_configuration_is_that_of_stores_without_the_field(name, value):
    family = {"family": "timm"} if name in TimmConfig.__dataclass_fields__ else {}
    assert name not in Configuration.from_values(family).key()
    assert json.loads(Configuration.from_values({name: value, **family}).key())[name] == value
