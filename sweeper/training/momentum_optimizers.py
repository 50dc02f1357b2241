"""Optimizers whose momentum changes from step to step and is read on the device.

Torch's own optimizers read the momentum on the host, so a CUDA graph would keep the value at its capture for ever.
State and updates are those of torch's optimizers.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sweeper.training import torch_optimizers

# A parameter group's entry for the momentum (adam: beta1), a scalar tensor on the device.
MOMENTUM = "momentum_now"
Tensors = list[Tensor] | tuple[Tensor, ...]


class SGD(torch_optimizers.SGD):
    """torch.optim.SGD without dampening, with the group's MOMENTUM as its momentum."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Updates the parameters that have gradients."""
        for group, parameters, gradients in _groups(self):
            momentum = group[MOMENTUM]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
            buffers = [_state(self, parameter, "momentum_buffer") for parameter in parameters]
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(buffers, gradients)
            updates: Tensors = buffers
            if group["nesterov"]:
                updates = torch._foreach_mul(buffers, momentum)
                torch._foreach_add_(updates, gradients)
            torch._foreach_sub_(parameters, torch._foreach_mul(updates, group["lr"]))


class Adam(torch_optimizers.Adam):
    """torch.optim.Adam, or AdamW, with the group's MOMENTUM as beta1."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Updates the parameters that have gradients."""
        for group, parameters, gradients in _groups(self):
            beta1, (_, beta2), lr, weight_decay = group[MOMENTUM], group["betas"], group["lr"], group["weight_decay"]
            means = [_state(self, parameter, "exp_avg") for parameter in parameters]
            squares = [_state(self, parameter, "exp_avg_sq") for parameter in parameters]
            steps = [_steps(self, parameter) for parameter in parameters]
            torch._foreach_add_(steps, 1)
            if weight_decay and group["decoupled_weight_decay"]:
                torch._foreach_mul_(parameters, 1 - lr * weight_decay)
            elif weight_decay:
                gradients = torch._foreach_add(gradients, parameters, alpha=weight_decay)
            torch._foreach_mul_(means, beta1)
            torch._foreach_add_(means, torch._foreach_mul(gradients, 1 - beta1))
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
            # All parameters of a group have taken the same number of steps.
            correction1, correction2 = 1 - beta1 ** steps[0], 1 - beta2 ** steps[0]
            roots = torch._foreach_sqrt(squares)
            torch._foreach_div_(roots, correction2.sqrt())
            torch._foreach_add_(roots, group["eps"])
            updates = torch._foreach_div(means, roots)
            torch._foreach_mul_(updates, lr / correction1)
            torch._foreach_sub_(parameters, updates)


def scale_buffers(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    """A pre-step hook for torch's RMSprop with momentum 1: makes the group's MOMENTUM the effective momentum."""
    for group, parameters, _ in _groups(optimizer):
        buffers = [_state(optimizer, p, "momentum_buffer") for p in parameters if optimizer.state.get(p)]
        if buffers:
            torch._foreach_mul_(buffers, group[MOMENTUM])


def _groups(optimizer: torch.optim.Optimizer) -> Iterator[tuple[dict[str, Any], Tensors, Tensors]]:
    """Every group that has gradients, with the parameters that have one and these gradients."""
    for group in optimizer.param_groups:
        pairs = [(parameter, parameter.grad) for parameter in group["params"] if parameter.grad is not None]
        if pairs:
            parameters, gradients = zip(*pairs, strict=True)
            yield group, parameters, gradients


def _state(optimizer: torch.optim.Optimizer, parameter: Tensor, name: str) -> Tensor:
    state: dict[str, Tensor] = optimizer.state[parameter]
    if name not in state:
        state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return state[name]


def _steps(optimizer: torch.optim.Optimizer, parameter: Tensor) -> Tensor:
    state: dict[str, Tensor] = optimizer.state[parameter]
    if "step" not in state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
    return state["step"]
