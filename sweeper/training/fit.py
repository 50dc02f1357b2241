"""The one training loop: a generator of metrics, epoch by epoch, that goes on from its checkpoint."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.evaluation.metrics import macro_f1
from sweeper.training import checkpoint
from sweeper.training.optim import build_optimizer, learning_rate
from sweeper.training.tensors import Part, TrainingData

# Small enough that the maps of a LeNet stay in the cache: 500 was 4 times slower on a CPU.
EVALUATION_BATCH = 128


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch, counted from 1. Losses are means over images, accuracies shares of 1.

    The train figures are running ones, taken while the weights change, with dropout on; `train_loss` is that of
    the output alone, without the auxiliary heads', so that it compares with `validation_loss`. `lr` is that of the
    epoch's last step; `gradient_norm` the mean over steps of the 2-norm over all parameters;
    `images_per_second` counts training images over the time spent training; `epoch_seconds` is that time with
    the validation pass. The validation figures are NaN where there is no validation part.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    lr: float
    images_per_second: float
    gradient_norm: float
    epoch_seconds: float


class Diverged(Exception):
    """The loss is no longer finite."""


def fit(
    model: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    *,
    epochs: int,
    seed: int,
    checkpoint_path: Path | None = None,
    identity: str = "",
) -> Iterator[EpochMetrics]:
    """Trains `model` in place, yielding after each epoch.

    With `checkpoint_path`, the whole state is written there before each yield, under `identity`; where that
    file exists already, the epochs that it holds are yielded again and training goes on behind them, bitwise
    as if it had never stopped. Seeds torch's global generator, which dropout draws from.

    Raises Diverged when the loss of an epoch is not finite, and CheckpointError for an unusable checkpoint.
    """
    device = data.device
    optimizer = build_optimizer(model.parameters(), config)
    torch.manual_seed(seed)
    order_generator = torch.Generator(device).manual_seed(seed)
    progress = checkpoint.Progress(identity)
    if checkpoint_path and checkpoint_path.exists():
        with checkpoint.reading(checkpoint_path):
            progress, generators = checkpoint.load(checkpoint_path, identity, model, optimizer)
            _restore_generators(generators, order_generator, device)
            history = epochs_of(progress.history)
        yield from history

    batches = batch_bounds(len(data.train), config.batch_size)
    for epoch in range(progress.epoch + 1, epochs + 1):
        order = torch.randperm(len(data.train), generator=order_generator, device=device)
        rates = [
            learning_rate(config, step, len(batches), epochs)
            for step in range((epoch - 1) * len(batches), epoch * len(batches))
        ]
        started = time.perf_counter()
        loss, accuracy, norm = _train_epoch(
            model, data, config, optimizer, [order[start:stop] for start, stop in batches], rates
        )
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            raise Diverged(f"the training loss of epoch {epoch} is {loss}")
        validation_loss, validation_accuracy, validation_macro_f1 = _validate(model, data, epoch)
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            validation_macro_f1=validation_macro_f1,
            lr=rates[-1],
            images_per_second=len(data.train) / seconds,
            gradient_norm=norm,
            epoch_seconds=time.perf_counter() - started,
        )
        if checkpoint_path:
            progress.epoch = epoch
            progress.history.append(asdict(metrics))
            generators = _generator_states(order_generator, device)
            checkpoint.save(checkpoint_path, progress, model, optimizer, generators)
        yield metrics


def epochs_of(history: Iterable[Mapping[str, Any]]) -> list[EpochMetrics]:
    """The epochs of a checkpoint's history. Raises TypeError where they have other figures."""
    return [EpochMetrics(**past) for past in history]


def evaluate(model: nn.Module, data: TrainingData, part: Part) -> tuple[float, np.ndarray]:
    """Mean loss over the part, and the predicted classes (n,), with the network in evaluation mode."""
    model.eval()
    loss = torch.zeros((), device=data.device)
    predictions = []
    with torch.inference_mode():
        for start in range(0, len(part), EVALUATION_BATCH):
            output = model(data.scale(part.images[start : start + EVALUATION_BATCH]))
            labels = part.labels[start : start + EVALUATION_BATCH]
            loss += F.cross_entropy(output, labels, reduction="sum")
            predictions.append(output.argmax(1))
    return loss.item() / len(part), torch.cat(predictions).cpu().numpy()


def _validate(model: nn.Module, data: TrainingData, epoch: int) -> tuple[float, float, float]:
    """Loss, accuracy and macro F1 on the validation part; NaN where there is none."""
    if not len(data.validation):
        return math.nan, math.nan, math.nan
    loss, predictions = evaluate(model, data, data.validation)
    if not math.isfinite(loss):
        raise Diverged(f"the validation loss of epoch {epoch} is {loss}")
    labels = data.validation.labels.cpu().numpy()
    return loss, float(np.mean(predictions == labels)), macro_f1(labels, predictions, data.n_classes)


def batch_bounds(n_images: int, batch_size: int) -> list[tuple[int, int]]:
    """Where each batch starts and stops; a last batch of one image joins the one before.

    Batch norm cannot take a single image whose map is 1x1.
    """
    starts = list(range(0, n_images, batch_size))
    if len(starts) > 1 and n_images - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_images], strict=True))


def _train_epoch(
    model: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    optimizer: torch.optim.Optimizer,
    batches: list[Tensor],
    rates: list[float],
) -> tuple[float, float, float]:
    """Running loss and accuracy over the epoch's images, and the mean gradient norm.

    The sums stay on the device and are read once: reading them in a step would make it wait.
    """
    model.train()
    parameters = list(model.parameters())
    loss_sum, correct, norm_sum = torch.zeros(3, device=data.device).unbind()
    for batch, rate in zip(batches, rates, strict=True):
        labels = data.train.labels[batch]
        loss, aux_loss, output = _losses(model, data.scale(data.train.images[batch]), labels)
        optimizer.zero_grad(set_to_none=True)
        (loss if aux_loss is None else loss + config.aux_weight * aux_loss).backward()
        for group in optimizer.param_groups:
            group["lr"] = rate
        norm_sum += nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        loss_sum += loss.detach() * len(batch)
        correct += (output.argmax(1) == labels).sum()
    n_images = len(data.train)
    return loss_sum.item() / n_images, correct.item() / n_images, norm_sum.item() / len(batches)


def _losses(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """The output's loss, the sum of the auxiliary heads' (None without any), and the output."""
    if not getattr(model, "aux", None):
        output = model(images)
        return F.cross_entropy(output, labels), None, output
    output, heads = model.forward_heads(images)  # type: ignore[operator]
    aux = torch.stack([F.cross_entropy(logits, labels) for logits in heads.values()]).sum()
    return F.cross_entropy(output, labels), aux, output


def _generator_states(order: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    states = {"order": order.get_state(), "global": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _restore_generators(states: dict[str, Tensor], order: torch.Generator, device: torch.device) -> None:
    order.set_state(states["order"])
    torch.set_rng_state(states["global"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states["mps"])
