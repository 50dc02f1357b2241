"""Measures how long a network takes for one image, on one core of this machine's CPU. Imports torch only for that."""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import fields, replace
from statistics import median
from typing import Any

from sweeper.config import ModelConfig
from sweeper.models.families import build

# The runs before the first measured one: allocations and the choice of kernels.
N_WARM_UP = 10
# The median of a round outlasts single interruptions, and the least of the rounds' medians a neighbour on the machine
# that slows down some of the rounds: nothing makes a network faster than it is.
N_ROUNDS, N_RUNS = 5, 21
# Fields that change nothing in a trained network's arithmetic; they take the default of their dataclass.
_OF_TRAINING = (
    "dropout", "dropout_conv", "dropout_pool", "dropout_flatten", "drop_rate", "drop_path_rate", "init", "pretrained",
    "pretrained_file",
)  # fmt: skip

# What `milliseconds` measures, for captions and help texts.
DESCRIBED = "one image at a time on one thread of this machine's CPU, in float32"


def milliseconds(config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int) -> float:
    """The milliseconds that a network takes for one image of `input_shape` (channels, height, width).

    Random weights, batch 1, one thread, float32, the memory layout of trainings; measured as by `of_calls`.
    torch's number of threads and its random numbers are left as they were. Raises ValueError when the network cannot
    take such images.
    """
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        network = build(deployed(config), input_shape, n_classes).eval().to(memory_format=torch.channels_last)
        image = torch.randn(1, *input_shape).to(memory_format=torch.channels_last)
    torch.set_num_threads(1)
    try:
        # A network of the user's may print, and commands print JSON to stdout.
        with torch.inference_mode(), redirect_stdout(sys.stderr):
            return of_calls(network, image)
    finally:
        torch.set_num_threads(threads)


def deployed(config: ModelConfig) -> ModelConfig:
    """The configuration without what matters only in training: networks that are equal in use become equal."""
    values: dict[str, Any] = {field.name: field.default for field in fields(config) if field.name in _OF_TRAINING}
    return replace(config, **values)


def of_calls(network: Callable[[Any], object], image: Any) -> float:
    """The milliseconds that a function takes for the image, of which it must do all work in this thread.

    The result is the least of N_ROUNDS medians of N_RUNS runs each, after warming up. It is processor time: on an idle
    machine the same as time by the clock, and on a busy one without the time that other processes have.
    """
    for _ in range(N_WARM_UP):
        network(image)
    return min(median(_run(network, image) for _ in range(N_RUNS)) for _ in range(N_ROUNDS))


def _run(network: Callable[[Any], object], image: Any) -> float:
    """The processor time of one call, in milliseconds."""
    started = time.thread_time()
    network(image)
    return 1000 * (time.thread_time() - started)
