"""One training step, from a batch to the update, all on the device; and the epoch's running sums."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.config.training import AUTO
from sweeper.training import augment, mixing
from sweeper.training.averaging import WeightAverage
from sweeper.training.device_data import TrainingData
from sweeper.training.mixing import Mixture


@dataclass(frozen=True)
class RunningMetrics:
    """An epoch's running metrics: mean losses and accuracy over its images, mean gradient norm over its steps.

    `loss` is -ln p(true class); `softmax_loss` is the cross-entropy of the outputs taken as logits, which is the same
    unless they are probabilities. Of mixed images, loss and accuracy count both classes, each by its share.
    """

    loss: float
    softmax_loss: float
    accuracy: float
    gradient_norm: float
    heads: Mapping[str, float]  # accuracies of the auxiliary heads


class Step:
    """A training's step, called once for each batch.

    A step never waits for the device, and its shapes depend on the batch's length alone, not on data on the device. So
    a CUDA graph can hold it. With `probabilities` the network's output is probabilities and not logits. With
    `ema_decay`, `average` follows the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        config: TrainConfig,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        *,
        probabilities: bool = False,
    ) -> None:
        assert config.precision != AUTO
        self._model, self._data, self._config = model, data, config
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self.optimizer = optimizer
        self.generator = generator  # draws the order of the images and the augmentation
        self._probabilities = probabilities
        self._mixer = mixing.Mixer(config, data.device) if mixing.is_on(config) else None
        self._class_weights = _balanced(data) if config.class_weights == "balanced" else None
        self._parameters = list(model.parameters())
        heads = list(_heads(model))
        self._sums = torch.zeros(4 + len(heads), device=data.device)
        self._loss, self._softmax_loss, self._correct, self._norm, *counts = self._sums.unbind()
        self._heads_correct = dict(zip(heads, counts, strict=True))

    def __call__(self, batch: Tensor) -> None:
        """Trains on the images with these indices (n,), at the optimizer's present rates."""
        labels = self._data.train.labels[batch]
        inputs, mixture = self._inputs(batch)
        with torch.autocast(self._data.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            output, heads = outputs_of(self._model, inputs)
        output, heads = output.float(), {name: logits.float() for name, logits in heads.items()}
        loss = _cross_entropy(output, labels, mixture)
        self.optimizer.zero_grad(set_to_none=True)
        self._objective(loss, output, heads, labels, mixture).backward()
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if self._config.clip_norm:
            nn.utils.clip_grads_with_norm_(self._parameters, self._config.clip_norm, norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self._norm += norm
        self._softmax_loss += loss.detach() * len(batch)
        reported = _log_loss(output, labels, mixture) if self._probabilities else loss
        self._loss += reported.detach() * len(batch)
        self._correct += _n_correct(output, labels, mixture)
        for name, logits in heads.items():
            self._heads_correct[name] += _n_correct(logits, labels, mixture)

    def begin_epoch(self) -> None:
        """Sets the running sums to 0."""
        self._sums.zero_()

    def running(self, n_steps: int) -> RunningMetrics:
        """The metrics of the epoch, which had `n_steps` steps. Only this call waits for the device."""
        loss, softmax_loss, correct, norm, *heads_correct = self._sums.tolist()
        n_images = len(self._data.train)
        shares = (count / n_images for count in heads_correct)
        return RunningMetrics(
            loss / n_images,
            softmax_loss / n_images,
            correct / n_images,
            norm / n_steps,
            dict(zip(self._heads_correct, shares, strict=True)),
        )

    @property
    def draws(self) -> bool:
        """Whether images are augmented or mixed, so that a step draws from the generator."""
        return augment.is_on(self._config) or self._mixer is not None

    def _inputs(self, batch: Tensor) -> tuple[Tensor, Mixture | None]:
        """The images of a batch as the network's input, augmented and mixed if the configuration says so."""
        size = len(batch), *self._data.input_shape[1:]
        inputs = self._data.train.images[batch]
        if augment.is_on(self._config):
            draws = augment.draw(self._config, *size, self.generator)
            inputs = augment.erased(self._data.scale(augment.augmented(inputs, draws)), draws)
        else:
            inputs = self._data.scale(inputs)
        if self._mixer is None:
            return inputs, None
        mixture = self._mixer.draw(*size, self.generator)
        return mixture.images(inputs), mixture

    def _objective(
        self, loss: Tensor, output: Tensor, heads: Mapping[str, Tensor], labels: Tensor, mixture: Mixture | None
    ) -> Tensor:
        """The loss that a step minimises: the output's plus aux_weight * the heads', smoothed and weighted."""
        smoothing, weights = self._config.label_smoothing, self._class_weights
        if smoothing or weights is not None:
            loss = _cross_entropy(output, labels, mixture, weights, smoothing)
        if not heads:
            return loss
        aux = torch.stack([_cross_entropy(logits, labels, mixture, weights, smoothing) for logits in heads.values()])
        return loss + self._config.aux_weight * aux.sum()


def _cross_entropy(
    output: Tensor, labels: Tensor, mixture: Mixture | None, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """The mean cross-entropy; with class `weights`, the weighted mean, as in torch."""
    if mixture is None:
        return F.cross_entropy(output, labels, weights, label_smoothing=smoothing)
    loss = mixture.mean(
        lambda labels: F.cross_entropy(output, labels, weights, label_smoothing=smoothing, reduction="none"), labels
    )
    return loss if weights is None else loss / mixture.mean(lambda labels: weights[labels], labels)


def _log_loss(output: Tensor, labels: Tensor, mixture: Mixture | None) -> Tensor:
    if mixture is None:
        return log_loss(output, labels)
    return mixture.mean(lambda labels: log_loss(output, labels, reduction="none"), labels)


def _n_correct(output: Tensor, labels: Tensor, mixture: Mixture | None) -> Tensor:
    """The number of images whose class is predicted; of a mixed image, each class counts by its share."""
    predicted = output.argmax(1)
    if mixture is None:
        return (predicted == labels).sum()
    return mixture.mean(lambda labels: (predicted == labels).float(), labels) * len(labels)


def _balanced(data: TrainingData) -> Tensor:
    """The weight of each class (n_classes,) in the train part: inversely proportional to its number of images."""
    labels = data.train.labels
    counts = torch.zeros(data.n_classes, device=data.device).index_add_(0, labels, torch.ones_like(labels).float())
    return len(labels) / (data.n_classes * counts.clamp(min=1))


def log_loss(probabilities: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """-ln p(true class), in nats, of probabilities (n, classes); finite also where a probability is 0."""
    return F.nll_loss(probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log(), labels, reduction=reduction)


def _heads(model: nn.Module) -> Any:
    """The auxiliary heads by name; a network of the user's may call anything `aux`."""
    return getattr(model, "aux", ()) if hasattr(model, "forward_heads") else ()


def outputs_of(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The network's output, and the outputs of its auxiliary heads by name, all (batch, classes)."""
    if not _heads(model):
        return model(images), {}
    return model.forward_heads(images)  # type: ignore[operator]
