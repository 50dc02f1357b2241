"""The one training loop: a generator of metrics, epoch by epoch, that goes on from its checkpoint."""

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.evaluation.metrics import macro_f1
from sweeper.training import augment, checkpoint
from sweeper.training.optim import build_optimizer, learning_rate, momentum, penalty, set_rates
from sweeper.training.tensors import Part, TrainingData

# Small enough that the maps of a LeNet stay in the cache: 500 was 4 times slower on a CPU.
EVALUATION_BATCH = 128


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch, counted from 1. Losses are means over images, accuracies shares of 1.

    The train figures are running ones, taken while the weights change, with dropout on; `train_loss` is that of
    the output alone, without the auxiliary heads', label smoothing and penalty, so that it compares with
    `validation_loss`. `lr` is that of the epoch's last step; `gradient_norm` the mean over steps of the 2-norm over all
    parameters that train, before clipping; `images_per_second` counts training images over the time spent training;
    `epoch_seconds` is that time with the validation pass. The validation figures are NaN where there is no validation
    part.

    `penalty` is that of weight decay at the epoch's end, as optim.penalty has it: studies that report losses with
    it add it to both. `heads` holds the accuracies of the auxiliary heads, under names such as
    "conv2_train_accuracy" and "conv2_validation_accuracy".
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
    penalty: float = 0.0
    heads: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """Every figure by its name, the heads' with "aux_" before it; the penalty only where it is not 0."""
        values = asdict(self)
        heads = values.pop("heads")
        if not self.penalty:
            del values["penalty"]
        return values | {f"aux_{name}": value for name, value in heads.items()}


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
    frozen: Collection[str] = (),
) -> Iterator[EpochMetrics]:
    """Trains `model` in place, yielding after each epoch; with `patience`, it may end before the last one.

    `frozen` names tensors that stay as they are: a batch norm whose running statistics these are goes on using them.
    With `checkpoint_path`, the whole state is written there before each yield, under `identity`; where that
    file exists already, the epochs that it holds are yielded again and training goes on behind them, bitwise
    as if it had never stopped. Seeds torch's global generator, which dropout draws from.

    Raises Diverged when the loss of an epoch is not finite, ValueError where weight decay names a layer that the
    network lacks, and CheckpointError for an unusable checkpoint.
    """
    device = data.device
    for name, parameter in model.named_parameters():
        parameter.requires_grad &= name not in frozen
    norms = [module for name, module in model.named_modules() if f"{name}.running_mean" in frozen]
    optimizer = build_optimizer(model, config)
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    progress = checkpoint.Progress(identity)
    history: list[EpochMetrics] = []
    if checkpoint_path and checkpoint_path.exists():
        with checkpoint.reading(checkpoint_path):
            progress, generators = checkpoint.load(checkpoint_path, identity, model, optimizer)
            _restore_generators(generators, generator, device)
            history = epochs_of(progress.history)
        yield from history

    batches = batch_bounds(len(data.train), config.batch_size)
    for epoch in range(progress.epoch + 1, epochs + 1):
        if _has_stalled(history, config.patience):
            return
        order = torch.randperm(len(data.train), generator=generator, device=device)
        rates = [
            (learning_rate(config, step, len(batches), epochs), momentum(config, step, len(batches), epochs))
            for step in range((epoch - 1) * len(batches), epoch * len(batches))
        ]
        model.train()
        for norm in norms:
            norm.training = False  # not norm.eval(), for a norm of timm's may hold a dropout
        started = time.perf_counter()
        loss, accuracy, gradient_norm, train_heads = _train_epoch(
            model, data, config, optimizer, [order[start:stop] for start, stop in batches], rates, generator
        )
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            raise Diverged(f"the training loss of epoch {epoch} is {loss}")
        validation_loss, validation_accuracy, validation_macro_f1, validation_heads = _validate(model, data, epoch)
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            validation_macro_f1=validation_macro_f1,
            lr=rates[-1][0],
            images_per_second=len(data.train) / seconds,
            gradient_norm=gradient_norm,
            epoch_seconds=time.perf_counter() - started,
            penalty=penalty(model, config),
            heads={f"{name}_train_accuracy": share for name, share in train_heads.items()}
            | {f"{name}_validation_accuracy": share for name, share in validation_heads.items()},
        )
        history.append(metrics)
        if checkpoint_path:
            progress.epoch = epoch
            progress.history.append(asdict(metrics))
            generators = _generator_states(generator, device)
            checkpoint.save(checkpoint_path, progress, model, optimizer, generators)
        yield metrics


def epochs_of(history: Iterable[Mapping[str, Any]]) -> list[EpochMetrics]:
    """The epochs of a checkpoint's history. Raises TypeError where they have other figures."""
    return [EpochMetrics(**past) for past in history]


def _has_stalled(history: Sequence[EpochMetrics], patience: int) -> bool:
    """Whether the lowest validation loss is `patience` epochs old; never without patience or a validation part."""
    losses = [metrics.validation_loss for metrics in history]
    if not patience or not losses or math.isnan(losses[-1]):
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def evaluate(model: nn.Module, data: TrainingData, part: Part) -> tuple[float, np.ndarray]:
    """Mean loss over the part, and the network's outputs, float32 (n, classes), with it in evaluation mode.

    The outputs are logits, or probabilities where the network ends in a softmax.
    """
    loss, outputs, _ = _evaluate(model, data, part)
    return loss, outputs


def _evaluate(model: nn.Module, data: TrainingData, part: Part) -> tuple[float, np.ndarray, dict[str, float]]:
    """As `evaluate`, with the accuracy of every auxiliary head."""
    model.eval()
    loss = torch.zeros((), device=data.device)
    outputs = []
    correct: dict[str, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(part), EVALUATION_BATCH):
            output, heads = _outputs(model, data.scale(part.images[start : start + EVALUATION_BATCH]))
            labels = part.labels[start : start + EVALUATION_BATCH]
            loss += F.cross_entropy(output, labels, reduction="sum")
            outputs.append(output)
            _count(correct, heads, labels)
    shares = {name: count.item() / len(part) for name, count in correct.items()}
    return loss.item() / len(part), torch.cat(outputs).float().cpu().numpy(), shares


def _validate(model: nn.Module, data: TrainingData, epoch: int) -> tuple[float, float, float, dict[str, float]]:
    """Loss, accuracy and macro F1 on the validation part, NaN where there is none, and the heads' accuracies."""
    if not len(data.validation):
        return math.nan, math.nan, math.nan, {}
    loss, outputs, heads = _evaluate(model, data, data.validation)
    if not math.isfinite(loss):
        raise Diverged(f"the validation loss of epoch {epoch} is {loss}")
    labels, predictions = data.validation.labels.cpu().numpy(), outputs.argmax(1)
    return loss, float(np.mean(predictions == labels)), macro_f1(labels, predictions, data.n_classes), heads


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
    rates: list[tuple[float, float | None]],
    generator: torch.Generator,
) -> tuple[float, float, float, dict[str, float]]:
    """Running loss and accuracy over the epoch's images, the mean gradient norm, and the heads' accuracies.

    The model is in training mode, and `rates` are the steps' learning rates and momenta. The sums stay on the device
    and are read once: reading them in a step would make it wait.
    """
    parameters = list(model.parameters())
    loss_sum, correct, norm_sum = torch.zeros(3, device=data.device).unbind()
    heads_correct: dict[str, Tensor] = {}
    for batch, step_rates in zip(batches, rates, strict=True):
        labels = data.train.labels[batch]
        output, heads = _outputs(model, _inputs(data, batch, config, generator))
        loss = F.cross_entropy(output, labels)
        optimizer.zero_grad(set_to_none=True)
        _objective(loss, output, heads, labels, config).backward()
        set_rates(optimizer, *step_rates)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if config.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, norm)
        optimizer.step()
        norm_sum += norm
        loss_sum += loss.detach() * len(batch)
        correct += (output.argmax(1) == labels).sum()
        _count(heads_correct, heads, labels)
    n_images = len(data.train)
    shares = {name: count.item() / n_images for name, count in heads_correct.items()}
    return loss_sum.item() / n_images, correct.item() / n_images, norm_sum.item() / len(batches), shares


def _inputs(data: TrainingData, batch: Tensor, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """The training images of a batch as the network's input, changed at random if the training wants it."""
    images = data.train.images[batch]
    if not augment.is_on(config):
        return data.scale(images)
    draws = augment.draw(config, len(batch), *data.input_shape[1:], generator)
    return augment.erased(data.scale(augment.augmented(images, draws)), draws)


def _outputs(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The network's output, and those of its auxiliary heads by name."""
    if not getattr(model, "aux", None):
        return model(images), {}
    return model.forward_heads(images)  # type: ignore[operator]


def _objective(
    loss: Tensor, output: Tensor, heads: Mapping[str, Tensor], labels: Tensor, config: TrainConfig
) -> Tensor:
    """What a step minimises: the output's and the heads' losses, both with smoothed labels."""
    smoothing = config.label_smoothing
    if smoothing:
        loss = F.cross_entropy(output, labels, label_smoothing=smoothing)
    if not heads:
        return loss
    aux = torch.stack([F.cross_entropy(logits, labels, label_smoothing=smoothing) for logits in heads.values()])
    return loss + config.aux_weight * aux.sum()


def _count(correct: dict[str, Tensor], heads: Mapping[str, Tensor], labels: Tensor) -> None:
    """Adds the images that each head has right."""
    for name, logits in heads.items():
        right = (logits.argmax(1) == labels).sum()
        correct[name] = correct[name] + right if name in correct else right


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
