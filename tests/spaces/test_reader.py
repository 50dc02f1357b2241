import tracemalloc

import pytest

from sweeper.errors import UsageError
from sweeper.spaces import reader

# The example of the documentation, whole.
EXAMPLE = """
[space]
title = "LeNet-5 and its relatives, 28x28 grayscale"
datasets = ["fashion_mnist", "mnist", "kmnist"]

[protocol]
epochs = 15
validation = 0.1
confirm = 0.1
pixels = "standard"

[model]
family = "convnet"
filters = { choices = [[6, 16, 120], [8, 24, 120], [12, 32, 120]] }
kernel_size = { choices = [3, 5] }
padding = [2, 0, 0]
pool_after = [1, 2]
pooling = { choices = ["max", "avg"] }
batch_norm = { choices = [false, true] }
activation = { choices = ["relu", "leaky_relu", "tanh", "elu", "gelu", "silu"] }
hidden = [84]
dropout = { type = "float", low = 0.0, high = 0.5 }

[train]
optimizer = { choices = ["adam", "adamw", "sgd"] }
lr = { type = "float", low = 1e-4, high = 3e-1, log = true }
momentum = { type = "float", low = 0.8, high = 0.98, when = { optimizer = "sgd" } }
schedule = { choices = ["constant", "step", "cosine", "one_cycle", "exponential"] }
weight_decay = { choices = [0.0, 1e-5, 1e-4, 1e-3] }
batch_size = { choices = [64, 128, 256] }

[variants.baseline]
filters = [6, 16, 120]
kernel_size = 5
pooling = "max"
activation = "relu"
lr = 1e-3

[variants."4.0"]
pooling = "avg"

[variants."5.0"]
extends = "4.0"
batch_norm = true
reported = { split = "validation", accuracy = 0.9126, train_accuracy = 0.9296 }
"""


def parse(text, *overrides):
    return reader.parse(text, name="mine", file="mine.toml", overrides=overrides)


def minimal(model="", train="", rest="[variants.baseline]\n"):
    return f'[space]\ndatasets = ["fashion_mnist"]\n[model]\npadding = [2, 0, 0]\n{model}\n[train]\n{train}\n{rest}'


def test_documented_example_loads():
    space = parse(EXAMPLE)
    assert list(space.variants) == ["baseline", "4.0", "5.0"]
    five = space.variants["5.0"].configuration.model
    assert (five.pooling, five.batch_norm, five.filters) == ("avg", True, (6, 16, 120))
    assert space.variants["5.0"].reported == ({"split": "validation", "accuracy": 0.9126, "train_accuracy": 0.9296},)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model", "not valid TOML"),
        ("[models]\n", "unknown table [models]; did you mean model? (mine.toml)"),
        ("model = 3\n", "model must be a table, got 3 (mine.toml)"),
        ("[space]\ntitel = 'x'\n", "unknown key titel; did you mean title? (mine.toml, [space])"),
        ("[space]\ntitle = 3\n", "title must be a string, got 3 (mine.toml, [space])"),
        ("[space]\ndatasets = ['imagenet']\n", "got 'imagenet' (mine.toml, [space])"),
        ("[space]\ndatasets = [['mnist']]\n", "got ['mnist'] (mine.toml, [space])"),
        ("[protocol]\nepochs = 0\n", "epochs must be an integer of at least 1, got 0 (mine.toml, [protocol])"),
        (minimal(rest=""), "a space needs [variants.baseline] (mine.toml)"),
        (minimal("droput = 0.1"), "unknown key droput; did you mean dropout? (mine.toml, [model])"),
        (minimal("dropout = 1.5"), "dropout must be in [0, 1), got 1.5 (mine.toml, [model])"),
        (minimal("dropout = { low = 0.0, high = 1.5 }"), "dropout must be in [0, 1), got 1.5 (mine.toml, [model])"),
        (minimal("dropout = { low = 0.5, high = 0.1 }"), "dropout.low must be at most high, got 0.5 and 0.1"),
        (minimal("dropout = { low = 0.1 }"), "dropout must have choices, or low and high"),
        (minimal("dropout = { low = 0.1, high = 0.2, lag = true }"), "unknown key dropout.lag; did you mean log?"),
        (minimal("dropout = { low = 0.0, high = 0.2, log = true }"), "dropout.log needs low above 0"),
        (minimal("dropout = { low = 0.0, high = 0.5, step = 0.2 }"), "dropout.step must divide high - low, got 0.2"),
        (minimal("dropout = { low = 0.0, high = 0.5, step = -1 }"), "dropout.step must be a positive float, got -1"),
        (minimal("dropout = { low = 0.0, high = 0.5, type = 'int' }"), "dropout.type must be 'float', got 'int'"),
        (minimal("dropout = { low = '0', high = 0.5 }"), "dropout.low must be a number, got '0'"),
        (minimal("kernel_size = { low = 3, high = 5.5 }"), "kernel_size must be an integer of at least 1, got 5.5"),
        (minimal("pooling = { choices = [] }"), "pooling.choices must be a non-empty array, got []"),
        (minimal("pooling = { choices = ['max', 'max'] }"), "pooling.choices must differ, got 'max' twice"),
        (minimal("pooling = { choices = ['max'], low = 1 }"), "unknown key pooling.low"),
        (minimal("family = { choices = ['convnet'] }"), "family must be one of convnet"),
        (minimal(train="momentum = { low = 0.8, high = 0.9, when = 'sgd' }"), "momentum.when must be a table"),
        (
            minimal(train="momentum = { low = 0.8, high = 0.9, when = { optimiser = 'sgd' } }"),
            "momentum.when names unknown key optimiser; did you mean optimizer? (mine.toml, [train])",
        ),
        (
            minimal(
                train="optimizer = { choices = ['adam', 'sgd'] }\n"
                "momentum = { low = 0.8, high = 0.9, when = { optimizer = 'adamw' } }"
            ),
            "momentum.when.optimizer must be one of its choices, got 'adamw'",
        ),
        (
            minimal(
                "pooling = { choices = ['max', 'avg'], when = { activation = 'relu' } }\n"
                "activation = { choices = ['relu', 'tanh'], when = { pooling = 'max' } }"
            ),
            "goes round in a circle",
        ),
        (
            minimal(rest="[variants.baseline]\nfilter = [6]\n"),
            "unknown key filter; did you mean filters? (mine.toml, [variants.baseline])",
        ),
        (minimal(rest="[variants]\nbaseline = 3\n"), "baseline must be a table, got 3 (mine.toml, [variants])"),
        (minimal(rest="[variants.baseline]\n[variants.b]\nextends = 'c'\n"), "extends names unknown variant 'c'"),
        (minimal(rest="[variants.baseline]\nextends = 'b'\n[variants.b]\n"), "circle: baseline -> b -> baseline"),
        (
            minimal(rest="[variants.baseline]\nmomentum_low = 0.9\nmomentum_high = 0.8\n"),
            "momentum_low must be at most momentum_high, got 0.9 and 0.8",
        ),
        (
            minimal(rest="[variants.baseline]\nreported = { accuracy = 0.9 }\n"),
            "reported.split must be one of train, validation, test, got None",
        ),
        (
            minimal(rest="[variants.baseline]\nreported = { split = 'test', accuracy = 'high' }\n"),
            "reported.accuracy must be a finite number, got 'high'",
        ),
        (
            minimal(rest="[variants.baseline]\nreported = { split = 'test', accuracy = nan }\n"),
            "reported.accuracy must be a finite number, got nan",
        ),
        (
            minimal(rest="[variants.baseline]\nreported = { split = 'test', acuracy = 0.9 }\n"),
            "unknown key reported.acuracy; did you mean accuracy? (mine.toml, [variants.baseline])",
        ),
        (
            minimal(rest="[variants.baseline]\n[variants.b]\n"),
            "variants must differ, got baseline and b equal (mine.toml, [variants])",
        ),
        (
            minimal(train="weight_decay_layers = ['conv2', 'conv4']"),
            "weight_decay_layers must be among conv1, conv2, conv3, hidden1, output here, got 'conv4'; did you mean "
            "conv3? (mine.toml, [variants.baseline])",
        ),
        (minimal(rest="[variants.baseline]\nextend = 'c'\n"), "unknown key extend; did you mean extends?"),
        (minimal(rest="[variants.baseline]\nreport = 3\n"), "unknown key report; did you mean reported?"),
        (
            "[protocol]\nvalidation = 0.6\nconfirm = 0.5\n",
            "validation and confirm as shares must sum to less than 1, got 0.6 and 0.5 (mine.toml, [protocol])",
        ),
        (minimal("'dropout\\n' = 1").replace("'", '"'), "unknown key 'dropout\\n'; did you mean dropout?"),
        (
            minimal(rest='[variants.baseline]\n[variants."b\\nc"]\n'),
            "a variant's name must be 1 to 100 printable characters, got 'b\\nc' (mine.toml, [variants])",
        ),
        (minimal(rest='[variants.baseline]\n[variants." "]\n'), "got ' ' (mine.toml, [variants])"),
        (minimal(rest=f'[variants.baseline]\n[variants.{"b" * 101}]\n'), "must be 1 to 100 printable characters"),
        ('[space]\ntitle = "a\\u001b[2J"\n', "title must be one line of printable text, got 'a\\x1b[2J'"),
        (".".join(["a"] * 40) + " = 1", "not valid TOML: nested too deeply (mine.toml)"),
        (minimal("kernel_size = 2147483648"), "must be an integer of at most 2147483647, got 2147483648"),
        (minimal("input_padding = 9223372036854775807"), "at most 2147483647"),
        (minimal(train="lr = 1" + "0" * 400), "not valid TOML: an integer must fit in 64 bits (mine.toml)"),
        (minimal(train="lr = 1" + "0" * 5000), "not valid TOML: "),
        (minimal(train="lr = 0x1" + "0" * 5000), "not valid TOML: "),
        ("a = " + "[" * 5000, "not valid TOML: nested too deeply"),
        (minimal("dropout = { low = 0.0, high = 0.5, step = 1e-99 }"), "dropout.step must make at most 1,000,000"),
        (minimal("dropout = { low = 0.0, high = 0.5, step = nan }"), "dropout.step must be a positive float, got nan"),
        (
            minimal("kernel_size = 31", rest="[variants.baseline]\nkernel_size = 5\n"),
            "the fixed values give no valid network: conv2: kernel_size 31 is larger than its 1x1 map (padding 0), "
            "with images of fashion_mnist (mine.toml, [model])",
        ),
        (
            minimal(rest="[variants.baseline]\n[variants.b]\nkernel_size = [5, 5, 7]\n"),
            "conv3: kernel_size 7 is larger than its 5x5 map (padding 0), with images of fashion_mnist "
            "(mine.toml, [variants.b])",
        ),
        (
            minimal("kernel_size = { choices = [3, 40] }", rest="[variants.baseline]\nkernel_size = 3\n"),
            "kernel_size 40 fits no network of this space",
        ),
    ],
)  # fmt: skip
def test_mistake_is_named_by_file_table_key_rule_and_value(text, message):
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_choice_that_fits_in_some_combination_is_allowed():
    space = parse(
        minimal("filters = { choices = [[6, 16, 120], [6, 16]] }\nkernel_size = { choices = [5, [5, 9]] }").replace(
            "padding = [2, 0, 0]", "padding = 2"
        )
    )
    assert space.parameters["kernel_size"].choices == (5, (5, 9))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("pooling=avg", "avg"),
        ('pooling="avg"', "avg"),
        ("batch_norm=true", True),
        ("filters=[8,24,120]", (8, 24, 120)),
        ("lr=0.01", 0.01),
        ("dropout=0", 0.0),
        ("padding=same", "same"),
    ],
)
def test_override_fixes_the_parameter_for_variants_too(override, expected):
    space = parse(EXAMPLE, override)
    key = override.partition("=")[0]
    assert key not in space.parameters
    assert {v.configuration.values()[key] for v in space.variants.values()} == {expected}


def test_override_of_the_protocol_is_taken():
    assert parse(EXAMPLE, "validation=500", "pixels=unit").protocol.validation == 500


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("dropout=0.1:0.4", {"type": "float", "low": 0.1, "high": 0.4, "step": None, "log": False}),
        ("lr=1e-3:1e-1", {"type": "float", "low": 1e-3, "high": 1e-1, "step": None, "log": True}),
        ("lr={low=1e-3,high=1e-1}", {"type": "float", "low": 1e-3, "high": 1e-1, "step": None, "log": False}),
        (
            "momentum=0.5:0.9",
            {"type": "float", "low": 0.5, "high": 0.9, "step": None, "log": False, "when": {"optimizer": "sgd"}},
        ),
        ("momentum=0.5,0.9", {"type": "categorical", "choices": [0.5, 0.9], "when": {"optimizer": "sgd"}}),
        ("momentum={choices=[0.5,0.9]}", {"type": "categorical", "choices": [0.5, 0.9]}),
        ("kernel_size=3:5", {"type": "int", "low": 3, "high": 5, "step": 1, "log": False}),
        ("activation=relu,tanh", {"type": "categorical", "choices": ["relu", "tanh"]}),
        ("filters={choices=[[6,16,120]]}", {"type": "categorical", "choices": [(6, 16, 120)]}),
    ],
)
def test_override_redefines_what_is_searched(override, words):
    space = parse(EXAMPLE, override)
    assert space.describe()["parameters"][override.partition("=")[0]] == words


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("droput=0.1", "unknown key droput; did you mean dropout? (--set droput=0.1)"),
        ("dropout=1.5", "dropout must be in [0, 1), got 1.5 (--set dropout=1.5)"),
        ("dropo\nut=1", "unknown key 'dropo\\nut'; did you mean dropout? (--set 'dropo\\nut=1')"),
        ("epochs=1:3", "epochs must be an integer of at least 1, got {'low': 1, 'high': 3} (--set epochs=1:3)"),
        ("confirm=0.95", "must sum to less than 1, got 0.1 and 0.95 (--set confirm=0.95)"),
        ("activation=relu,swish", "activation must be one of"),
    ],
)
def test_bad_override_is_named(override, message):
    with pytest.raises(UsageError) as refused:
        parse(EXAMPLE, override)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_condition_on_a_parameter_fixed_by_an_override_follows_it():
    space = parse(EXAMPLE, "optimizer=adam")
    assert space.point(space.variants["baseline"].configuration).keys().isdisjoint({"momentum", "optimizer"})


def test_file_by_path_is_read_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE)
    assert reader.load(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(UsageError, match=r"no space 'missing\.toml': neither a file nor one of .*, lenet5,"):
        reader.load("missing.toml")


def test_ranges_cannot_be_infinite_or_undefined():
    for end in ("inf", "nan"):
        with pytest.raises(UsageError, match=r"lr must be a positive number, got (inf|nan)"):
            parse(minimal(train=f"lr = {{ low = 1e-3, high = {end} }}"))


def test_variants_keep_a_fixed_value_that_an_override_makes_a_search_of():
    for override in ("hidden={choices=[[32],[64]]}", "hidden={choices=[[84],[64]]}"):
        space = parse(EXAMPLE.replace("hidden = [84]", "hidden = [100]"), override)
        assert "hidden" in space.parameters
        assert {v.configuration.model.hidden for v in space.variants.values()} == {(100,)}
    text = minimal("input_padding = 1", rest="[variants.baseline]\n[variants.b]\ninput_padding = 3\n")
    variants = parse(text, "input_padding=2,3").variants
    assert [v.configuration.model.input_padding for v in variants.values()] == [1, 3]


def test_variants_lose_their_own_value_to_a_new_fixed_one_only():
    text = minimal(rest="[variants.baseline]\nlr = 0.5\n")
    assert parse(text, "lr=0.1").variants["baseline"].configuration.train.lr == 0.1
    assert parse(text, "lr=0.1,0.2").variants["baseline"].configuration.train.lr == 0.5


def test_last_of_several_overrides_of_a_key_counts():
    space = parse(minimal("input_padding = 1"), "input_padding=2,3", "input_padding=4")
    assert space.variants["baseline"].configuration.model.input_padding == 4


def test_bad_value_of_a_variant_is_not_put_down_to_an_override():
    text = minimal(rest="[variants.baseline]\nlr = 0\n")
    with pytest.raises(UsageError, match=r"lr must be a positive number, got 0 \(mine\.toml, \[variants\.baseline\]\)"):
        parse(text, "lr=0.1,0.2")


def test_shape_that_an_override_spoils_names_variant_and_override():
    with pytest.raises(UsageError) as refused:
        parse(EXAMPLE, "kernel_size=31", "lr=0.1")
    assert str(refused.value).endswith("(mine.toml, [variants.baseline], --set kernel_size=31)")


def test_variants_that_an_override_makes_equal_are_taken():
    variants = parse(EXAMPLE, "pooling=max").variants
    assert variants["baseline"].configuration == variants["4.0"].configuration


def test_decayed_layer_that_an_override_spoils_names_variant_and_override():
    text = minimal(train="weight_decay_layers = ['hidden1']")
    assert parse(text).variants["baseline"].configuration.train.weight_decay_layers == ("hidden1",)
    for override in ("hidden=[]", "weight_decay_layers=['hidden2']"):
        with pytest.raises(UsageError) as refused:
            parse(text, override)
        assert str(refused.value).endswith(f"(mine.toml, [variants.baseline], --set {override})")


def test_decayed_layers_of_a_timm_network_are_refused_on_loading():
    text = EXAMPLE + "\n[variants.timm]\nfamily = 'timm'\nweight_decay_layers = ['conv1']\n"
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert str(refused.value) == (
        "weight_decay_layers must be empty for networks of timm, in which every parameter decays "
        "(mine.toml, [variants.timm])"
    )


def test_baseline_comes_first_wherever_it_stands():
    space = parse(minimal(rest="[variants.a]\nlr = 0.1\n[variants.b]\nlr = 0.2\n[variants.baseline]\n"))
    assert list(space.variants) == ["baseline", "a", "b"]


def test_shapes_are_those_of_the_first_data_set():
    text = minimal("kernel_size = [32, 1, 1]\npool_after = []").replace("padding = [2, 0, 0]", "padding = 0")
    assert parse(text.replace('["fashion_mnist"]', '["cifar10", "fashion_mnist"]')).datasets[0] == "cifar10"
    with pytest.raises(UsageError, match="with images of fashion_mnist"):
        parse(text.replace('["fashion_mnist"]', '["fashion_mnist", "cifar10"]'))


def test_range_of_a_billion_values_loads_at_once():
    tracemalloc.start()
    space = parse(minimal("kernel_size = { low = 1, high = 1000000000 }"))
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert space.parameters["kernel_size"].n_values == 10**9


def test_path_too_long_for_the_system_is_refused():
    with pytest.raises(UsageError, match="cannot be read"):
        reader.load("x" * 5000)


def test_variant_may_have_epochs_of_its_own_which_those_that_extend_it_share():
    longer = EXAMPLE.replace('[variants."4.0"]\n', '[variants."4.0"]\nepochs = 25\n')
    assert {name: v.epochs for name, v in parse(longer).variants.items()} == {"baseline": None, "4.0": 25, "5.0": 25}
    assert parse(longer).variants["4.0"].configuration == parse(EXAMPLE).variants["4.0"].configuration
    space = parse(longer, "epochs=2")
    assert (space.protocol.epochs, {v.epochs for v in space.variants.values()}) == (2, {None})
    with pytest.raises(UsageError, match=r"epochs must be an integer of at least 1, got 0 \(mine.toml, \[variants.4.0"):
        parse(longer.replace("epochs = 25", "epochs = 0"))


def test_variants_that_differ_in_their_epochs_alone_are_refused():
    with pytest.raises(UsageError, match="variants must differ, got baseline and longer equal"):
        parse(EXAMPLE + "[variants.longer]\nepochs = 60\n")


PERCEPTRON = """
[space]
datasets = ["cifar10"]
[model]
family = "mlp"
hidden = { choices = [[16], [16, 8]] }
dropout_flatten = 0.1
[variants.baseline]
hidden = [16]
[variants.conv]
family = "convnet"
filters = [4]
pool_after = [1]
[variants.big]
family = "timm"
model_name = "resnet18"
"""


def test_variant_of_another_family_is_a_comparator_and_loses_what_its_family_lacks():
    space = parse(PERCEPTRON)
    model = {name: variant.configuration.model for name, variant in space.variants.items()}
    assert [type(config).__name__ for config in model.values()] == ["MlpConfig", "ConvNetConfig", "TimmConfig"]
    assert (model["conv"].hidden, model["conv"].dropout_flatten) == ((16,), 0.1)
    points = {name: space.point(variant.configuration) for name, variant in space.variants.items()}
    assert points == {"baseline": {"hidden": "[16]"}, "conv": None, "big": None}
    assert space.model_names == ["resnet18"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('family = "mlp"', 'family = { choices = ["mlp", "convnet"] }'),
            "family must be one of convnet, mlp, resnet, timm, custom, got",
        ),
        (("dropout_flatten = 0.1", "filters = [6]"), r"unknown key filters \(mine.toml, \[model\]\)"),
        (("pool_after = [1]", "model_name = 'x'"), r"unknown key model_name \(mine.toml, \[variants.conv\]\)"),
        (('"resnet18"', '"hf-hub:a/b"'), "model_name must be the name of a timm model, such as .*'hf-hub:a/b'"),
        (("[16, 8]]", "[16, 0]]"), "hidden must be an integer of at least 1, got 0"),
        (("filters = [4]", "kernel_size = 40\nfilters = [4]"), "conv1: kernel_size 40 is larger than its 32x32 map"),
    ],
)
def test_mistake_in_a_space_of_several_families_is_named(change, message):
    with pytest.raises(UsageError, match=message):
        parse(PERCEPTRON.replace(*change))


def test_space_for_any_images_is_not_checked_against_some():
    space = parse(PERCEPTRON.replace('["cifar10"]', "[]").replace("[4]", "[4]\nkernel_size = 400"))
    assert space.datasets == ()
    assert space.variants["conv"].configuration.model.kernel_size == 400
