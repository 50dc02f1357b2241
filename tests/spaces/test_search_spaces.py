"""The spaces that ship."""

from dataclasses import replace

import optuna
import pytest

from sweeper.config import Configuration
from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.models import layers
from sweeper.models.families import build, trace, without_weights
from sweeper.spaces import reader
from sweeper.training.augment import is_on

# Trainable parameters of every variant, from the architectures of the studies.
N_PARAMETERS = {
    "lenet5": {"baseline": 61_706},
    "lenet5_steps": {"baseline": 61_706, "2.0": 61_706, "3.0": 65_818, "4.0": 65_722, "5.0": 66_038},
    "lenet5_activations": dict.fromkeys(("baseline", "relu", "max_pooling", "dropout", "leaky_relu"), 61_706),
    "lenet5_regularised": {
        "baseline": 61_706,
        "max_pooling": 61_706,
        "filters": 255_230,
        "sgd_0.1": 61_706,
        "extra_conv": 22_186,
        "dropout": 61_706,
        "sgd_0.01": 61_706,
    },
    "cifar100_mlp_lenet5": {
        # By hand: the perceptrons with 1,024, and with 1,024 and 512 hidden units; LeNet-5's convs 456 + 2,416 + 48,120
        # with linear layers of 84 or of 120 and 84, batch norm 284; its fourth conv instead, 4,640 + 34,680.
        **dict.fromkeys(("baseline", "mlp_one_cycle"), 3 * 32 * 32 * 1024 + 1024 + 1024 * 100 + 100),
        **dict.fromkeys(("mlp_cosine", "mlp_cyclic", "mlp_exponential"), 3_249_252),
        "mlp_deeper": 3 * 32 * 32 * 1024 + 1024 + 1024 * 512 + 512 + 512 * 100 + 100,
        **dict.fromkeys(("lenet5", "lenet5_one_cycle"), 456 + 2_416 + 48_120 + 10_164 + 8_500),
        "lenet5_deeper": 456 + 2_416 + 48_120 + 284 + 14_520 + 10_164 + 8_500,
        "lenet5_conv": 456 + 2_416 + 4_640 + 34_680 + 348 + 14_520 + 10_164 + 8_500,
    },
    "cifar10_dropout": {
        # By hand: convs 896 + 9,248 + 18,496 + 36,928, the 5x5x64 map into 512 units 819,712, and 5,130.
        **dict.fromkeys(("baseline", "dropout_0.2", "dropout_0.5", "dropout_0.8"), 890_410),
        "deep": 1_702_186,
    },
    # As above: convs 65,568 + 221,440 and batch norm 896, the 4x4x128 map into 128 units 262,272, and 1,290.
    "vgg_small": {"baseline": 896 + 9_248 + 18_496 + 36_928 + 73_856 + 147_584 + 896 + 262_272 + 1_290},
    # By hand, without biases: convs 288; 18,432 + 36,864 + 2,048 and 73,728 + 147,456 + 8,192 in the stages; batch norm
    # 64 + 384 + 768; 1,290 for the classes. For colour 576 more, and a third stage: 917,504, batch norm 1,536, 1,280.
    "grey_modern": dict.fromkeys(("baseline", "gentle"), 288 + 57_344 + 229_376 + 1_216 + 1_290),
    "resnet_small": dict.fromkeys(("baseline", "gentle"), 289_514 + 576 + 917_504 + 1_536 + 1_280),
    # ResNet-18 has 11,689,512 for 1,000 classes (He et al., 2015): 513,000 in its last layer, here 5,130.
    "timm_small": {"baseline": 11_689_512 - 513_000 + 5_130},
    "timm_finetune": {"baseline": 11_689_512 - 513_000 + 5_130},
}
STUDIES = ("lenet5_steps", "lenet5_activations", "lenet5_regularised", "cifar100_mlp_lenet5", "cifar10_dropout")
# Those that no trial of the search could have.
COMPARATORS = {
    "cifar100_mlp_lenet5": {"lenet5", "lenet5_one_cycle", "lenet5_deeper", "lenet5_conv"},
    "cifar10_dropout": {"deep"},
}


def images_of(space):
    """What the space is for; small colour images where it is for any."""
    return INPUT_SHAPES[space.datasets[0] if space.datasets else "cifar10"]


@pytest.mark.parametrize("name", reader.names())
def test_every_variant_builds_with_the_parameters_of_its_architecture(name):
    space = reader.load(name)
    built = {}
    for variant in space.variants.values():
        model = build(without_weights(variant.configuration.model), *images_of(space))
        built[variant.name] = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    assert built == N_PARAMETERS[name]


@pytest.mark.parametrize("name", reader.names())
def test_every_variant_but_the_comparators_is_a_point_of_its_space(name):
    space = reader.load(name)
    outside = {variant.name for variant in space.variants.values() if space.point(variant.configuration) is None}
    assert outside == COMPARATORS.get(name, set())


@pytest.mark.parametrize("name", reader.names())
def test_no_draw_makes_a_network_that_cannot_take_the_images(name):
    space = reader.load(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        trace(space.suggest(study.ask()).model, *images_of(space))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "lenet5_activations",
            {
                "relu": {"activation": "relu"},
                "max_pooling": {"pooling": "max"},
                "dropout": {"dropout_conv": 0.25, "dropout_flatten": 0.25, "dropout": 0.5},
                "leaky_relu": {"activation": "leaky_relu", "leaky_relu_slope": 0.3},
            },
        ),
        (
            "lenet5_regularised",
            {
                "max_pooling": {"pooling": "max"},
                "filters": {"filters": (32, 64, 120)},
                "sgd_0.1": {"optimizer": "sgd", "lr": 0.1, "schedule": "step"},
                "extra_conv": {"filters": (6, 16, 32, 120), "kernel_size": (5, 5, 3, 1), "pool_after": (1, 2, 3)},
                "dropout": {"dropout_pool": 0.2, "dropout": 0.1},
                "sgd_0.01": {"optimizer": "sgd", "lr": 0.01, "schedule": "step"},
            },
        ),
    ],
)
def test_variants_differ_from_the_baseline_by_their_one_change(name, changes):
    space = reader.load(name)
    baseline = space.variants["baseline"].configuration
    for variant, change in changes.items():
        assert space.variants[variant].configuration == Configuration.from_values(baseline.values() | change)


def test_steps_add_one_change_to_the_one_before():
    networks = {name: v.configuration.model for name, v in reader.load("lenet5_steps").variants.items()}
    shapes = {
        name: [layer.output_shape for layer in layers.trace(model, (1, 28, 28), 10) if layer.kind == "conv"]
        for name, model in networks.items()
    }
    assert shapes["baseline"] == shapes["2.0"] == [(6, 28, 28), (16, 10, 10), (120, 1, 1)]
    assert shapes["3.0"] == shapes["4.0"] == shapes["5.0"] == [(6, 28, 28), (16, 14, 14), (16, 10, 10), (120, 1, 1)]
    assert [model.dropout_flatten for model in networks.values()] == [0, 0.1, 0.1, 0.1, 0.1]
    assert [model.batch_norm for model in networks.values()] == [False, False, False, False, True]
    assert all(model.softmax_output and not model.hidden_activation for model in networks.values())


def test_penalty_of_0_01_is_a_weight_decay_of_0_02_on_the_first_two_convs():
    for variant in reader.load("lenet5_regularised").variants.values():
        train = variant.configuration.train
        assert (train.weight_decay, train.weight_decay_layers) == (0.02, ("conv1", "conv2"))
        assert not train.decoupled_weight_decay


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("lenet5_steps", {"validation": 0.2, "confirm": 0.0, "folds": 0}),
        ("lenet5_activations", {"confirm": 0.0, "folds": 5}),
        ("lenet5_regularised", {"validation": 0.1, "confirm": 0.1, "folds": 0}),
        ("cifar100_mlp_lenet5", {"epochs": 100, "pixels": "standard", "repeats": 15}),
        ("cifar10_dropout", {"epochs": 20, "validation": 1000, "confirm": 0, "pixels": "standard"}),
    ],
)
def test_protocols_are_those_of_the_studies(name, protocol):
    space = reader.load(name)
    for field, value in ({"epochs": 15, "pixels": "unit", "repeats": 1} | protocol).items():
        assert getattr(space.protocol, field) == value


def test_every_figure_of_the_studies_is_labelled_by_its_split():
    figures = {
        (name, variant.name, entry["split"]): entry.get("accuracy", entry.get("best_accuracy"))
        for name in STUDIES
        for variant in reader.load(name).variants.values()
        for entry in variant.reported
    }
    assert len([key for key in figures if key[2] == "validation"]) == 5 + 5 + 7 + 4
    assert {key: value for key, value in figures.items() if key[2] == "test"} == {
        ("lenet5_steps", "5.0", "test"): 0.9110,
        ("lenet5_activations", "relu", "test"): 0.8974,
        ("lenet5_activations", "leaky_relu", "test"): 0.8909,
        ("lenet5_regularised", "max_pooling", "test"): 0.8951,
        ("lenet5_regularised", "filters", "test"): 0.8830,
        ("cifar100_mlp_lenet5", "baseline", "test"): 0.1493,
        ("cifar100_mlp_lenet5", "lenet5", "test"): 0.0259,
        ("cifar100_mlp_lenet5", "mlp_one_cycle", "test"): 0.2151,
        ("cifar100_mlp_lenet5", "lenet5_one_cycle", "test"): 0.297,
        ("cifar100_mlp_lenet5", "mlp_deeper", "test"): 0.2682,
        ("cifar100_mlp_lenet5", "lenet5_deeper", "test"): 0.27,
        ("cifar10_dropout", "dropout_0.2", "test"): 0.7495,
        ("cifar10_dropout", "deep", "test"): 0.8196,
    }


def test_dropout_study_trains_its_deep_network_longer_and_tells_last_from_best_epochs():
    variants = reader.load("cifar10_dropout").variants
    assert {name: variant.epochs for name, variant in variants.items() if variant.epochs} == {"deep": 25}
    best = {name: v.reported[0].get("best_accuracy") for name, v in variants.items()}
    assert best == {"baseline": 0.736, "dropout_0.2": 0.778, "dropout_0.5": 0.762, "dropout_0.8": 0.627, "deep": None}
    assert variants["baseline"].reported[0]["accuracy"] == 0.723
    train = variants["deep"].configuration.train
    assert (train.optimizer, train.lr, train.momentum, train.batch_size) == ("sgd", 0.05, 0.9, 32)


def test_first_step_of_the_cifar100_study_is_the_same_for_both_families():
    variants = reader.load("cifar100_mlp_lenet5").variants
    mlp, lenet5 = (variants[name].configuration.train for name in ("mlp_one_cycle", "lenet5_one_cycle"))
    assert (mlp.lr * mlp.cycle_start, mlp.lr) == pytest.approx((4e-6, 1e-4))
    assert (lenet5.lr * lenet5.cycle_start, lenet5.lr) == pytest.approx((2e-4, 1e-2))
    assert replace(lenet5, lr=mlp.lr, cycle_start=mlp.cycle_start) == mlp
    changes = {
        "flip_p": 0.1, "rotation": 20, "sharpness": 2, "sharpness_p": 0.1, "brightness": 0.1, "contrast": 0.1,
        "saturation": 0.1, "clip_norm": 1, "weight_decay": 1e-3, "momentum_low": 0.85, "momentum_high": 0.95,
    }  # fmt: skip
    assert {name: getattr(mlp, name) for name in changes} == changes
    for name in ("baseline", "lenet5"):
        plain = variants[name].configuration.train
        assert (plain.lr, plain.batch_size, plain.schedule, plain.momentum) == (1e-4, 64, "constant", 0)
        assert (plain.clip_norm, plain.weight_decay) == (0, 0)
        assert not is_on(plain)


def test_largest_network_of_lenet5_stays_under_four_times_the_baseline():
    space = reader.load("lenet5")

    def cost(configuration):
        return layers.n_multiply_adds(layers.trace(configuration.model, (1, 28, 28), 10))

    sizes = [
        cost(Configuration.from_values({**space.fixed, "filters": filters, "kernel_size": kernel}))
        for filters in space.parameters["filters"].choices
        for kernel in space.parameters["kernel_size"].choices
    ]
    assert len(sizes) == 6
    assert max(sizes) < 4 * cost(space.variants["baseline"].configuration)
