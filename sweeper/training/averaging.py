"""A moving average of a network's weights over the steps of its training."""

import copy

import torch
from torch import Tensor, nn


class WeightAverage(nn.Module):
    """A network whose weights follow another's: after each step, average = d * average + (1 - d) * weights.

    d is `decay`, at first (1 + steps) / (10 + steps), which keeps the first, random weights out of the average. Running
    statistics of batch norm are averaged alike. The state (state_dict) is the averaged network's and the steps.
    """

    n_steps: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).requires_grad_(False)
        self._decay = decay
        device = next(model.parameters()).device
        # On the device, where a CUDA graph can count it.
        self.register_buffer("n_steps", torch.zeros((), device=device))
        pairs = list(zip(self.network.state_dict().values(), model.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Follows the network by one step, in calls that handle all tensors at once; never waits for the device."""
        self.n_steps += 1
        step = 1 - ((1 + self.n_steps) / (10 + self.n_steps)).clamp(max=self._decay)
        averages, weights = map(list, zip(*self._floats, strict=True))
        differences = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(differences, step)
        torch._foreach_add_(averages, differences)
        for average, value in self._others:
            average.copy_(value)
