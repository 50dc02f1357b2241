from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

from sweeper.config import SCHEDULES, ConvNetConfig, TrainConfig
from sweeper.models.families import build
from sweeper.training.optimizers import build_optimizer, learning_rate, momentum, penalty, set_rates
from tests.training.tiny import SHAPE

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


def cycle(config):
    """Learning rate and momentum of every step."""
    steps = [(config, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]
    return [(learning_rate(*step), momentum(*step)) for step in steps]


def torch_cycle(config, make_scheduler):
    kind = torch.optim.SGD if config.optimizer == "sgd" else torch.optim.Adam
    momentum = {"momentum": 0.9} if config.optimizer == "sgd" else {}
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], lr=LR, **momentum)
    scheduler = make_scheduler(optimizer)
    seen = []
    for _ in range(STEPS * EPOCHS - 1):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["momentum"] if momentum else group["betas"][0]))
        optimizer.step()
        scheduler.step()
    group = optimizer.param_groups[0]
    return [*seen, (group["lr"], group["momentum"] if momentum else group["betas"][0])]


def approximately(pairs):
    return [pytest.approx(pair) for pair in pairs]


def test_constant_stays():
    assert set(rates()) == {LR}


@pytest.mark.parametrize(("size", "gamma"), [(1, 0.7), (3, 0.1), (4, 1.0)])
def test_step_has_the_factor_and_the_distance_that_are_asked_for(size, gamma):
    seen = rates(schedule="step", step_size=size, step_gamma=gamma)
    assert seen == pytest.approx(torch_rates(lambda o: lr_scheduler.StepLR(o, size, gamma), every_step=False))


def test_step_is_halved_every_five_epochs():
    seen = rates(schedule="step")
    assert [seen[epoch * STEPS] for epoch in range(EPOCHS)] == [LR * 0.5 ** (epoch // 5) for epoch in range(EPOCHS)]
    assert seen == pytest.approx(torch_rates(lambda o: lr_scheduler.StepLR(o, 5, 0.5), every_step=False))


@pytest.mark.parametrize("gamma", [0.9, 0.5])
def test_exponential_is_torchs(gamma):
    assert rates(schedule="exponential", exponential_gamma=gamma) == pytest.approx(
        torch_rates(lambda o: lr_scheduler.ExponentialLR(o, gamma), every_step=False)
    )


def test_cosine_is_torchs():
    assert rates(schedule="cosine") == pytest.approx(
        torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS), every_step=True)
    )


@pytest.mark.parametrize("warmup", [1, 3])
def test_cosine_behind_a_warm_up_is_torchs_two_in_sequence(warmup):
    def make(optimizer):
        steps = warmup * STEPS
        rise = lr_scheduler.LinearLR(optimizer, 1 / (steps + 1), total_iters=steps)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, STEPS * EPOCHS - steps)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[steps])

    assert rates(schedule="cosine", warmup_epochs=warmup) == pytest.approx(torch_rates(make, every_step=True))


def test_warm_up_longer_than_the_training_is_a_rise_alone():
    seen = rates(schedule="cosine", warmup_epochs=EPOCHS + 2)
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] < LR


@pytest.mark.parametrize(
    "fields", [{}, {"cycle_start": 0.25, "cycle_epochs": 3}, {"momentum_low": 0.5, "momentum_high": 0.6}]
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_cyclic_is_torchs_triangle_with_the_momentum_against_it(optimizer, fields):
    config = TrainConfig(lr=LR, schedule="cyclic", optimizer=optimizer, cycle_momentum=True, **fields)

    def make(optimizer):
        return lr_scheduler.CyclicLR(
            optimizer,
            base_lr=LR * config.cycle_start,
            max_lr=LR,
            step_size_up=config.cycle_epochs * STEPS,
            base_momentum=config.momentum_low,
            max_momentum=config.momentum_high,
        )

    assert cycle(config) == approximately(torch_cycle(config, make))
    assert len({momentum for _, momentum in cycle(config)}) > STEPS


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cycle_start": 0.3, "cycle_end": 0.01, "cycle_rise": 0.6},
        {"cycle_rise": 0.0},
        {"momentum_low": 0.5, "momentum_high": 0.6},
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_cycle_is_torchs_with_the_momentum_against_it(optimizer, fields):
    config = TrainConfig(lr=LR, schedule="one_cycle", optimizer=optimizer, cycle_momentum=True, **fields)

    def make(optimizer):
        return lr_scheduler.OneCycleLR(
            optimizer,
            LR,
            total_steps=STEPS * EPOCHS,
            pct_start=config.cycle_rise,
            div_factor=1 / config.cycle_start,
            final_div_factor=config.cycle_start / config.cycle_end,
            base_momentum=config.momentum_low,
            max_momentum=config.momentum_high,
        )

    assert cycle(config) == approximately(torch_cycle(config, make))


def test_one_cycles_usual_proportions_are_torchs():
    expected = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=STEPS * EPOCHS, cycle_momentum=False), every_step=True
    )
    assert rates(schedule="one_cycle") == pytest.approx(expected)


@pytest.mark.parametrize("fields", [{}, {"schedule": "cyclic"}, {"cycle_momentum": True, "schedule": "cosine"}])
def test_momentum_stays_where_nothing_cycles_it(fields):
    assert {momentum(TrainConfig(**fields), step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)} == {None}


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rise", [0.0, 0.2, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_short_trainings_have_positive_rates_and_momenta_in_their_range(schedule, rise, n_steps):
    config = TrainConfig(lr=LR, schedule=schedule, cycle_rise=rise, cycle_momentum=True)
    for step in range(n_steps):
        assert 0 < learning_rate(config, step, n_steps, 1) <= LR
        assert 0.85 - 1e-9 <= (momentum(config, step, n_steps, 1) or 0.9) <= 0.95 + 1e-9


def network(seed=0):
    torch.manual_seed(seed)
    return build(ConvNetConfig(filters=(3,), kernel_size=3, hidden=(5,), pool_after=(), aux_heads=("conv1",)), SHAPE, 4)


def trained(model, optimizer, n_steps=4, *, loss=None, before=lambda step: None):
    """The parameters after some steps on the same images."""
    images, labels = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 4
    for step in range(n_steps):
        output, heads = model.forward_heads(images)
        value = F.cross_entropy(output, labels) + F.cross_entropy(heads["conv1"], labels)
        optimizer.zero_grad()
        (value + loss(model) if loss else value).backward()
        before(step)
        optimizer.step()
    return dict(model.named_parameters())


def assert_same(ours, theirs):
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, msg=lambda text, name=name: f"{name}: {text}")


DECAY = {"weight_decay": 0.1}
OPTIMIZERS = [
    ({"optimizer": "adam"}, torch.optim.Adam, {}),
    ({"optimizer": "adam"} | DECAY, torch.optim.Adam, DECAY),
    ({"optimizer": "adam", "decoupled_weight_decay": True} | DECAY, torch.optim.AdamW, DECAY),
    ({"optimizer": "adamw"} | DECAY, torch.optim.AdamW, DECAY),
    ({"optimizer": "adamw"}, torch.optim.AdamW, {"weight_decay": 0.0}),
    ({"optimizer": "sgd"} | DECAY, torch.optim.SGD, DECAY),
    ({"optimizer": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ({"optimizer": "sgd", "nesterov": True}, torch.optim.SGD, {}),
    ({"optimizer": "rmsprop"}, torch.optim.RMSprop, {}),
    ({"optimizer": "rmsprop", "momentum": 0.8} | DECAY, torch.optim.RMSprop, {"momentum": 0.8} | DECAY),
]


@pytest.mark.parametrize(("fields", "kind", "options"), OPTIMIZERS)
def test_optimizer_makes_torchs_own_steps(fields, kind, options):
    model, plain = network(), network()
    ours = trained(model, build_optimizer(model, TrainConfig(lr=0.05, **fields)))
    assert_same(ours, trained(plain, kind(plain.parameters(), lr=0.05, **options)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_weights_are_updated_by_one_call_for_all_where_torch_has_one(optimizer):
    (group,) = build_optimizer(network(), TrainConfig(optimizer=optimizer)).param_groups
    assert group["foreach" if optimizer == "rmsprop" else "fused"]


@pytest.mark.parametrize("fields", [{"optimizer": "sgd"}, {"optimizer": "rmsprop", "momentum": 0.9}])
def test_decoupled_decay_shrinks_the_weights_before_a_step_that_knows_nothing_of_it(fields):
    config = TrainConfig(lr=0.05, weight_decay=0.5, decoupled_weight_decay=True, **fields)
    model, plain = network(), network()
    optimizer = build_optimizer(model, config)
    rates = [0.05, 0.01, 0.2, 0.05]
    ours = trained(model, optimizer, before=lambda step: set_rates(optimizer, rates[step], None))
    undecayed = build_optimizer(plain, replace(config, weight_decay=0.0))

    def shrink(step):
        set_rates(undecayed, rates[step], None)
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter *= 1 - rates[step] * 0.5

    assert_same(ours, trained(plain, undecayed, before=shrink))


LAYERS = {
    "conv1": "features.conv1", "hidden1": "classifier.hidden1", "output": "classifier.output", "aux_conv1": "aux.conv1"
}  # fmt: skip


@pytest.mark.parametrize("names", [(), ("conv1",), ("hidden1", "output"), ("aux_conv1",)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_decay_is_the_gradient_of_its_penalty_on_the_weights_of_the_named_layers(optimizer, names):
    config = TrainConfig(optimizer=optimizer, lr=0.05, weight_decay=0.3, weight_decay_layers=names)

    def by_hand(model):
        decayed = [model.get_submodule(LAYERS[name]).weight for name in names] or list(model.parameters())
        return 0.15 * sum(parameter.square().sum() for parameter in decayed)

    model, plain = network(), network()
    assert penalty(model, config) == pytest.approx(by_hand(plain).item())
    ours = trained(model, build_optimizer(model, config))
    undecayed = build_optimizer(plain, replace(config, weight_decay=0.0))
    assert_same(ours, trained(plain, undecayed, loss=by_hand))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_decoupled_decay_of_named_layers_leaves_the_others_and_has_no_penalty(optimizer):
    config = TrainConfig(
        optimizer=optimizer, lr=0.05, weight_decay=0.3, weight_decay_layers=["conv1"], decoupled_weight_decay=True
    )
    model, plain = network(), network()
    assert penalty(model, config) == 0
    ours = trained(model, build_optimizer(model, config), 1)
    undecayed = trained(plain, build_optimizer(plain, replace(config, weight_decay=0.0)), 1)
    name = "features.conv1.weight"
    start = network().get_parameter(name)
    torch.testing.assert_close(ours.pop(name), undecayed.pop(name) - 0.05 * 0.3 * start)
    assert_same(ours, undecayed)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_decay_of_a_layer_that_the_network_lacks_is_refused_by_name(weight_decay):
    config = TrainConfig(weight_decay=weight_decay, weight_decay_layers=("conv1", "conv2"))
    with pytest.raises(ValueError, match=r"^weight_decay_layers names conv2, which this network lacks$"):
        build_optimizer(network(), config)


@pytest.mark.parametrize(
    ("optimizer", "nesterov"), [("sgd", False), ("sgd", True), ("rmsprop", False), ("adam", False), ("adamw", False)]
)
@pytest.mark.parametrize("schedule", ["cyclic", "one_cycle"])
def test_cycled_momentum_is_what_the_steps_are_made_with(optimizer, nesterov, schedule):
    config = TrainConfig(
        optimizer=optimizer,
        lr=0.05,
        nesterov=nesterov,
        schedule=schedule,
        cycle_momentum=True,
        momentum_low=0.3,
        momentum_high=0.9,
    )
    momenta = [momentum(config, step, 2, 4) for step in range(8)]
    model, plain = network(), network()
    ours_optimizer = build_optimizer(model, config)
    ours = trained(model, ours_optimizer, 8, before=lambda step: set_rates(ours_optimizer, 0.05, momenta[step]))
    kinds = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}
    first = {"betas": (0.9, 0.999)} if "adam" in optimizer else {"momentum": 0.9}
    more = {"nesterov": nesterov} if optimizer == "sgd" else {"weight_decay": 0.0}
    theirs = kinds.get(optimizer, torch.optim.AdamW)(plain.parameters(), lr=0.05, **first, **more)

    def cycle_by_hand(step):
        theirs.param_groups[0].update(
            {"betas": (momenta[step], 0.999)} if "adam" in optimizer else {"momentum": momenta[step]}
        )

    assert_same(ours, trained(plain, theirs, 8, before=cycle_by_hand))


def test_what_is_frozen_has_no_part_in_the_penalty_and_none_in_the_optimizer():
    model = build(ConvNetConfig(filters=(2,), kernel_size=3, pool_after=(), hidden=()), SHAPE, 4)
    model.features.conv1.requires_grad_(False)
    config = TrainConfig(weight_decay=0.2)
    output = model.classifier.output
    expected = 0.1 * sum(parameter.detach().square().sum().item() for parameter in output.parameters())
    assert penalty(model, config) == pytest.approx(expected)
    [group] = build_optimizer(model, config).param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(output.weight), id(output.bias)]
    of_frozen = replace(config, weight_decay_layers=("conv1",))
    assert penalty(model, of_frozen) == 0.0
    model(torch.ones(1, *SHAPE)).sum().backward()
    for decoupled in (False, True):
        build_optimizer(model, replace(of_frozen, optimizer="sgd", decoupled_weight_decay=decoupled)).step()
