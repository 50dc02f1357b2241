"""A network evaluated on a part of the data: its outputs, and the validation metrics of an epoch."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.evaluation.metrics import balanced_accuracy, macro_f1
from sweeper.training.device_data import DeviceImages, TrainingData
from sweeper.training.epoch_metrics import Diverged
from sweeper.training.step import log_loss, outputs_of

# On a CPU, small enough that a LeNet's feature maps stay in the cache: 500 was 4 times slower. A GPU needs work for all
# of its cores.
EVALUATION_BATCH = {"cpu": 128, "cuda": 1024, "mps": 128}
# On a CPU, a full batch goes through the network in such parts: the maps of larger networks stay in the cache, too,
# which saves vgg_small 30 % (benchmarks/step.md). A batch that is not full stays whole, as in earlier versions: with
# very few images, kernels may round in another way.
CPU_PART = 64


def evaluate(
    model: nn.Module,
    data: TrainingData,
    part: DeviceImages,
    after_batch: Callable[[], None] = lambda: None,
    *,
    test_flip: bool = False,
) -> tuple[float, np.ndarray]:
    """The mean cross-entropy over the part and the network's outputs, float32 (n, classes), in evaluation mode.

    The outputs are logits, or probabilities where the network ends in a softmax; the loss takes them as logits. With
    `test_flip` each is the mean of the outputs for the image and its mirror image.
    """
    loss, outputs, _ = _evaluate(model, data, part, after_batch, test_flip)
    return loss, outputs


def _evaluate(
    model: nn.Module, data: TrainingData, part: DeviceImages, after_batch: Callable[[], None], test_flip: bool
) -> tuple[float, np.ndarray, dict[str, float]]:
    """As `evaluate`, and also the accuracy of every auxiliary head."""
    model.eval()
    loss = torch.zeros((), device=data.device)
    outputs = []
    correct: dict[str, Tensor] = {}
    size = EVALUATION_BATCH[data.device.type]
    with torch.inference_mode():
        for start in range(0, len(part), size):
            images = data.scale(part.images[start : start + size])
            output, heads = _outputs_of(model, images)
            if test_flip:
                mirrored, mirrored_heads = _outputs_of(model, images.flip(3))
                output = (output + mirrored) / 2
                heads = {name: (logits + mirrored_heads[name]) / 2 for name, logits in heads.items()}
            labels = part.labels[start : start + size]
            loss += F.cross_entropy(output, labels, reduction="sum")
            outputs.append(output)
            for name, logits in heads.items():
                right = (logits.argmax(1) == labels).sum()
                correct[name] = correct[name] + right if name in correct else right
            after_batch()
    shares = {name: count.item() / len(part) for name, count in correct.items()}
    return loss.item() / len(part), torch.cat(outputs).float().cpu().numpy(), shares


def _outputs_of(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """As `outputs_of`, on a CPU in parts if the batch is full."""
    if images.device.type != "cpu" or len(images) < EVALUATION_BATCH["cpu"]:
        return outputs_of(model, images)
    outputs, heads = zip(*(outputs_of(model, part) for part in images.split(CPU_PART)), strict=True)
    return torch.cat(outputs), {name: torch.cat([one[name] for one in heads]) for name in heads[0]}


def warm_up(model: nn.Module, data: TrainingData, *, test_flip: bool) -> None:
    """Evaluates a batch of the validation part, so that a GPU has loaded the kernels for it; changes nothing.

    CUDA loads a kernel when it is first used, which may break a capture that another training has under way.
    """
    size = EVALUATION_BATCH[data.device.type]
    part = DeviceImages(data.validation.images[:size], data.validation.labels[:size])
    if len(part):
        evaluate(model, data, part, test_flip=test_flip)


def validate(
    model: nn.Module,
    data: TrainingData,
    epoch: int,
    after_batch: Callable[[], None],
    *,
    probabilities: bool,
    test_flip: bool,
) -> tuple[dict[str, float], dict[str, float]]:
    """The validation metrics of EpochMetrics by field, NaN if the part is empty, and the heads' accuracies."""
    names = ["validation_loss", "validation_accuracy", "validation_balanced_accuracy", "validation_macro_f1"]
    names += ["validation_softmax_loss"] * probabilities
    if not len(data.validation):
        return dict.fromkeys(names, math.nan), {}
    loss, outputs, heads = _evaluate(model, data, data.validation, after_batch, test_flip)
    if not math.isfinite(loss):
        raise Diverged(f"the validation loss of epoch {epoch} is {loss}")
    labels, predictions = data.validation.labels.cpu().numpy(), outputs.argmax(1)
    balanced, f1 = (score(labels, predictions, data.n_classes) for score in (balanced_accuracy, macro_f1))
    values = [loss, float(np.mean(predictions == labels)), balanced, f1]
    if probabilities:
        values = [log_loss(torch.from_numpy(outputs), torch.from_numpy(labels)).item(), *values[1:], loss]
    return dict(zip(names, values, strict=True)), heads
