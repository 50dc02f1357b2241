"""Spaces of users' networks: their arguments are keys of [model]."""

import pytest

from sweeper.config import ConvNetConfig, CustomConfig
from sweeper.errors import UsageError
from sweeper.models import code_files
from sweeper.spaces.reader import parse
from sweeper.spaces.writer import fixed_space
from tests.models.own_code import NETS, SPACE, forget_code, in_use


@pytest.fixture(autouse=True)
def code(tmp_path, monkeypatch):
    forget_code(monkeypatch)
    return in_use(tmp_path)


def read(text=SPACE, *overrides):
    return parse(text, name="own", file="own.toml", overrides=overrides)


def arguments(space, variant="baseline"):
    return dict(space.variant(variant).configuration.model.arguments)


def test_arguments_are_searched_fixed_or_left_at_their_defaults():
    space = read(SPACE, "dropout=0.25")
    assert list(space.parameters) == ["width", "depth"]
    assert arguments(space) == {"width": 2, "depth": 1, "dropout": 0.25}
    assert space.describe()["fixed"]["code_sha256"] == code_files.named("nets").sha256


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = {", "wdth = {", r"unknown key wdth; did you mean width\? \(own.toml, \[model\]\)"),
        ("[2, 4]", '[2, "four"]', r"width must be int, as annotated .*, got 'four' \(own.toml, \[model\]\)"),
        ("high = 2", "high = 2.5", r"depth must be int, as annotated .*got 2.5 \(own.toml, \[model\]\)"),
        ("width = 2\n", "width = true\n", r"width must be int, .* got True \(own.toml, \[variants.baseline\]\)"),
        ("width = 2\n", "breadth = 2\n", r"unknown key breadth.* \(own.toml, \[variants.baseline\]\)"),
        ('"nets:TinyNet"', '"TinyNet"', r'network must be a class or function as "module:name", such as'),
        ('"nets:TinyNet"', "7", "network must be a class or function"),
        ('network = "nets:TinyNet"\n', "", r'network must say which class .* "nets:TinyNet" \(own.toml, \[model\]\)'),
        ('"nets:TinyNet"', '"nets:TinyNets"', "nets.py has no class or function TinyNets; did you mean TinyNet?"),
        ('"nets:TinyNet"', '{ choices = ["nets:TinyNet"] }', "network must be one for the whole space, got a param"),
        ('"nets:TinyNet"', '"nets:TinyNet"\ncode_sha256 = "0"', "code_sha256 must be that of the code of nets:TinyNet"),
        ('"nets:TinyNet"', '"nets:TinyNet"\narguments = []', "unknown key arguments"),
        ("lr = 0.01", "lr = 0.01\nweight_decay_layers = ['conv1']", "weight_decay_layers must be empty .* your own"),
    ],
)
def test_mistake_is_one_line_with_file_key_rule_and_value(old, new, message):
    assert old in SPACE
    text = SPACE.replace(old, new).replace('title = "own"', 'title = "own"\ndatasets = ["mnist"]')
    with pytest.raises(UsageError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_argument_without_default_must_always_have_a_value(tmp_path):
    in_use(tmp_path, NETS.replace("width: int = 4", "width: int"))
    assert arguments(read())["width"] == 2
    with pytest.raises(UsageError, match=r"width must always have a value, because nets:TinyNet has no default for it"):
        read(SPACE.replace("width = { choices = [2, 4] }\n", ""))
    with pytest.raises(UsageError, match=r"width must have a value, because .* \(own.toml, \[variants.baseline\]\)"):
        read(SPACE.replace("width = 2\n", ""))
    with pytest.raises(UsageError, match="width must always have a value"):
        read(SPACE.replace("[2, 4] }", '[2, 4], when = { optimizer = "sgd" } }'))


def test_argument_that_is_a_field_of_training_is_refused(tmp_path):
    in_use(tmp_path, NETS.replace("dropout", "momentum"))
    with pytest.raises(UsageError, match=r"takes an argument momentum, but .*: rename it \(own.toml, \[model\]\)"):
        read()


def test_impossible_shape_of_a_variant_is_found_on_loading():
    text = SPACE.replace('title = "own"', 'title = "own"\ndatasets = ["mnist"]')
    with pytest.raises(UsageError, match=r"nets:TinyNet cannot take images of 1x28x28: .*\[variants.baseline\]"):
        read(text + "[variants.deep]\ndepth = 9", "depth=1:9", "depth=9")


def test_variants_may_be_of_other_networks_and_families(tmp_path):
    more = """
[variants.wide]
width = 4

[variants.other]
network = "nets:Other"
lr = 0.1

[variants.classic]
family = "convnet"
filters = [2]
kernel_size = 3
pool_after = [1]
"""
    in_use(tmp_path, f"{NETS}\n\ndef Other(input_shape, n_classes, width: float = 0.5):\n    return None\n")
    space = read(SPACE + more)
    assert arguments(space, "wide") == {"width": 4, "depth": 1, "dropout": 0.0}
    assert arguments(space, "other") == {"width": 0.5}
    assert space.variant("other").configuration.train.lr == 0.1
    assert isinstance(space.variant("classic").configuration.model, ConvNetConfig)


def test_network_of_the_users_may_be_a_variant_of_another_space():
    text = SPACE.replace('family = "custom"\nnetwork = "nets:TinyNet"\n', "").split("width = {")[0]
    text += """
hidden = [84]
dropout = 0.5
[variants.baseline]
[variants.mine]
family = "custom"
network = "nets:TinyNet"
width = 8
"""
    model = read(text).variant("mine").configuration.model
    assert isinstance(model, CustomConfig)
    assert dict(model.arguments) == {"width": 8, "depth": 1, "dropout": 0.0}


def test_written_configuration_is_read_as_the_same():
    space = read(SPACE, "dropout=0.25")
    configuration = space.variant("baseline").configuration
    text = fixed_space(configuration, space.protocol, "one")
    assert parse(text, name="one", file="one.toml").variant("baseline").configuration == configuration


def test_parameters_draw_arguments_and_a_condition_may_name_one():
    space = read(SPACE, "depth={ low = 1, high = 2, when = { width = 2 } }")
    points = list(space.grid())
    assert points == [{"width": 2, "depth": 1}, {"width": 2, "depth": 2}, {"width": 4}]
    assert space.point(space.variant("baseline").configuration) == {"width": 2, "depth": 1}
