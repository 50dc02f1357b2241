import torch
from torch import nn

from sweeper.training.averaging import WeightAverage


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_average_follows_weights_and_running_statistics_by_hand():
    model = network()
    average = WeightAverage(model, 0.5)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    # (1 + n) / (10 + n) is 2/11, 3/12, ... until it reaches 0.5 at the eighth step.
    for n in range(1, 11):
        model.train()(torch.randn(4, 2))
        with torch.no_grad():
            model[0].weight += n
        average.update()
        decay = min(0.5, (1 + n) / (10 + n))
        for name, value in model.state_dict().items():
            followed = decay * expected[name] + (1 - decay) * value
            expected[name] = followed if value.is_floating_point() else value.clone()
    assert expected["1.num_batches_tracked"] == 10
    for name, value in average.network.state_dict().items():
        torch.testing.assert_close(value, expected[name])


def test_average_has_weights_of_its_own_that_do_not_train():
    model = network()
    average = WeightAverage(model, 0.9)
    before = average.network[0].weight.clone()
    with torch.no_grad():
        model[0].weight += 1
    assert torch.equal(average.network[0].weight, before)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_state_restores_the_average_and_its_steps():
    model, other = network(), network()
    average, restored = WeightAverage(model, 0.99), WeightAverage(other, 0.99)
    for _ in range(5):
        with torch.no_grad():
            model[0].weight += 1
        average.update()
    other.load_state_dict(model.state_dict())
    restored.load_state_dict(average.state_dict())
    for each, source in ((average, model), (restored, other)):
        with torch.no_grad():
            source[0].weight -= 1
        each.update()
    assert torch.equal(average.network[0].weight, restored.network[0].weight)


class SharedAndMasked(nn.Module):
    """Two layers with the same weights, and a mask as attention has it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))


def test_weights_of_two_layers_are_averaged_once_and_infinite_masks_stay():
    model = SharedAndMasked()
    average = WeightAverage(model, 0.5)
    before = model.first.weight.detach().clone()
    with torch.no_grad():
        model.first.weight += 1
    average.update()
    torch.testing.assert_close(average.network.first.weight, before + 9 / 11)
    assert average.network.second.weight is average.network.first.weight
    assert torch.equal(average.network.mask, model.mask)
