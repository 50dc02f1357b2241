"""A moving average of a network's weights over the steps of its training."""

import copy

import torch
from torch import Tensor, nn

# The buffers of batch norm that follow the images.
STATISTICS = ("running_mean", "running_var")


class WeightAverage(nn.Module):
    """A network whose weights follow another's: after each step, average = d * average + (1 - d) * weights.

    d is `decay`, at first (1 + steps) / (10 + steps), which keeps the first, random weights out of the average. Running
    statistics of batch norm are averaged alike; other buffers, such as counts and masks, are the network's own. The
    state (state_dict) is the averaged network's and the steps.
    """

    n_steps: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).requires_grad_(False)
        self._decay = decay
        device = next(model.parameters()).device
        # On the device, where a CUDA graph can count it.
        self.register_buffer("n_steps", torch.zeros((), device=device))
        # Not the tensors of state_dict, in which weights that two layers share stand twice.
        own = dict(self.network.named_parameters()), dict(self.network.named_buffers())
        self._averaged: list[tuple[Tensor, Tensor]] = []
        self._copied: list[tuple[Tensor, Tensor]] = []
        for name, parameter in model.named_parameters():
            self._averaged.append((own[0][name], parameter))
        for name, buffer in model.named_buffers():
            is_averaged = name.rpartition(".")[2] in STATISTICS
            (self._averaged if is_averaged else self._copied).append((own[1][name], buffer))

    @torch.no_grad()
    def update(self) -> None:
        """Follows the network by one step, in calls that handle all tensors at once; never waits for the device."""
        self.n_steps += 1
        step = 1 - ((1 + self.n_steps) / (10 + self.n_steps)).clamp(max=self._decay)
        averages, weights = map(list, zip(*self._averaged, strict=True))
        differences = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(differences, step)
        torch._foreach_add_(averages, differences)
        for average, value in self._copied:
            average.copy_(value)
