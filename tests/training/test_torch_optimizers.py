import pytest
import torch

from sweeper.training import torch_optimizers


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True, "fused": True}),
        ("RMSprop", {"momentum": 0.9, "foreach": True}),
        ("Adam", {"fused": True}),
        ("AdamW", {"fused": True}),
    ],
)
def test_updates_and_states_are_torchs_own(name, options):
    def trained(kind):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.01, **options)
        for step in range(4):
            optimizer.zero_grad()
            layer(torch.arange(10.0).reshape(2, 5)).square().mean().backward()
            optimizer.step()
            if step == 1:  # goes on from a copy, as from a checkpoint
                state = optimizer.state_dict()
                optimizer = kind(layer.parameters(), lr=0.2)
                optimizer.load_state_dict(state)
        return layer, optimizer.state_dict()

    (layer, state), (torchs, torchs_state) = (
        trained(getattr(torch_optimizers, name)),
        trained(getattr(torch.optim, name)),
    )
    assert torch.equal(layer.weight, torchs.weight)
    assert torch.equal(layer.bias, torchs.bias)
    assert str(state) == str(torchs_state)


def test_optimizer_is_one_of_torchs_with_its_hooks():
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch_optimizers.SGD([parameter], lr=0.1)
    called = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert isinstance(optimizer, torch.optim.SGD)
    assert called == ["before", "after"]
