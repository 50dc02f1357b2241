"""A training's steps on a card, captured once in CUDA graphs and replayed.

Launching the fifty small kernels of a small network's step from Python takes longer than they do. A graph launches all
of them at once, and many trainings, each on a stream of its own, share a card.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sweeper.errors import first_line
from sweeper.training import memory
from sweeper.training.optimizers import set_rates
from sweeper.training.step import Step

# Steps that are made as they come before one is captured: libraries set themselves up in the first ones, which no graph
# may hold.
WARM_UP = 3
# Of torch: from then on a graph finds the generators that it captures by itself, and warns of being told.
BY_THEMSELVES = "2.14"
# The learning rate and the momentum of every step of an epoch; None where the momentum does not change.
Rates = Sequence[tuple[float, float | None]]
# Those that could not be captured. Torch up to 2.13 goes on asking them whose memory that of later captures is.
_failed: list[torch.cuda.CUDAGraph] = []


class StepsOnDevice:
    """The steps of an epoch, each of which finds on the device which images and which rates are its own.

    Nothing is handed over in between, so that all steps of one length are the same to the device.
    """

    def __init__(self, step: Step, lengths: Sequence[int], device: torch.device) -> None:
        self._step = step
        self._order = torch.zeros(sum(lengths), dtype=torch.int64, device=device)
        self._rates = torch.zeros((len(lengths), 2), device=device)
        self._start, self._number = torch.zeros((2, 1), dtype=torch.int64, device=device).unbind()
        self._has_momentum = False

    def begin(self, order: Tensor, rates: Rates) -> None:
        """Hands over the order of the images, and the learning rate and momentum of every step."""
        self._has_momentum = rates[0][1] is not None
        self._order.copy_(order)
        self._rates.copy_(torch.tensor([(lr, momentum or 0.0) for lr, momentum in rates]))
        self._start.zero_()
        self._number.zero_()

    def make(self, length: int) -> None:
        """The next step, on so many images."""
        lr, momentum = self._rates.index_select(0, self._number).unbind(1)
        set_rates(self._step.optimizer, lr.squeeze(0), momentum.squeeze(0) if self._has_momentum else None)
        places = self._start + torch.arange(length, device=self._order.device)
        self._step(self._order.index_select(0, places))
        self._start += length
        self._number += 1


class GraphedEpoch:
    """Runs a training's epochs: the first steps as they come, and then all from graphs.

    `lengths` are those of an epoch's batches; dropout draws from `own`, a generator of the training alone. The stream
    is the current one, or one of its own in the place of the default one. Steps that cannot be captured go on being
    made as they come, of which `tell` gets one line.
    """

    def __init__(self, step: Step, lengths: Sequence[int], own: torch.Generator, tell: Callable[[str], None]) -> None:
        self._steps, self._lengths = StepsOnDevice(step, lengths, own.device), lengths
        # What draws in a step, of those that belong to this training.
        self._generators = [own, step.generator] if step.is_augmented else [own]
        current = torch.cuda.current_stream(own.device)
        # Torch has 32 streams and deals them out again and again. What a neighbour did on a stream that captures would
        # be captured, so that nobody takes a second one who has one.
        has_own = current != torch.cuda.default_stream(own.device)
        self._stream = current if has_own else torch.cuda.Stream(own.device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._n_made = 0
        self._tell = tell
        self._gave_up = False

    def __call__(self, order: Tensor, rates: Rates) -> None:
        """Makes an epoch's steps; what is on the current stream later sees what they did."""
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
        finally:
            current.wait_stream(self._stream)

    def _make(self, length: int) -> None:
        """A step as it comes; behind the last one of these, the graph of those to come."""
        with drawing_from(self._generators[0]):
            self._steps.make(length)
            self._n_made += 1
            if self._n_made < WARM_UP or self._gave_up:
                return
            graph = torch.cuda.CUDAGraph()
            if torch.__version__ < BY_THEMSELVES:
                for generator in self._generators[1:]:
                    graph.register_generator_state(generator)
            try:
                # What other trainings of the process do meanwhile is no concern of this capture.
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
        self._graphs.clear()  # they would draw from what the generators are now
        graph.reset()
        _failed.append(graph)
        # Torch before 2.13 believes for ever that these are being captured.
        for generator in self._generators:
            fresh = torch.Generator(generator.device)
            fresh.set_state(generator.get_state())
            generator.graphsafe_set_state(fresh)
        self._tell(f"its steps cannot be captured in a graph, and are made as they come: {first_line(error)}")


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Has what draws from the card's own generator, as dropout does, draw from this one; a graph then always will."""
    default = torch.cuda.default_generators[generator.device.index]
    with memory.of_the_card:
        before = default.graphsafe_get_state()
        default.graphsafe_set_state(generator)
        try:
            yield
        finally:
            default.graphsafe_set_state(before)
