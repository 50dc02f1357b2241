"""The spaces that ship."""

import optuna
import pytest

from sweeper import layers, space_file
from sweeper.config import Configuration
from sweeper.data.catalog import INPUT_SHAPES
from sweeper.models import build

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
}


@pytest.mark.parametrize("name", space_file.names())
def test_every_variant_builds_with_the_parameters_of_its_architecture(name):
    space = space_file.load(name)
    assert space.datasets[0] == "fashion_mnist"
    built = {}
    for variant in space.variants.values():
        model = build(variant.configuration.model, *INPUT_SHAPES["fashion_mnist"])
        built[variant.name] = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    assert list(built.items()) == list(N_PARAMETERS[name].items())


@pytest.mark.parametrize("name", space_file.names())
def test_every_variant_is_a_point_of_its_space(name):
    space = space_file.load(name)
    for variant in space.variants.values():
        assert space.point(variant.configuration) is not None, variant.name


@pytest.mark.parametrize("name", space_file.names())
def test_no_draw_makes_a_network_that_cannot_take_the_images(name):
    space = space_file.load(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(50):
        layers.trace(space.suggest(study.ask()).model, *INPUT_SHAPES["fashion_mnist"])


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
    space = space_file.load(name)
    baseline = space.variants["baseline"].configuration
    for variant, change in changes.items():
        assert space.variants[variant].configuration == Configuration.from_values(baseline.values() | change)


def test_steps_add_one_change_to_the_one_before():
    networks = {name: v.configuration.model for name, v in space_file.load("lenet5_steps").variants.items()}
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
    for variant in space_file.load("lenet5_regularised").variants.values():
        train = variant.configuration.train
        assert (train.weight_decay, train.weight_decay_layers) == (0.02, ("conv1", "conv2"))
        assert not train.decoupled_weight_decay


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("lenet5_steps", {"validation": 0.2, "confirm": 0.0, "folds": 0}),
        ("lenet5_activations", {"confirm": 0.0, "folds": 5}),
        ("lenet5_regularised", {"validation": 0.1, "confirm": 0.1, "folds": 0}),
    ],
)
def test_protocols_are_those_of_the_studies(name, protocol):
    space = space_file.load(name)
    for field, value in ({"epochs": 15, "pixels": "unit", "repeats": 1} | protocol).items():
        assert getattr(space.protocol, field) == value


def test_every_figure_of_the_studies_is_labelled_by_its_split():
    figures = {
        (name, variant.name, entry["split"]): entry["accuracy"]
        for name in N_PARAMETERS
        for variant in space_file.load(name).variants.values()
        for entry in variant.reported
    }
    assert len([key for key in figures if key[2] == "validation"]) == 5 + 5 + 7
    assert {key: value for key, value in figures.items() if key[2] == "test"} == {
        ("lenet5_steps", "5.0", "test"): 0.9110,
        ("lenet5_activations", "relu", "test"): 0.8974,
        ("lenet5_activations", "leaky_relu", "test"): 0.8909,
        ("lenet5_regularised", "max_pooling", "test"): 0.8951,
        ("lenet5_regularised", "filters", "test"): 0.8830,
    }


def test_largest_network_of_lenet5_stays_under_four_times_the_baseline():
    space = space_file.load("lenet5")

    def cost(configuration):
        return layers.n_multiply_adds(layers.trace(configuration.model, (1, 28, 28), 10))

    sizes = [
        cost(Configuration.from_values({**space.fixed, "filters": filters, "kernel_size": kernel}))
        for filters in space.parameters["filters"].choices
        for kernel in space.parameters["kernel_size"].choices
    ]
    assert len(sizes) == 6
    assert max(sizes) < 4 * cost(space.variants["baseline"].configuration)
