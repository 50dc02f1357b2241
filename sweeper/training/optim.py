"""Optimizers, and learning rates as a function of the step."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from sweeper.config import TrainConfig

# One-cycle as in Smith & Topin (2019), with the proportions of torch's OneCycleLR: from a 25th of the peak up to
# it over 30 % of the steps, then down to a 10,000th of the start, both along a cosine. The momentum is left
# alone, so that the searched value is the one used.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4


def build_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer of `config`; weight decay is decoupled for adamw, else part of the gradient."""
    # The fused kernels update all parameters in one call: small networks are bound by the number of calls.
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, config.lr, config.momentum, weight_decay=config.weight_decay, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of a step, counted from 0 over the whole training.

    "step" and "exponential" change between epochs, "cosine" (to 0, without restarts) and "one_cycle" with
    every step. A pure function of the step, so resuming needs no state.
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
            factor = _cosine(1.0, 0.0, step / n_steps)
        case "one_cycle":
            # The last step reaches the end, and the rise ends between two steps, as in torch.
            rise = ONE_CYCLE_RISE * n_steps - 1
            if step <= rise:
                factor = _cosine(ONE_CYCLE_START, 1.0, step / rise)
            else:
                factor = _cosine(1.0, ONE_CYCLE_END, (step - rise) / (n_steps - 1 - rise))
        case _:
            raise AssertionError(config.schedule)
    return config.lr * factor


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
