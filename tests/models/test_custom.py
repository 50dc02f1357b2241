import json
import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from sweeper.config import Configuration, CustomConfig, TrainConfig
from sweeper.errors import UsageError
from sweeper.models import families, foreign_calls, latency, own_networks, weight_transfer
from sweeper.models.layers import Layer
from tests.models.own_code import NETS, forget_code, in_use

SHAPE = (1, 8, 6)


@pytest.fixture(autouse=True)
def no_code(monkeypatch):
    forget_code(monkeypatch)


def config(tmp_path, text=NETS, name="TinyNet", **arguments):
    from sweeper.models import code_files

    in_use(tmp_path, text)
    return CustomConfig(network=f"nets:{name}", code_sha256=code_files.named("nets").sha256, arguments=arguments)


def test_layers_parameters_and_multiply_adds_are_told(tmp_path):
    assert families.trace(config(tmp_path, width=3), SHAPE, 5) == [
        Layer("conv", "conv", (3, 8, 6), 3 * 10, 8 * 6 * 27),
        Layer("head", "linear", (5,), (3 * 4 * 3 + 1) * 5, 3 * 4 * 3 * 5),
    ]


def test_network_takes_its_arguments_and_the_seed(tmp_path):
    found = config(tmp_path, width=7)
    networks = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(families.build(found, SHAPE, 5))
    assert networks[0].conv.out_channels == 7
    assert networks[0](torch.zeros(2, *SHAPE)).shape == (2, 5)
    assert networks[0].training
    assert torch.equal(networks[0].conv.weight, networks[1].conv.weight)


def test_softmax_output_gives_probabilities(tmp_path):
    network = families.build(replace(config(tmp_path), softmax_output=True), SHAPE, 5)
    assert network(torch.rand(3, *SHAPE)).sum(1).tolist() == pytest.approx([1, 1, 1])


def test_tracing_changes_no_random_number(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    families.trace(config(tmp_path), SHAPE, 5)
    assert torch.equal(torch.rand(1), expected)


def test_network_with_other_sources_of_random_numbers_follows_the_seed(tmp_path):
    code = """
import random
import numpy as np
import torch
from torch import nn

def net(input_shape, n_classes):
    layer = nn.Linear(48, n_classes)
    layer.bias.data.fill_(random.random() + np.random.rand())
    return nn.Sequential(nn.Flatten(), layer)
"""
    found, biases = config(tmp_path, code, "net"), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        biases.append(families.build(found, SHAPE, 5)[1].bias[0].item())
    assert biases[0] == biases[1] != biases[2]


def test_lazy_layers_and_code_that_looks_at_values_are_traced(tmp_path):
    code = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, n_classes):
        super().__init__()
        self.scale = torch.linspace(0, 1, 3)[1].item()
        self.body = nn.Sequential(nn.Flatten(), nn.LazyLinear(n_classes))

    def forward(self, images):
        return self.body(images) * self.scale
"""
    found = config(tmp_path, code, "Net")
    assert families.trace(found, SHAPE, 5) == [Layer("body.1", "linear", (5,), 49 * 5, 48 * 5)]
    assert families.build(found, SHAPE, 5).body[1].weight.shape == (5, 48)


def test_layers_of_a_network_whose_code_looks_at_values_are_known_too(tmp_path):
    code = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, n_classes):
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.output = nn.Linear(48, n_classes)

    def forward(self, images):
        return self.output(images.flatten(1))
"""
    found = config(tmp_path, code, "Net")
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert families.classifier(found, SHAPE, 5) == {"output.weight", "output.bias"}
    taken = {"output.weight": (5, 48), "output.bias": (5,)}
    assert weight_transfer.match(taken, found, SHAPE, 5).taken == tuple(taken)
    assert torch.equal(torch.rand(1), expected)


FEATURES = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, n_classes):
        super().__init__()
        {kept}
        self.output = nn.Linear(48, n_classes)

    def forward(self, images):
        return self.output(torch.cos({used}))
"""


@pytest.mark.parametrize(
    ("kept", "used"),
    [
        ("self.directions = torch.randn(48, 48)", "images.flatten(1) @ self.directions"),
        ("self.directions = [torch.randn(48, 48)]", "images.flatten(1) @ self.directions[0]"),
        (
            "self.register_buffer('directions', torch.randn(48, 48), persistent=False)",
            "images.flatten(1) @ self.directions",
        ),
    ],
)
def test_network_that_its_saved_weights_do_not_decide_is_refused(tmp_path, kept, used):
    """Its trained weights would be loaded into another network, which predicts otherwise."""
    with pytest.raises(ValueError, match=r"^nets:Net must keep in parameters and buffers what decides its logits"):
        families.trace(config(tmp_path, FEATURES.format(kept=kept, used=used), "Net"), SHAPE, 5)


@pytest.mark.parametrize(
    ("kept", "used"),
    [
        ("self.register_buffer('directions', torch.randn(48, 48))", "images.flatten(1) @ self.directions"),
        ("self.directions = torch.eye(48)", "images.flatten(1) @ self.directions"),
        ("self.layer = nn.utils.weight_norm(nn.Linear(48, 48))", "self.layer(images.flatten(1))"),
    ],
)
def test_tensors_that_are_saved_or_always_the_same_are_allowed(tmp_path, kept, used):
    assert families.trace(config(tmp_path, FEATURES.format(kept=kept, used=used), "Net"), SHAPE, 5)


MODULE = "from torch import nn\nimport torch\nclass Net(nn.Module):\n"
INIT = "    def __init__(self, input_shape, n_classes):\n        super().__init__()\n"
LINEAR = f"{MODULE}{INIT}        self.l = nn.Linear(48, n_classes)\n    def forward(self, x):\n        "


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def Net(input_shape, n_classes):\n    return 7", "must return a torch.nn.Module, got int"),
        ("def Net(input_shape, n_classes):\n    raise KeyError('x')", "cannot take images of 1x8x6: KeyError: 'x'"),
        ("def Net(input_shape, n_classes):\n    exit(1)", r"cannot take images of 1x8x6: it calls sys.exit\(1\)"),
        (f"{LINEAR}return self.l(x.flatten(1))[:, :2]", "must give a tensor of logits .*, here of 2x5, got 2x2"),
        (f"{LINEAR}return self.l(x.flatten(1)).sum()", "must give .* got a single value"),
        (f"{LINEAR}return (self.l(x.flatten(1)),)", "must give a tensor of logits .*, got tuple"),
        (f"{LINEAR}return x if self.training else self.l(x.flatten(1))", "must give .* here of 2x5, got 2x1x8x6"),
        (f"{LINEAR}return self.l(x.flatten(1)).argmax(1, True).expand(-1, 5)", "must give .*, got one of int64"),
        (f"{LINEAR}raise SystemExit(4)", r"cannot take images of 1x8x6: it calls sys.exit\(4\)"),
        (f"{LINEAR}return self.l(x)", "cannot take images of 1x8x6: mat1 and mat2 shapes cannot be multiplied"),
        (f"{LINEAR}return self.l(x.flatten(1)) / x.sum().item()", "gives NaN or infinite logits before any training"),
        (f"{MODULE}{INIT}    def forward(self, x):\n        return x.flatten(1)[:, :5]", "has no parameters to train"),
        (
            f"{LINEAR}return self.l(x.flatten(1))\n    def get_extra_state(self):\n        return 1",
            "must keep its state in t",
        ),
    ],
)
def test_network_that_cannot_be_trained_has_its_reason_in_one_line(tmp_path, code, message):
    with pytest.raises(ValueError, match=f"^nets:Net {message}") as caught:
        families.trace(config(tmp_path, code, "Net"), SHAPE, 5)
    assert "\n" not in str(caught.value)


def test_network_that_is_built_for_ever_is_refused(tmp_path, monkeypatch):
    code = "def Net(input_shape, n_classes):\n    while True:\n        pass"
    found = config(tmp_path, code, "Net")
    own_networks.find("nets:Net")  # the file itself is run without haste
    monkeypatch.setattr(foreign_calls, "MOST_SECONDS", 0.5)
    with pytest.raises(ValueError, match=r"nets:Net cannot take images of 1x8x6: it takes longer than 0.5 s"):
        families.trace(found, SHAPE, 5)


def test_network_without_its_code_is_refused_with_the_hash(tmp_path, monkeypatch):
    found = config(tmp_path)
    in_use(tmp_path, NETS + "# changed\n")
    assert families.trace(found, SHAPE, 5)  # this process still has the code
    forget_code(monkeypatch)
    with pytest.raises(UsageError, match=f"name it with --code nets.py; .* SHA-256 {found.code_sha256}"):
        families.trace(found, SHAPE, 5)
    in_use(tmp_path, NETS + "# changed\n")
    with pytest.raises(UsageError, match=f"code with SHA-256 {found.code_sha256}, and nets.py has [0-9a-f]{{64}}"):
        families.build(found, SHAPE, 5)


def test_network_that_cannot_be_exported_is_told_before_it_is_promoted(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root.manager, "disable", logging.INFO)
    families.check_export(config(tmp_path), SHAPE, 5)
    assert logging.root.manager.disable == logging.INFO  # as the program has it that called
    found = config(tmp_path, f"{LINEAR}return self.l(x.flatten(1)) * (1 if x.sum() > 0 else 2)", "Net")
    with pytest.raises(ValueError, match=r"nets:Net cannot be exported by torch.export, as registered models are: "):
        families.check_export(found, SHAPE, 5)


def test_latency_of_users_networks_is_measured(tmp_path):
    assert latency.milliseconds(config(tmp_path), SHAPE, 5) > 0


def test_configuration_is_read_from_its_stored_values_without_the_code(tmp_path):
    found = Configuration(config(tmp_path, width=3, sizes=(1, 2)), TrainConfig(lr=0.5))
    stored = json.loads(found.key())
    assert Configuration.from_values(stored) == found
    assert Configuration.from_values({**stored, "epochs": 3}).key() == found.key()


def test_network_may_call_anything_aux(tmp_path):
    from sweeper.training.step import outputs_of

    class Net(nn.Module):
        aux = (1, 2)

        def forward(self, images):
            return images.flatten(1)[:, :5]

    model = Net()
    output, heads = outputs_of(model, torch.zeros(2, *SHAPE))
    assert (output.shape, heads) == ((2, 5), {})
