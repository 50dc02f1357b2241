"""Optimizers, and learning rates and momenta as functions of the step."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.training import momentum_optimizers, torch_optimizers


def build_optimizer(
    model: nn.Module, config: TrainConfig, *, head: Collection[str] = (), capturable: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of `config` for the parameters of `model` that train; rmsprop has torch's defaults.

    The parameters named in `head`, if any, have groups of their own: they may train for longer than the others.
    A `capturable` one, for steps in a CUDA graph, reads its learning rate, and a momentum that changes, from tensors on
    the device, which set_rates writes. Its state is like any other's. Raises ValueError where `weight_decay_layers`
    names a layer that the network lacks.
    """
    decayed, trained = _decayed(model, config), _trained(model)
    chosen = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in trained if id(parameter) not in chosen]
    # Torch's AdamW decouples weight decay itself; torch's SGD and RMSprop have no option for it.
    decays_in_hook = config.decoupled_weight_decay and config.optimizer in ("sgd", "rmsprop")
    weight_decay = 0.0 if decays_in_hook else config.weight_decay
    # Every group costs one more call in each step.
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": weight_decay}]
    if weight_decay and others:
        groups.append({"params": others, "weight_decay": 0.0})
    else:
        groups[0]["params"] = trained
    groups = _apart(groups, {id(parameter) for name, parameter in model.named_parameters() if name in head})
    cycles = momentum(config, 0, 1, 1) is not None
    momentum_start = config.momentum_high if cycles else config.momentum
    nesterov = config.nesterov and momentum_start > 0
    on_device = cycles and capturable
    # Torch's own flag for an optimizer that a graph can hold; torch allows it on GPUs only.
    torch_capturable = capturable and trained[0].device.type != "cpu"
    optimizer: torch.optim.Optimizer
    # The fused kernels update all parameters in one call: small networks are bound by the number of calls.
    match config.optimizer:
        case "sgd" if on_device:
            optimizer = momentum_optimizers.SGD(groups, config.lr, momentum_start, nesterov=nesterov)
        case "sgd":
            optimizer = torch_optimizers.SGD(groups, config.lr, momentum_start, nesterov=nesterov, fused=True)
        case "rmsprop":
            # Torch has no fused kernel for RMSprop, and chooses the foreach kernel by itself on GPUs only.
            factor = 1.0 if on_device else momentum_start
            optimizer = torch_optimizers.RMSprop(
                groups, config.lr, momentum=factor, foreach=True, capturable=torch_capturable
            )
            if on_device:
                optimizer.register_step_pre_hook(momentum_optimizers.scale_buffers)
        case _ if on_device:
            optimizer = momentum_optimizers.Adam(
                groups, config.lr, capturable=torch_capturable, decoupled_weight_decay=_is_decoupled(config)
            )
        case _:
            kind = torch_optimizers.AdamW if _is_decoupled(config) else torch_optimizers.Adam
            optimizer = kind(groups, config.lr, fused=True, capturable=torch_capturable)
    if capturable:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(config.lr, device=trained[0].device)
            if cycles:
                group[momentum_optimizers.MOMENTUM] = torch.tensor(momentum_start, device=trained[0].device)
    if decays_in_hook and config.weight_decay and decayed:

        @torch.no_grad()
        def decay(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            """w *= 1 - lr * weight_decay before the step, as in AdamW (Loshchilov & Hutter, 2019)."""
            training = [parameter for parameter in decayed if parameter.requires_grad]
            if training:  # none, while the classifier trains alone and does not decay
                torch._foreach_mul_(training, 1 - optimizer.param_groups[0]["lr"] * config.weight_decay)

        optimizer.register_step_pre_hook(decay)
    return optimizer


def _apart(groups: list[dict[str, Any]], chosen: Collection[int]) -> list[dict[str, Any]]:
    """The groups, each split into the parameters with a chosen id and the others.

    Optimizers count the steps of a group, not of a parameter.
    """
    if not chosen:
        return groups
    parts = []
    for group in groups:
        for is_chosen in (True, False):
            parameters = [parameter for parameter in group["params"] if (id(parameter) in chosen) == is_chosen]
            if parameters:
                parts.append({**group, "params": parameters})
    return parts


def penalty(model: nn.Module, config: TrainConfig) -> float:
    """weight_decay / 2 * the sum of squares of the decayed parameters: the loss term whose gradient weight decay adds.

    0 where weight decay is decoupled, as it then minimises no loss term.
    """
    if not config.weight_decay or _is_decoupled(config):
        return 0.0
    squares = [parameter.detach().square().sum() for parameter in _decayed(model, config)]
    return config.weight_decay / 2 * torch.stack(squares).sum().item() if squares else 0.0


def _is_decoupled(config: TrainConfig) -> bool:
    return config.decoupled_weight_decay or config.optimizer == "adamw"


def _decayed(model: nn.Module, config: TrainConfig) -> list[Tensor]:
    """The parameters that train and decay."""
    if not config.weight_decay_layers:
        return _trained(model)
    weights = {
        path.replace("aux.", "aux_").rpartition(".")[2]: module.weight
        for path, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    for name in config.weight_decay_layers:
        if name not in weights:
            raise ValueError(f"weight_decay_layers names {name}, which this network lacks")
    return [weights[name] for name in config.weight_decay_layers if weights[name].requires_grad]


def _trained(model: nn.Module) -> list[Tensor]:
    """The parameters that train: those that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of a step, counted from 0 over the whole training.

    "step" and "exponential" change it between epochs, the others with every step:
    "cosine" falls to 0 without restarts, cos(pi * t) of SGDR (Loshchilov & Hutter, 2017, eq. 5), after a warm-up
    of w steps (Goyal et al., 2017, section 2.2) at (step + 1) / (w + 1) of the rate;
    "cyclic" rises and falls along straight lines (Smith, 2017), as in torch's CyclicLR;
    "one_cycle" rises and falls once along a cosine, as in torch's OneCycleLR.
    The rate is a pure function of the step, so resuming needs no state.
    """
    epoch, n_steps = step // steps_per_epoch, epochs * steps_per_epoch
    match config.schedule:
        case "constant":
            factor = 1.0
        case "step":
            factor = config.step_gamma ** (epoch // config.step_size)
        case "exponential":
            factor = config.exponential_gamma**epoch
        case "cosine":
            warmup = config.warmup_epochs * steps_per_epoch
            if step < warmup:
                factor = (step + 1) / (warmup + 1)
            else:
                factor = _cosine(1.0, 0.0, (step - warmup) / (n_steps - warmup))
        case "cyclic":
            factor = config.cycle_start + (1 - config.cycle_start) * _triangle(config, step, steps_per_epoch)
        case "one_cycle":
            rises, share = _half(config, step, n_steps)
            factor = _cosine(config.cycle_start, 1.0, share) if rises else _cosine(1.0, config.cycle_end, share)
        case _:
            raise AssertionError(config.schedule)
    return config.lr * factor


def momentum(config: TrainConfig, step: int, steps_per_epoch: int, epochs: int) -> float | None:
    """The momentum of a step (adam, adamw: beta1), as in CyclicLR and OneCycleLR; None where it does not change."""
    low, high = config.momentum_low, config.momentum_high
    if config.cycle_momentum and config.schedule == "cyclic":
        return high - (high - low) * _triangle(config, step, steps_per_epoch)
    if config.cycle_momentum and config.schedule == "one_cycle":
        rises, share = _half(config, step, epochs * steps_per_epoch)
        return _cosine(high, low, share) if rises else _cosine(low, high, share)
    return None


def set_rates(optimizer: torch.optim.Optimizer, learning_rate: float | Tensor, momentum: float | Tensor | None) -> None:
    """Sets the next step's learning rate and, unless None, its momentum.

    For a capturable optimizer both are scalar tensors on the device.
    """
    for group in optimizer.param_groups:
        _set(group, "lr", learning_rate)
        if momentum is None:
            continue
        if momentum_optimizers.MOMENTUM in group:
            _set(group, momentum_optimizers.MOMENTUM, momentum)
        elif "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def _set(group: dict[str, Any], name: str, value: float | Tensor) -> None:
    if isinstance(value, Tensor):
        group[name].copy_(value)
    else:
        group[name] = value


def _triangle(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The height of a step of "cyclic" between the cycle's lowest (0) and highest (1) point."""
    place = step / (config.cycle_epochs * steps_per_epoch) % 2
    return 1 - abs(1 - place)


def _half(config: TrainConfig, step: int, n_steps: int) -> tuple[bool, float]:
    """Whether a step of "one_cycle" belongs to the rise, and the share of the rise or fall that is done by then."""
    # As in torch, the last step reaches the end value, and the rise may end between two steps.
    rise = config.cycle_rise * n_steps - 1
    return (True, step / rise) if step < rise else (False, (step - rise) / (n_steps - 1 - rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
