"""TF32 is on in the steps of a training that asks for it, on a CUDA device, and nowhere else."""

from dataclasses import replace

import pytest
import torch

from sweeper.config import TrainConfig
from sweeper.models.families import build
from sweeper.training import loop, matmul_precision
from sweeper.training.loop import fit
from tests.training.tiny import CLASSES, MODEL, SHAPE, tiny_data

CUDA = torch.device("cuda:0")


@pytest.mark.parametrize(("precision", "within"), [("tf32", "high"), ("float32", "highest"), ("bfloat16", "highest")])
def test_precision_of_products_is_set_within_the_block_and_set_back(precision, within):
    def fail():
        with matmul_precision.in_precision(precision):
            assert torch.get_float32_matmul_precision() == within
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(
    ("precision", "device", "graphs", "refusal"),
    [
        ("tf32", CUDA, False, ""),
        ("tf32", CUDA, True, "a setting of a whole process"),
        ("tf32", torch.device("cpu"), False, "needs a CUDA device, got cpu"),
        ("tf32", torch.device("mps"), False, "needs a CUDA device, got mps"),
        ("float32", torch.device("cpu"), False, ""),
        ("bfloat16", CUDA, True, ""),
    ],
)
def test_tf32_is_refused_where_it_means_nothing_or_changes_neighbours(precision, device, graphs, refusal):
    if not refusal:
        matmul_precision.check(precision, device, graphs=graphs)
        return
    with pytest.raises(ValueError, match=refusal):
        matmul_precision.check(precision, device, graphs=graphs)


def test_training_on_a_cpu_refuses_tf32_before_its_first_step():
    training = fit(build(MODEL, SHAPE, CLASSES), tiny_data(), TrainConfig(precision="tf32"), epochs=1, seed=0)
    with pytest.raises(ValueError, match="precision tf32 needs a CUDA device, got cpu"):
        next(training)


def test_steps_are_in_tf32_and_validation_is_not(monkeypatch):
    seen = {}
    monkeypatch.setattr(matmul_precision, "check", lambda *arguments, **options: None)

    def noting(name, function):
        def call(*arguments, **options):
            seen.setdefault(name, set()).add(torch.get_float32_matmul_precision())
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(loop, "_one_by_one", noting("steps", loop._one_by_one))
    monkeypatch.setattr(loop, "validate", noting("validation", loop.validate))
    config = replace(TrainConfig(), precision="tf32")
    list(fit(build(MODEL, SHAPE, CLASSES), tiny_data(), config, epochs=2, seed=0))
    assert seen == {"steps": {"high"}, "validation": {"highest"}}
