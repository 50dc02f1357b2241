"""Writes a trained network to a file for other programs, which must decide on the same images as the network does."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeper.analysis.exported import Exported, Quantization
from sweeper.analysis.images import Pool, pool_of, study_of
from sweeper.analysis.network import TrainedNetwork
from sweeper.data.source import USUAL_ACCESS, DataAccess
from sweeper.errors import SweeperError, UsageError, refuse
from sweeper.model_files import place, program, weights_file
from sweeper.model_files.checks import Check, check
from sweeper.model_files.packages import check_packages
from sweeper.model_files.place import FORMATS
from sweeper.models.predictor import logits_of
from sweeper.promotion import recorded
from sweeper.quantities import counted
from sweeper.store.atomic import whole_file
from sweeper.store.layout import Store
from sweeper.tracking import trained_runs

Notify = Callable[[str], None]
CPU = torch.device("cpu")
# How many validation images a file is checked on.
N_CHECKED = 200


def export(
    store: Store,
    network: TrainedNetwork,
    form: str,
    output: Path,
    *,
    int8: bool = False,
    data_access: DataAccess = USUAL_ACCESS,
    notify: Notify = lambda note: None,
) -> Exported:
    """Writes the network to `output` in one of FORMATS, whole or not at all; `int8` quantises an ONNX file.

    The file is read again, and must decide as the network on N_CHECKED validation images of its study, or on random
    ones if these are not on this machine, which `notify` is told. Raises UsageError and SweeperError.
    """
    if form not in FORMATS:
        refuse(f"a format must be {', '.join(FORMATS)}, got {form!r}", "--format")
    if int8 and form != "onnx":
        raise UsageError(f"--int8 quantises ONNX files: leave it out with --format {form}")
    if form == "onnx":
        check_packages()
    place.check_place(output, form)
    pool = None
    if network.study_id is None:
        if int8:
            raise SweeperError(
                f"{network.name} belongs to no study, so there are no train images to calibrate --int8 on"
            )
        notify(f"The file is checked on random images, because {network.name} belongs to no study")
    else:
        try:
            pool = pool_of(store, network, data_access, notify)
        except SweeperError as error:
            if int8:
                raise
            notify(f"The file is checked on random images, because those of its study cannot be read: {error}")
    images, described = _images(network, pool)
    expected = logits_of(network.network, images, CPU)
    about = _about(store, network, pool)
    notify(f"Exporting {network.name}")
    found = None
    try:
        with whole_file(output) as temporary:
            match form:
                case "onnx":
                    passed, found = _onnx(
                        store, network, pool if int8 else None, about, temporary, images, expected, notify
                    )
                case "pt2":
                    program.save(program.program_of(network.network, network.input_shape), temporary, about)
                    passed = check(program.predictor(temporary), expected, images)
                case _:
                    weights_file.save(network.network, temporary, about)
                    rebuilt = weights_file.load(temporary)
                    passed = check(lambda batch: logits_of(rebuilt, batch, CPU), expected, images)
            content = temporary.read_bytes()
    except OSError as error:
        raise place.unwritable(output, error) from error
    return Exported(
        model=network.name,
        run_id=network.run_id,
        format=form,
        file=str(output),
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        classes=network.classes,
        input_shape=network.input_shape,
        check=passed,
        described=described,
        int8=found,
    )


def _onnx(
    store: Store,
    network: TrainedNetwork,
    pool: Pool | None,
    about: Mapping[str, Any],
    path: Path,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    notify: Notify,
) -> tuple[Check, Quantization | None]:
    """Writes the ONNX file, quantised with the images of the `pool` if it is given."""
    from sweeper.analysis.quantized import quantize
    from sweeper.model_files.onnx_file import onnx_of
    from sweeper.model_files.onnx_runtime import predictor

    model = onnx_of(program.program_of(network.network, network.input_shape), about)
    path.write_bytes(model.SerializeToString())
    passed = check(predictor(path), expected, images)
    if pool is None:
        return passed, None
    model, found = quantize(store, network, pool, model, about, notify)
    path.write_bytes(model.SerializeToString())
    # Integers decide otherwise than the network; but the same in a batch of any size.
    predict = predictor(path)
    check(predict, predict(images), images)
    return passed, found


def _images(network: TrainedNetwork, pool: Pool | None) -> tuple[NDArray[np.uint8], str]:
    """The images that a file is checked on, and what they are in words."""
    if pool is not None:
        images = pool.training_set.images[pool.split.validation[:N_CHECKED]]
        return images, counted(len(images), "validation image")
    channels, height, width = network.input_shape
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (N_CHECKED, *network.input_shape), dtype=np.uint8)
    # Every second image has patches, because all networks find nearly the same in noise.
    patches = rng.integers(0, 256, (N_CHECKED // 2, channels, -(-height // 7), -(-width // 7)), dtype=np.uint8)
    noise[::2] = patches.repeat(7, axis=2).repeat(7, axis=3)[:, :, :height, :width]
    return noise, f"{N_CHECKED} random images"


def _about(store: Store, network: TrainedNetwork, pool: Pool | None) -> dict[str, Any]:
    """What a file says of its network, as JSON values; None is unknown."""
    return {
        "sweeper_version": version("cnn-sweeper"),
        "model": network.name,
        "classes": list(network.classes),
        "input": {"type": "uint8", "shape": ["batch", *network.input_shape]},
        "output": {"type": "float32", "shape": ["batch", len(network.classes)], "values": "logits"},
        "preprocessing": _preprocessing(network, pool),
        "configuration": _configuration(network),
        "test_flip": network.network.test_flip,
        "study": network.study,
        "trial": network.trial,
        "run_id": network.run_id,
        "trained_on": {"part": network.trained_on, "data": network.data_name, "sha256": network.data_sha256},
        "verdict": _verdict(store, network),
    }


def _configuration(network: TrainedNetwork) -> dict[str, Any]:
    """The fields of the network, without the folder of this machine that pretrained weights came from."""
    found = dict(network.configuration.model.values())
    if found.get("pretrained_file"):
        found["pretrained_file"] = Path(found["pretrained_file"]).name
    return found


def _preprocessing(network: TrainedNetwork, pool: Pool | None) -> dict[str, Any] | None:
    """How training images became raw pixels, besides their size and channels."""
    found = asdict(network.preprocessing)
    if network.preprocessing_from == "run":
        return found
    # An older sweeper recorded no range of values: only the images tell it.
    if network.preprocessing_from == "study" and pool is not None:
        found_range = pool.training_set.value_range
        return {**found, "value_range": None if found_range is None else asdict(found_range)}
    return None


def _verdict(store: Store, network: TrainedNetwork) -> str | None:
    """What the promotion that registered the network has found, in one sentence."""
    if network.trained_on != "pool":
        return None
    try:
        study = study_of(store, network)
        promotion = recorded.find(store, study)
        if promotion is None:
            return None
        is_its = network.run_id in dict(trained_runs.below(store, promotion.run_id, "MODEL"))
        return recorded.outcome_of(store, study, promotion).plain_sentence if is_its else None
    except SweeperError:
        return None
