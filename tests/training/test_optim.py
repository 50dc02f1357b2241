import pytest
import torch
from torch.optim import lr_scheduler

from sweeper.config import TrainConfig
from sweeper.training.optim import build_optimizer, learning_rate

STEPS, EPOCHS, LR = 7, 12, 0.2


def rates(**fields):
    config = TrainConfig(lr=LR, **fields)
    return [learning_rate(config, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def torch_rates(make_scheduler, *, every_step):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make_scheduler(optimizer)
    seen = []
    for step in range(STEPS * EPOCHS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (every_step or (step + 1) % STEPS == 0) and step + 1 < STEPS * EPOCHS:
            scheduler.step()
    return seen


def test_constant_stays():
    assert set(rates()) == {LR}


def test_step_is_halved_every_five_epochs():
    seen = rates(schedule="step")
    assert [seen[epoch * STEPS] for epoch in range(EPOCHS)] == [LR * 0.5 ** (epoch // 5) for epoch in range(EPOCHS)]
    assert seen == pytest.approx(torch_rates(lambda o: lr_scheduler.StepLR(o, 5, 0.5), every_step=False))


def test_exponential_is_torchs():
    assert rates(schedule="exponential") == pytest.approx(
        torch_rates(lambda o: lr_scheduler.ExponentialLR(o, 0.9), every_step=False)
    )


def test_cosine_is_torchs():
    assert rates(schedule="cosine") == pytest.approx(
        torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS), every_step=True)
    )


def test_one_cycle_is_torchs():
    expected = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=STEPS * EPOCHS, cycle_momentum=False), every_step=True
    )
    assert rates(schedule="one_cycle") == pytest.approx(expected)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle", "exponential"])
def test_short_trainings_have_positive_rates(schedule, n_steps):
    config = TrainConfig(lr=LR, schedule=schedule)
    assert all(0 < learning_rate(config, step, n_steps, 1) <= LR for step in range(n_steps))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"optimizer": "adam"}, torch.optim.Adam),
        ({"optimizer": "adamw", "weight_decay": 0.1}, torch.optim.AdamW),
        ({"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1}, torch.optim.SGD),
    ],
)
def test_optimizer_takes_its_fields(fields, kind):
    optimizer = build_optimizer([torch.nn.Parameter(torch.zeros(1))], TrainConfig(lr=LR, **fields))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert group["lr"] == LR
    assert group["weight_decay"] == fields.get("weight_decay", 0.0)
    assert group.get("momentum", 0.0) == fields.get("momentum", 0.0)
