"""One training step: a batch's way to the update, all of it on the device, and the epoch's running sums."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import TrainConfig
from sweeper.training import augment
from sweeper.training.device_data import TrainingData


@dataclass(frozen=True)
class RunningMetrics:
    """An epoch's running figures: mean loss and accuracy over its images, the mean gradient norm over its steps."""

    loss: float
    accuracy: float
    gradient_norm: float
    heads: Mapping[str, float]  # accuracies of the auxiliary heads


class Step:
    """The step of a training, made over and over with other images.

    Nothing in it waits for the device, and no shape depends on what is on it: only the length of a batch counts. So a
    graph can hold it.
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        config: TrainConfig,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> None:
        self._model, self._data, self._config = model, data, config
        self.optimizer = optimizer
        self.generator = generator  # of the order and of the augmentation
        self._parameters = list(model.parameters())
        heads = list(getattr(model, "aux", None) or ())
        self._sums = torch.zeros(3 + len(heads), device=data.device)
        self._loss, self._correct, self._norm, *counts = self._sums.unbind()
        self._heads_correct = dict(zip(heads, counts, strict=True))

    def __call__(self, batch: Tensor) -> None:
        """Trains on the images with these indices (n,), at the rates that the optimizer has."""
        labels = self._data.train.labels[batch]
        with torch.autocast(self._data.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            output, heads = outputs_of(self._model, self._inputs(batch))
        output, heads = output.float(), {name: logits.float() for name, logits in heads.items()}
        loss = F.cross_entropy(output, labels)
        self.optimizer.zero_grad(set_to_none=True)
        self._objective(loss, output, heads, labels).backward()
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if self._config.clip_norm:
            nn.utils.clip_grads_with_norm_(self._parameters, self._config.clip_norm, norm)
        self.optimizer.step()
        self._norm += norm
        self._loss += loss.detach() * len(batch)
        self._correct += (output.argmax(1) == labels).sum()
        for name, logits in heads.items():
            self._heads_correct[name] += (logits.argmax(1) == labels).sum()

    def begin_epoch(self) -> None:
        """Sets the running sums to 0."""
        self._sums.zero_()

    def running(self, n_steps: int) -> RunningMetrics:
        """The figures of the epoch, which had so many steps: the one time that the device is waited for."""
        loss, correct, norm, *heads_correct = self._sums.tolist()
        n_images = len(self._data.train)
        shares = (count / n_images for count in heads_correct)
        return RunningMetrics(
            loss / n_images, correct / n_images, norm / n_steps, dict(zip(self._heads_correct, shares, strict=True))
        )

    @property
    def is_augmented(self) -> bool:
        """Whether images are changed at random, so that a step draws from the generator."""
        return augment.is_on(self._config)

    def _inputs(self, batch: Tensor) -> Tensor:
        """The images of a batch as the network's input, changed at random if the training wants it."""
        images = self._data.train.images[batch]
        if not self.is_augmented:
            return self._data.scale(images)
        draws = augment.draw(self._config, len(batch), *self._data.input_shape[1:], self.generator)
        return augment.erased(self._data.scale(augment.augmented(images, draws)), draws)

    def _objective(self, loss: Tensor, output: Tensor, heads: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """What a step minimises: the output's and the heads' losses, both with smoothed labels."""
        smoothing = self._config.label_smoothing
        if smoothing:
            loss = F.cross_entropy(output, labels, label_smoothing=smoothing)
        if not heads:
            return loss
        aux = torch.stack([F.cross_entropy(logits, labels, label_smoothing=smoothing) for logits in heads.values()])
        return loss + self._config.aux_weight * aux.sum()


def outputs_of(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The network's output, and those of its auxiliary heads by name."""
    if not getattr(model, "aux", None):
        return model(images), {}
    return model.forward_heads(images)  # type: ignore[operator]
