"""The one training loop: a generator of metrics, epoch by epoch, that resumes from its checkpoint."""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.training import checkpoint, matmul_precision, process_locks
from sweeper.training.checkpoint import CheckpointError
from sweeper.training.cuda_graphs import GraphedEpoch, Rates, drawing_from
from sweeper.training.device_data import TrainingData
from sweeper.training.epoch_metrics import Diverged, EpochMetrics, SoftmaxEpochMetrics, epochs_of
from sweeper.training.freezing import Freezing
from sweeper.training.optimizers import build_optimizer, learning_rate, momentum, penalty, set_rates
from sweeper.training.step import Step
from sweeper.training.validation import EVALUATION_BATCH, validate, warm_up

# Is told of every batch, of training and then of validation: the epoch, the batches done, and their number. On a GPU,
# batches that do not come from a graph are counted where they are issued: the GPU has room for few of their kernels.
BatchListener = Callable[[int, int, int], None]


def fit(
    model: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    *,
    epochs: int,
    seed: int,
    checkpoint_path: Path | None = None,
    identity: str = "",
    frozen: Collection[str] = (),
    head: Collection[str] = (),
    graphs: bool = False,
    probabilities: bool = False,
    test_flip: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    on_batch: BatchListener = lambda epoch, done, total: None,
) -> Iterator[EpochMetrics]:
    """Trains `model` in place, yielding after each epoch; with `patience`, training may end before the last one.

    `frozen` names tensors that stay as they are; a batch norm with frozen running statistics keeps using them. In the
    first `freeze_epochs` epochs, only the tensors named in `head` train, and patience does not count.
    With `ema_decay`, the moving average of the weights is validated and takes their place at the end. With `test_flip`,
    an output of validation is the mean of those for the image and its mirror image.
    With `checkpoint_path`, the whole state is written there before each yield, under `identity`. If that file exists
    already, its epochs are yielded again and training resumes after them, bitwise as if it had never stopped. Seeds
    torch's global generator, from which dropout draws.

    With `graphs` (GPUs only), steps are captured and replayed, and dropout draws from this training's own
    generator: other trainings of the process do not change the result, which equals that without graphs except for
    rounding. If steps cannot be captured and so run one by one, `tell` gets a line about it. `on_batch` is called after
    every batch. With `probabilities` the network's output is probabilities; training takes them as logits.

    Raises Diverged when the loss of an epoch is not finite, ValueError where weight decay names a layer that the
    network lacks, nothing is left to train or the device lacks the precision, and CheckpointError for an unusable
    checkpoint.
    """
    device = data.device
    matmul_precision.check(config.precision, device, graphs=graphs)
    freezing = Freezing(model, frozen, head, config.freeze_epochs)
    with process_locks.building:
        optimizer = build_optimizer(model, config, head=head if config.freeze_epochs else (), capturable=graphs)
    generator = torch.Generator(device).manual_seed(seed)
    own = torch.Generator(device).manual_seed(seed) if graphs else None
    if own is None:
        torch.manual_seed(seed)
    step = Step(model, data, config, optimizer, generator, probabilities=probabilities)
    progress = checkpoint.Progress(identity)
    history: list[EpochMetrics] = []
    if checkpoint_path and checkpoint_path.exists():
        with checkpoint.reading(checkpoint_path):
            progress, generators = checkpoint.load(checkpoint_path, identity, model, optimizer, step.average)
            _restore_generators(generators, generator, own, device)
            history = epochs_of(progress.history)
            if probabilities and not all(isinstance(past, SoftmaxEpochMetrics) for past in history):
                raise CheckpointError(f"{checkpoint_path} holds the losses of an older sweeper")
            if progress.has_ended and not _has_ended(history, config, epochs):
                raise CheckpointError(f"{checkpoint_path} is of a training that ended after epoch {progress.epoch}")
        yield from history

    batches = batch_bounds(len(data.train), config.batch_size)
    run_epoch: Callable[[Tensor, Rates, Callable[[], None]], None] = partial(_one_by_one, step, batches)
    first = len(history) + 1
    n_batches = len(batches) + math.ceil(len(data.validation) / EVALUATION_BATCH[device.type])
    if own is not None and not _has_ended(history, config, epochs):
        with drawing_from(torch.Generator(device)):  # holds the lock; own must draw what it would without this
            warm_up(model, data, test_flip=test_flip)
    while not _has_ended(history, config, epochs):
        epoch = len(history) + 1
        if epoch == first or freezing.ends_before(epoch):
            freezing.begin(epoch)
            if own is not None:  # a graph updates those parameters for ever that trained when it was captured
                run_epoch = GraphedEpoch(step, [stop - start for start, stop in batches], own, tell)
        order = torch.randperm(len(data.train), generator=generator, device=device)
        rates = [
            (learning_rate(config, place, len(batches), epochs), momentum(config, place, len(batches), epochs))
            for place in range((epoch - 1) * len(batches), epoch * len(batches))
        ]
        freezing.train(epoch)
        started = time.perf_counter()
        step.begin_epoch()
        after_batch = _counter(on_batch, epoch, n_batches)
        with matmul_precision.in_precision(config.precision):
            run_epoch(order, rates, after_batch)
        running = step.running(len(batches))
        seconds = time.perf_counter() - started
        if not math.isfinite(running.loss):
            raise Diverged(f"the training loss of epoch {epoch} is {running.loss}")
        scored = model if step.average is None else step.average.network
        validation, validation_heads = validate(
            scored, data, epoch, after_batch, probabilities=probabilities, test_flip=test_flip
        )
        kind = partial(SoftmaxEpochMetrics, train_softmax_loss=running.softmax_loss) if probabilities else EpochMetrics
        metrics = kind(
            epoch=epoch,
            train_loss=running.loss,
            train_accuracy=running.accuracy,
            **validation,
            lr=rates[-1][0],
            images_per_second=len(data.train) / seconds,
            gradient_norm=running.gradient_norm,
            epoch_seconds=time.perf_counter() - started,
            penalty=penalty(model, config),
            heads={f"{name}_train_accuracy": share for name, share in running.heads.items()}
            | {f"{name}_validation_accuracy": share for name, share in validation_heads.items()},
        )
        history.append(metrics)
        if checkpoint_path:
            progress.epoch = epoch
            progress.history.append(asdict(metrics))
            generators = _generator_states(generator, own, device)
            resumable = None if _has_ended(history, config, epochs) else optimizer
            checkpoint.save(checkpoint_path, progress, model, resumable, generators, step.average)
        yield metrics
    if step.average is not None:
        model.load_state_dict(step.average.network.state_dict())


def _has_ended(history: Sequence[EpochMetrics], config: TrainConfig, epochs: int) -> bool:
    """Whether a training with this history is complete: all epochs are done, or the validation loss has stalled.

    It stalls for `patience` epochs, of which frozen ones do not count.
    """
    return len(history) >= epochs or _has_stalled(history[config.freeze_epochs :], config.patience)


def _has_stalled(history: Sequence[EpochMetrics], patience: int) -> bool:
    """Whether the lowest validation loss is `patience` epochs old; False without patience or a validation part."""
    losses = [metrics.validation_loss for metrics in history]
    if not patience or not losses or math.isnan(losses[-1]):
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def batch_bounds(n_images: int, batch_size: int) -> list[tuple[int, int]]:
    """The start and stop of each batch; a last batch of one image joins the batch before.

    Batch norm cannot train on a single image whose map is 1x1.
    """
    starts = list(range(0, n_images, batch_size))
    if len(starts) > 1 and n_images - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_images], strict=True))


def _counter(on_batch: BatchListener, epoch: int, total: int) -> Callable[[], None]:
    """A function to call after every batch of an epoch."""
    done = count(1)
    return lambda: on_batch(epoch, next(done), total)


def _one_by_one(
    step: Step, batches: Sequence[tuple[int, int]], order: Tensor, rates: Rates, after_batch: Callable[[], None]
) -> None:
    """Runs the steps of an epoch one by one, without graphs."""
    for (start, stop), step_rates in zip(batches, rates, strict=True):
        set_rates(step.optimizer, *step_rates)
        step(order[start:stop])
        after_batch()


def _generator_states(order: torch.Generator, own: torch.Generator | None, device: torch.device) -> dict[str, Tensor]:
    states = {"order": order.get_state(), "global": torch.get_rng_state()}
    if own is not None:
        states["cuda"] = own.get_state()
    elif device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _restore_generators(
    states: dict[str, Tensor], order: torch.Generator, own: torch.Generator | None, device: torch.device
) -> None:
    order.set_state(states["order"])
    if own is not None:
        own.set_state(states["cuda"])
        return
    torch.set_rng_state(states["global"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states["mps"])
