"""Captures a training's steps on a GPU in CUDA graphs, and replays them.

A small network's step runs fifty small kernels, and launching them from Python takes longer than running them. A graph
launches all of them at once, so many trainings, each on its own stream, can share a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sweeper.errors import first_line
from sweeper.training import memory
from sweeper.training.optimizers import set_rates
from sweeper.training.step import Step

# Steps that run eagerly before the first capture: libraries initialise themselves in them, which no graph may capture.
WARM_UP = 3
# From this torch version on, a graph finds the generators that it captures by itself, and warns if one is registered.
FINDS_GENERATORS_SINCE = "2.14"
# The learning rate and the momentum of each step of an epoch; the momentum is None where it does not change.
Rates = Sequence[tuple[float, float | None]]
# Graphs whose capture failed, kept alive: torch up to 2.13 still asks them whether memory of later captures is theirs.
_failed: list[torch.cuda.CUDAGraph] = []


class StepsOnDevice:
    """The steps of an epoch, each of which looks up its images and rates on the device.

    The host passes nothing to the device between steps, so one graph serves all steps of the same length.
    """

    def __init__(self, step: Step, lengths: Sequence[int], device: torch.device) -> None:
        self._step = step
        self._order = torch.zeros(sum(lengths), dtype=torch.int64, device=device)
        self._rates = torch.zeros((len(lengths), 2), device=device)
        self._start, self._number = torch.zeros((2, 1), dtype=torch.int64, device=device).unbind()
        self._has_momentum = False

    def begin(self, order: Tensor, rates: Rates) -> None:
        """Copies the order of the images, and each step's learning rate and momentum, to the device."""
        self._has_momentum = rates[0][1] is not None
        self._order.copy_(order)
        self._rates.copy_(torch.tensor([(lr, momentum or 0.0) for lr, momentum in rates]))
        self._start.zero_()
        self._number.zero_()

    def make(self, length: int) -> None:
        """Runs the next step, on `length` images."""
        lr, momentum = self._rates.index_select(0, self._number).unbind(1)
        set_rates(self._step.optimizer, lr.squeeze(0), momentum.squeeze(0) if self._has_momentum else None)
        places = self._start + torch.arange(length, device=self._order.device)
        self._step(self._order.index_select(0, places))
        self._start += length
        self._number += 1


class GraphedEpoch:
    """Runs a training's epochs: the first steps eagerly, all later ones from graphs.

    `lengths` are the lengths of an epoch's batches; dropout draws from `own`, a generator of this training alone. The
    steps run on the current stream, or on a new one if the current stream is the default stream. Steps that cannot be
    captured keep running eagerly, and `tell` gets one line about it.
    """

    def __init__(self, step: Step, lengths: Sequence[int], own: torch.Generator, tell: Callable[[str], None]) -> None:
        self._steps, self._lengths = StepsOnDevice(step, lengths, own.device), lengths
        # This training's generators from which a step draws.
        self._generators = [own, step.generator] if step.is_augmented else [own]
        current = torch.cuda.current_stream(own.device)
        # Torch has 32 streams and hands them out in rotation. A capture also records another training's work on the
        # same stream, so a training that has its own stream takes no second one.
        has_own = current != torch.cuda.default_stream(own.device)
        self._stream = current if has_own else torch.cuda.Stream(own.device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._n_made = 0
        self._tell = tell
        self._gave_up = False

    def __call__(self, order: Tensor, rates: Rates, after_batch: Callable[[], None] = lambda: None) -> None:
        """Runs an epoch's steps; later work on the current stream sees their results.

        `after_batch` is called when a step was given to the GPU, which may run it only later.
        """
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                self._steps.begin(order, rates)
                for length in self._lengths:
                    if length in self._graphs:
                        self._graphs[length].replay()
                    else:
                        self._make(length)
                    after_batch()
        finally:
            current.wait_stream(self._stream)

    def _make(self, length: int) -> None:
        """Runs a step eagerly; after the warm-up, also captures the graph of the later steps of this length."""
        with drawing_from(self._generators[0]):
            self._steps.make(length)
            self._n_made += 1
            if self._n_made < WARM_UP or self._gave_up:
                return
            graph = torch.cuda.CUDAGraph()
            if torch.__version__ < FINDS_GENERATORS_SINCE:
                for generator in self._generators[1:]:
                    graph.register_generator_state(generator)
            try:
                # "thread_local": what the process's other trainings do meanwhile does not break this capture.
                with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                    self._steps.make(length)
            except RuntimeError as error:
                if memory.is_out_of_memory(error):
                    raise
                self._give_up(graph, error)
            else:
                self._graphs[length] = graph

    def _give_up(self, graph: torch.cuda.CUDAGraph, error: RuntimeError) -> None:
        self._gave_up = True
        self._graphs.clear()  # they would draw from the generators' present states, which are replaced below
        graph.reset()
        _failed.append(graph)
        # Torch before 2.13 would treat the present states as being captured for ever.
        for generator in self._generators:
            fresh = torch.Generator(generator.device)
            fresh.set_state(generator.get_state())
            generator.graphsafe_set_state(fresh)
        self._tell(f"its steps cannot be captured in a CUDA graph and run one by one instead: {first_line(error)}")


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Makes operations that use the GPU's default generator, such as dropout, draw from this one.

    A graph that is captured meanwhile will always draw from this one.
    """
    default = torch.cuda.default_generators[generator.device.index]
    with memory.gpu_lock:
        before = default.graphsafe_get_state()
        default.graphsafe_set_state(generator)
        try:
            yield
        finally:
            default.graphsafe_set_state(before)
