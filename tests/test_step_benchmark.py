"""benchmarks/step.py times what it says; its numbers here are not measurements."""

import importlib
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
# Ways that are other arithmetic; all others must give the same weights, or what they save is not comparable.
OTHER_BITS = {
    "scale: one product, other bits", "Adam: foreach", "Adam: a loop", "layout contiguous", "without oneDNN",
    "half of the units dead", "half of the units dead, flush denormals", "max pool of slices",
    "activation before the max pool",
}  # fmt: skip


@pytest.fixture
def step(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("step")


def weights(way, net, n_steps=3):
    made = way.make(net)
    with made.running():
        for batch in made.batches[:n_steps]:
            made.step(batch)
    return made.step, torch.cat([parameter.detach().flatten() for parameter in made.model.parameters()])


def test_ways_train_the_network_and_only_those_of_other_arithmetic_give_other_weights(step):
    net = step.nets()[0]
    _, usual = weights(step.WAYS[step.AS_IT_IS], net)
    for name, way in step.WAYS.items():
        _, found = weights(way, net)
        assert found.isfinite().all(), name
        if name not in OTHER_BITS:
            assert torch.equal(found, usual), name
        elif "dead" not in name:
            assert torch.allclose(found, usual, atol=3e-3), name


def test_norm_is_measured_at_the_steps_that_the_way_names(step):
    net = step.nets()[0]
    norms = {}
    for name in (step.AS_IT_IS, "gradient norm at one step of 10", "no gradient norm"):
        running, _ = weights(step.WAYS[name], net)
        norms[name] = running.running(3).gradient_norm
    assert norms[step.AS_IT_IS] > norms["gradient norm at one step of 10"] > norms["no gradient norm"] == 0


def test_changes_are_those_of_a_round_against_the_first_way(step, capsys):
    step.print_table("net", "way", {"usual": [1.0, 2.0, 4.0], "other": [1.1, 1.0, 5.0]})
    assert capsys.readouterr().out.splitlines()[-3:-1] == [
        "| usual | 2.0 |  |",
        "| other | 1.1 | +10.0 (-50.0 to +25.0) |",
    ]


def test_sizes_of_validation_batches_are_put_back(step):
    net = step.nets()[0]
    usual = step.validation_module.EVALUATION_BATCH["cpu"], step.validation_module.CPU_PART
    step.SECONDS = 0.01
    model = step.WAYS[step.AS_IT_IS].make(net).model
    assert step.validated(model, step.data_of(net), 32, torch.no_grad) > 0
    assert (step.validation_module.EVALUATION_BATCH["cpu"], step.validation_module.CPU_PART) == usual
    assert torch.inference_mode.__name__ == "inference_mode"
