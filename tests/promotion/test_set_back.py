"""Which choices a champion has, and what is set back with each."""

from dataclasses import replace

import pytest

from sweeper.config import Configuration
from sweeper.promotion.set_back import each
from tests.promotion.finals import finalist

IMAGES = ((1, 32, 32), 10)
MOMENTUM = {"momentum": {"type": "float", "when": {"optimizer": "sgd"}}}


def of(*, epochs=15, **values):
    return replace(finalist(3), configuration=Configuration.from_values(values), epochs=epochs)


def set_back(champion, baseline, parameters=None, images=IMAGES):
    return {choice.name: choice for choice in each(champion, baseline, parameters or {}, *images)}


def test_each_choice_is_set_back_alone():
    champion = of(batch_norm=True, dropout=0.2, lr=0.01)
    found = set_back(champion, of())
    assert list(found) == ["batch_norm", "dropout", "lr"]
    assert found["dropout"].configuration == Configuration.from_values({"batch_norm": True, "lr": 0.01})
    assert found["dropout"].values == {"dropout": (0.2, 0.0)}
    assert found["dropout"].change == "dropout 0.2 instead of 0"
    assert all(choice.epochs == 15 and not choice.refused and not choice.along for choice in found.values())


def test_without_a_difference_there_is_no_choice():
    assert set_back(of(lr=0.1), of(lr=0.1)) == {}


@pytest.mark.parametrize("parameters", [MOMENTUM, {}])
def test_a_field_that_only_means_something_with_a_choice_goes_along_with_it(parameters):
    sgd, adam = of(optimizer="sgd", momentum=0.9, lr=0.1), of(lr=0.01)
    found = set_back(sgd, adam, parameters)
    assert list(found) == ["optimizer", "lr"]
    assert found["optimizer"].along == {"momentum": (0.9, 0.0)}
    assert found["optimizer"].configuration == Configuration.from_values({"lr": 0.1})
    assert found["optimizer"].change == "optimizer sgd instead of adam; momentum 0.9 instead of 0"
    # The other way round, the momentum comes with the optimizer.
    back = set_back(adam, sgd, parameters)
    assert list(back) == ["optimizer", "lr"]
    assert back["optimizer"].configuration == replace(
        sgd.configuration, train=replace(sgd.configuration.train, lr=0.01)
    )


def test_a_conditional_field_that_both_have_is_a_choice_of_its_own():
    found = set_back(of(optimizer="sgd", momentum=0.9), of(optimizer="sgd", momentum=0.8), MOMENTUM)
    assert {name: choice.values for name, choice in found.items()} == {"momentum": {"momentum": (0.9, 0.8)}}


def test_the_momentum_of_an_optimizer_outside_the_space_comes_with_it():
    found = set_back(of(), of(optimizer="rmsprop", momentum=0.5), MOMENTUM)
    assert found["optimizer"].along == {"momentum": (0.0, 0.5)}
    assert found["optimizer"].configuration.train.momentum == 0.5


def test_a_field_that_changes_nothing_is_no_choice():
    champion = of(step_gamma=0.1, leaky_relu_slope=0.3, rotation_p=0.5, momentum=0.9, mix_p=0.5)
    assert set_back(champion, of()) == {}
    resnet, downsampling = {"family": "resnet", "downsample_at": []}, {"downsampling": "max"}
    assert set_back(of(**resnet, **downsampling), of(**resnet)) == {}
    assert list(set_back(of(cutmix_alpha=1.0, mix_p=0.5), of())) == ["cutmix_alpha"]


def test_conditions_that_follow_from_each_other_are_kept():
    parameters = MOMENTUM | {"nesterov": {"type": "categorical", "when": {"momentum": 0.9}}}
    champion = of(optimizer="sgd", momentum=0.9, nesterov=True)
    found = set_back(champion, of(), parameters)
    assert list(found) == ["optimizer"]
    assert found["optimizer"].along == {"momentum": (0.9, 0.0), "nesterov": (True, False)}


def test_a_field_for_which_neither_has_a_value_needs_the_choice_that_decides_about_it():
    parameters = {"dropout": {"type": "float", "when": {"pooling": "avg", "activation": "tanh"}}}
    champion, baseline = of(pooling="avg", activation="relu"), of(pooling="max", activation="tanh")
    found = set_back(champion, baseline, parameters)
    # Champion with tanh would be a network with average pooling and tanh: its dropout was never chosen.
    assert list(found) == ["pooling", "pooling, activation"]
    assert found["pooling"].configuration.model.pooling == "max"
    assert found["pooling, activation"].configuration == baseline.configuration


def test_arrays_of_other_lengths_are_set_back_together():
    champion = of(filters=[8, 16], kernel_size=[3, 3], dropout_conv=[0.1, 0.1], hidden=[32])
    baseline = of(filters=[8, 16, 32], kernel_size=[3, 3, 3], dropout_conv=0.0)
    found = set_back(champion, baseline)
    assert "filters, kernel_size, dropout_conv" in found
    together = found["filters, kernel_size, dropout_conv"]
    assert together.configuration.model.filters == (8, 16, 32)
    assert together.configuration.model.hidden == (32,)
    # A single value fits any number of layers.
    assert {"dropout_conv", "hidden"} <= found.keys()
    assert "kernel_size" not in found


def test_a_choice_that_no_group_makes_valid_is_not_set_back_and_the_reason_is_kept():
    champion, baseline = of(filters=[8, 8], pool_after=[1], kernel_size=3), of(filters=[8, 8], pool_after=[1, 2])
    found = set_back(champion, baseline, images=((1, 11, 11), 10))
    # Of 11 pixels, a kernel of 5 leaves 7 and the pooling 3, too few for the second kernel of 5.
    assert all(choice.configuration is None for choice in found.values() if "kernel_size" in choice.name)
    assert "kernel_size" in found
    assert "conv2" in found["kernel_size"].refused
    assert found["pool_after"].configuration.model.kernel_size == 3


def test_another_family_is_one_choice_and_the_training_has_its_own():
    champion = of(family="mlp", hidden=[64], lr=0.1, weight_decay=1e-4, weight_decay_layers=["hidden1"])
    baseline = of(lr=0.01)
    found = set_back(champion, baseline)
    assert "lr" in found
    assert found["lr"].configuration.model == champion.configuration.model
    [network] = [choice for name, choice in found.items() if "family" in name]
    assert network.configuration.model == baseline.configuration.model
    assert network.configuration.train.lr == 0.1
    assert "hidden" not in found


def test_other_epochs_are_a_choice():
    found = set_back(of(epochs=25, lr=0.1), of(epochs=15))
    assert found["epochs"].values == {"epochs": (25, 15)}
    assert found["epochs"].configuration.train.lr == 0.1
    assert (found["epochs"].epochs, found["lr"].epochs) == (15, 25)


def own(network="nets:A", **arguments):
    return of(family="custom", network=network, code_sha256="0" * 64, lr=arguments["width"] / 10, **arguments)


@pytest.fixture
def untraced(monkeypatch):
    monkeypatch.setattr("sweeper.promotion.set_back.feasibility.trace", lambda *args: [])


def test_arguments_of_a_users_network_are_choices_whatever_they_are_called(untraced):
    found = set_back(own(width=4, pooling="max"), own(width=2, pooling="avg"))
    assert {name: choice.values for name, choice in found.items()} == {
        "pooling": {"pooling": ("max", "avg")}, "width": {"width": (4, 2)}, "lr": {"lr": (0.4, 0.2)},
    }  # fmt: skip
    assert dict(found["pooling"].configuration.model.arguments) == {"pooling": "avg", "width": 4}


def test_another_network_of_the_user_is_one_choice(untraced):
    champion, baseline = own(width=4), own("nets:B", width=2, depth=3)
    found = set_back(champion, baseline)
    assert {name: choice.values for name, choice in found.items()} == {
        "network": {"network": ("nets:A", "nets:B")}, "lr": {"lr": (0.4, 0.2)},
    }  # fmt: skip
    assert found["network"].configuration.model == baseline.configuration.model
    assert found["lr"].configuration.model == champion.configuration.model


def test_a_field_that_follows_from_the_network_is_no_choice_and_stays_as_the_champions():
    champion, baseline = of(batch_norm=True, precision="bfloat16"), of()
    (choice,) = each(champion, baseline, {}, *IMAGES, follow=("precision",))
    assert choice.name == "batch_norm"
    assert choice.configuration == Configuration.from_values({"precision": "bfloat16"})
    assert list(set_back(champion, baseline)) == ["batch_norm", "precision"]
