"""Quantises a network's ONNX model, and measures the change on images that the network has not learned from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sweeper.analysis.exported import Measures, Quantization
from sweeper.analysis.images import Pool, fresh_runs, unspoilt_part
from sweeper.analysis.network import TrainedNetwork, of_run
from sweeper.evaluation.statistics import paired, wilson
from sweeper.model_files import onnx_runtime
from sweeper.model_files.onnx_file import described, onnx_of
from sweeper.model_files.program import program_of
from sweeper.model_files.quantization import quantized
from sweeper.models.predictor import BATCH
from sweeper.promotion import recorded
from sweeper.quantities import counted
from sweeper.store.layout import Store

Notify = Callable[[str], None]
# The ranges of activations settle with a few hundred images.
N_CALIBRATED = 512
# Draws the images of the calibration, so that the same command writes the same file.
SEED = 0


def quantize(
    store: Store,
    network: TrainedNetwork,
    pool: Pool,
    model: ModelProto,
    about: Mapping[str, Any],
    notify: Notify = lambda note: None,
) -> tuple[ModelProto, Quantization]:
    """The network's model in 8 bits, and what that changes, which its metadata say too.

    That is measured on the confirm part of a promoted study, or else on the validation part. A refit has learned from
    both, so the accuracies are those of a fresh seed of its configuration, whose model is quantised with the same
    images; if the weights of all are gone, they are those of the refit itself. Raises SweeperError for a network that
    onnxruntime cannot quantise.
    """
    notify("Quantising, with the ranges of train images")
    calibration = _calibration(pool)
    models = (model, quantized(model, calibration, about))
    part = unspoilt_part(pool.split, is_promoted=recorded.find(store, pool.study) is not None)
    chosen: NDArray[np.int64] = getattr(pool.split, part)
    images, labels = pool.training_set.images[chosen], pool.training_set.labels[chosen]
    notify(f"Measuring on {counted(len(images), f'{part} image')}")
    decided = [_decisions(each, images) for each in models]
    measured, right = network, [decisions == labels for decisions in decided]
    fresh = fresh_runs(store, pool.study, network) if network.trained_on == "pool" else []
    if fresh:
        measured = of_run(store, fresh[-1], "MODEL")
        before = onnx_of(program_of(measured.network, measured.input_shape), about)
        right = [_decisions(each, images) == labels for each in (before, quantized(before, calibration, about))]
    change = paired(right[1], right[0])
    low, high = change.interval()
    before_after = [_measures(each, ones, images[:1]) for each, ones in zip(models, right, strict=True)]
    found = Quantization(
        n_calibrated=len(calibration),
        network=measured.name,
        is_exported=measured is network,
        has_learned=measured.trained_on == "pool",
        part=part,
        n_images=len(images),
        n_same=int((decided[0] == decided[1]).sum()),
        before=before_after[0],
        after=before_after[1],
        difference=change.difference,
        difference_low=low,
        difference_high=high,
    )
    return described(models[1], {**about, "int8": found.summary()}), found


def _calibration(pool: Pool) -> NDArray[np.uint8]:
    drawn = np.random.default_rng(SEED).permutation(pool.split.train)[:N_CALIBRATED]
    return pool.training_set.images[np.sort(drawn)]


def _decisions(model: ModelProto, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    predict = onnx_runtime.predictor(model.SerializeToString())
    batches = [predict(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return np.concatenate(batches).argmax(1)


def _measures(model: ModelProto, right: NDArray[np.bool_], image: NDArray[np.uint8]) -> Measures:
    content, n_right = model.SerializeToString(), int(right.sum())
    return Measures(
        n_right / len(right),
        *wilson(n_right, len(right)),
        n_bytes=len(content),
        milliseconds=onnx_runtime.milliseconds(content, image),
    )
