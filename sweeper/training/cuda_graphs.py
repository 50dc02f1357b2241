"""Captures a training's steps on a GPU in CUDA graphs, and replays them.

A small network's step runs fifty small kernels, and launching them from Python takes longer than running them. A graph
launches all of them at once, so many trainings, each on its own stream, can share a GPU.
"""

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sweeper.errors import first_line
from sweeper.training import memory, process_locks
from sweeper.training.optimizers import set_rates
from sweeper.training.step import Step

# Steps that run eagerly before the first capture: libraries initialise themselves in them, which no graph may capture.
WARM_UP = 3
# From this torch version on, a graph finds the generators that it captures by itself, and warns if one is registered.
FINDS_GENERATORS_SINCE = "2.14"
# The host waits for the GPU block by block of steps, so that what it counts as done is done. Blocks grow up to a few
# hundred steps, which makes the waits cheap, as long as one takes less than this: slow steps are counted one by one.
BLOCK_SECONDS, MOST_STEPS = 0.1, 256
# While the host waits for a block, the GPU has the next one to run.
MOST_BLOCKS = 2
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


class StepsInFlight:
    """Counts the steps that a stream has run, of those that it was given, and keeps the host from running far ahead."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream = stream
        self._n_steps = 1  # of a block
        self._n_open = 0  # the steps since the last block
        self._blocks: deque[tuple[torch.cuda.Event, int]] = deque()  # the event behind each block, and its steps
        self._waited = 0.0

    def begin(self) -> None:
        """Forgets what is in flight: an epoch begins."""
        self._blocks.clear()
        self._n_open, self._waited = 0, time.perf_counter()

    def add(self) -> int:
        """Notes that the stream was given a step; returns how many steps are done that were not before."""
        self._n_open += 1
        if self._n_open < self._n_steps:
            return 0
        self._close_block()
        return self._wait() if len(self._blocks) > MOST_BLOCKS else 0

    def end(self) -> Iterator[int]:
        """Waits for all steps; gives the number of steps of each block that is done."""
        if self._n_open:
            self._close_block()
        while self._blocks:
            yield self._wait()

    def _close_block(self) -> None:
        event = torch.cuda.Event(blocking=True)  # other trainings of the process need the core
        event.record(self._stream)
        self._blocks.append((event, self._n_open))
        self._n_open = 0

    def _wait(self) -> int:
        event, n_steps = self._blocks.popleft()
        event.synchronize()
        now = time.perf_counter()
        if now - self._waited < BLOCK_SECONDS:
            self._n_steps = min(2 * self._n_steps, MOST_STEPS)
        self._waited = now
        return n_steps


class GraphedEpoch:
    """Runs a training's epochs: the first steps eagerly, all later ones from graphs.

    `lengths` are the lengths of an epoch's batches; dropout draws from `own`, a generator of this training alone. The
    steps run on the current stream, or on a new one if the current stream is the default stream. Steps that cannot be
    captured keep running eagerly, and `tell` gets one line about it.
    """

    def __init__(self, step: Step, lengths: Sequence[int], own: torch.Generator, tell: Callable[[str], None]) -> None:
        self._steps, self._lengths = StepsOnDevice(step, lengths, own.device), lengths
        # This training's generators from which a step draws.
        self._generators = [own, step.generator] if step.draws else [own]
        current = torch.cuda.current_stream(own.device)
        # Torch has 32 streams and hands them out in rotation. A capture also records another training's work on the
        # same stream, so a training that has its own stream takes no second one.
        has_own = current != torch.cuda.default_stream(own.device)
        self._stream = current if has_own else torch.cuda.Stream(own.device)
        self._in_flight = StepsInFlight(self._stream)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle()  # for all of its graphs: they never run at the same time
        self._n_made = 0
        self._tell = tell
        self._gave_up = False
        self._first_state = own.get_state()
        self._draws = True

    def __call__(self, order: Tensor, rates: Rates, after_batch: Callable[[], None] = lambda: None) -> None:
        """Runs an epoch's steps to their end, and calls `after_batch` for each, some time after the GPU has run it."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                self._steps.begin(order, rates)
                self._in_flight.begin()
                for length in self._lengths:
                    if length in self._graphs:
                        self._graphs[length].replay()
                    else:
                        self._make(length)
                    for _ in range(self._in_flight.add()):
                        after_batch()
                for n_steps in self._in_flight.end():
                    for _ in range(n_steps):
                        after_batch()
        finally:
            current.wait_stream(self._stream)

    def _make(self, length: int) -> None:
        """Runs a step eagerly; after the warm-up, also captures the graph of the later steps of this length."""
        if self._gave_up and not self._draws:  # nothing that it shares with other trainings
            self._steps.make(length)
            return
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
                with _capturing(graph, self._pool):
                    self._steps.make(length)
            except RuntimeError as error:
                if memory.is_out_of_memory(error):
                    raise
                self._give_up(graph, error)
            else:
                self._graphs[length] = graph

    def _give_up(self, graph: torch.cuda.CUDAGraph, error: RuntimeError) -> None:
        self._gave_up = True
        # Steps draw alike: a network whose first steps have drawn nothing draws nothing later.
        self._draws = not torch.equal(self._first_state, self._generators[0].get_state())
        self._graphs.clear()  # they would draw from the generators' present states, which are replaced below
        graph.reset()
        _failed.append(graph)
        # Torch before 2.13 would treat the present states as being captured for ever.
        for generator in self._generators:
            fresh = torch.Generator(generator.device)
            fresh.set_state(generator.get_state())
            generator.graphsafe_set_state(fresh)
        reason = first_line(_cause(error))
        self._tell(f"its steps cannot be captured in a CUDA graph and run one by one instead: {reason}")


@contextmanager
def _capturing(graph: torch.cuda.CUDAGraph, pool: Any) -> Iterator[None]:
    """Captures what this thread gives to its current stream; the thread must hold process_locks.gpu.

    Torch's own context manager first waits for all that the GPU was given, and empties the cache: each time a training
    began, all others would stand still.
    """
    # What the garbage collector destroys, such as another training's events, must not become a part of the capture.
    collects = gc.isenabled()
    gc.disable()
    try:
        # "thread_local": what the process's other trainings do meanwhile does not break this capture.
        graph.capture_begin(pool, capture_error_mode="thread_local")
        try:
            yield
        finally:
            graph.capture_end()
    finally:
        if collects:
            gc.enable()


def _cause(error: BaseException) -> BaseException:
    """The error that came first: after it, the end of the capture only reports that the capture has failed."""
    while error.__context__ is not None:
        error = error.__context__
    return error


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Makes operations that use the GPU's default generator, such as dropout, draw from this one.

    A graph that is captured meanwhile will always draw from this one.
    """
    default = torch.cuda.default_generators[generator.device.index]
    with process_locks.gpu:
        before = default.graphsafe_get_state()
        default.graphsafe_set_state(generator)
        try:
            yield
        finally:
            default.graphsafe_set_state(before)
