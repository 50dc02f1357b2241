import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from sweeper.cli import main
from sweeper.config import TimmConfig
from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.models.families import build
from sweeper.spaces import reader
from tests.hostile import refused
from tests.models.test_layers import GRAY

# Unlike those that ship, with every kind of layer that is counted.
RICH = """
[space]
datasets = ["mnist"]

[model]
padding = [2, 0, 0]
input_padding = 1
batch_norm = true
aux_heads = ["conv1", "pool2"]

[variants.baseline]
[variants.deeper]
hidden = [84, 40]
pooling = "avg"
"""
# Fits the images of cifar10, not those of mnist.
LARGE = (
    '[space]\ndatasets = ["cifar10"]\n[model]\nfilters = [4]\nkernel_size = 30\npool_after = []\n[variants.baseline]\n'
)


def summary(*arguments):
    result = CliRunner().invoke(main, ["models", "summary", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def counted(network, input_shape):
    """The multiply-adds of one image's forward pass, heads included, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        images = torch.zeros(1, *input_shape)
        forward = getattr(network.eval(), "forward_heads", network)
        forward(images)
    return counter.get_total_flops() // 2


def assert_as_built(space, source):
    for name, variant in space.variants.items():
        dataset = space.datasets[0] if space.datasets else "cifar10"
        model = variant.configuration.model
        if isinstance(model, TimmConfig):
            model = replace(model, pretrained=False)  # the weights would have to be downloaded, and count nothing
        network = build(model, *INPUT_SHAPES[dataset])
        shown = json.loads(summary("--space", source, "--variant", name, "--dataset", dataset, "--json"))
        assert shown["n_parameters"] == sum(p.numel() for p in network.parameters()), name
        assert shown["n_multiply_adds"] == counted(network, shown["input_shape"]), name
        for figure in ("n_parameters", "n_multiply_adds"):
            assert shown[figure] == sum(layer[figure] for layer in shown["layers"])


@pytest.mark.parametrize("name", reader.names())
def test_totals_of_every_variant_that_ships_are_those_of_its_network(name):
    assert_as_built(reader.load(name), name)


def test_totals_count_norms_and_heads(tmp_path):
    (tmp_path / "rich.toml").write_text(RICH)
    assert_as_built(reader.load(str(tmp_path / "rich.toml")), tmp_path / "rich.toml")


def test_json_keeps_its_shape():
    shown = json.loads(summary("--space", "lenet5", "--json"))
    assert (shown["schema_version"], shown["space"], shown["variant"]) == (1, "lenet5", "baseline")
    assert (shown["dataset"], shown["input_shape"]) == ("fashion_mnist", [1, 28, 28])
    assert shown["layers"][0] == {
        "name": "conv1",
        "kind": "conv",
        "output_shape": [6, 28, 28],
        "n_parameters": 156,
        "n_multiply_adds": 117_600,
    }
    assert [layer["name"] for layer in shown["layers"]] == [
        "conv1", "pool1", "conv2", "pool2", "conv3", "flatten", "hidden1", "output",
    ]  # fmt: skip
    assert (shown["n_parameters"], shown["n_multiply_adds"]) == (61_706, 416_520)


def test_sizes_are_those_of_the_tensors():
    megabytes = json.loads(summary("--space", "lenet5", "--json"))["megabytes"]
    network = build(reader.load("lenet5").variants["baseline"].configuration.model, *GRAY)
    held = {}
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.MaxPool2d | torch.nn.Linear):
            module.register_forward_hook(lambda module, _, output: held.update({module: output.nbytes}))
    image = torch.zeros(1, *GRAY[0])
    network(image)
    assert megabytes == {
        "input": image.nbytes / 1e6,
        "activations": sum(held.values()) / 1e6,
        "parameters": sum(p.nbytes for p in network.parameters()) / 1e6,
    }


def test_table_shows_every_layer_the_totals_and_the_sizes():
    lines = [" ".join(line.replace("│", " ").split()) for line in summary("--space", "lenet5").splitlines()]
    assert "lenet5 baseline, fashion_mnist" in lines
    assert "input 1 x 28 x 28" in lines
    assert "conv2 conv 16 x 10 x 10 2,416 240,000" in lines
    assert "pool2 max_pool 16 x 5 x 5" in lines
    assert "total 61,706 416,520" in lines
    assert lines[-1] == "MB as float32: input 0.003, activations (the outputs above) 0.032, parameters 0.247"


def test_names_are_shown_as_they_are(tmp_path):
    (tmp_path / "mine.toml").write_text(RICH.replace("variants.deeper", 'variants."[bold]x:smile:"'))
    assert "[bold]x:smile:" in summary("--space", tmp_path / "mine.toml", "--variant", "[bold]x:smile:")


def test_overrides_and_another_data_set_change_the_network():
    shown = json.loads(summary("--space", "lenet5", "--set", "filters=[12,32,120]", "--dataset", "cifar10", "--json"))
    assert (shown["dataset"], shown["input_shape"]) == ("cifar10", [3, 32, 32])
    assert [layer["output_shape"] for layer in shown["layers"][:2]] == [[12, 32, 32], [12, 16, 16]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "lenet"], "no space 'lenet': neither a file nor one of "),
        (["--space", "lenet"], "did you mean lenet5?"),
        (["--space", "lenet5", "--variant", "basline"], "no variant 'basline' in lenet5, which has baseline"),
        (["--space", "lenet5", "--variant", "basline"], "did you mean baseline?"),
        (["--space", "lenet5", "--variant", "x\n" * 5000], "no variant 'x"),
        (["--space", "lenet5", "--dataset", "cifar"], "got 'cifar'; did you mean cifar10?"),
        (["--space", "lenet5", "--set", "kernel_size=40"], "conv1: kernel_size 40 is larger than its 28x28 map"),
        (["--space", "lenet5", "--set", "lr=x"], "lr must be a positive number, got 'x' (--set lr=x)"),
        (
            ["--space", "LARGE", "--dataset", "mnist"],
            "conv1: kernel_size 30 is larger than its 28x28 map (padding 0), ",
        ),
        (["--space", "LARGE", "--dataset", "mnist"], "with images of mnist (large, [variants.baseline])"),
        (["--space", "BARE"], "bare names no data sets: give one with --dataset"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(arguments, message, tmp_path):
    (tmp_path / "large.toml").write_text(LARGE)
    (tmp_path / "bare.toml").write_text("[variants.baseline]\n")
    files = {"LARGE": tmp_path / "large.toml", "BARE": tmp_path / "bare.toml"}
    assert message in refused("models", "summary", *(files.get(word, word) for word in arguments), codes=(2,))


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_torch_is_not_needed(options, tmp_path):
    code = (
        f"from sweeper.cli import main; main(['models', 'summary', '--space', 'lenet5', *{options}], "
        "standalone_mode=False); import sys; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
