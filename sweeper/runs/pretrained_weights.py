"""The pretrained weights of a study or training: found and tried before it trains, and the same until its end."""

from collections.abc import Iterable, Mapping
from typing import Any

from sweeper.config import ModelConfig, TimmConfig
from sweeper.data.training_set import TrainingSet
from sweeper.engine.job import PretrainedWeights
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.events import Listener, Note
from sweeper.studies.spec import RunSpec


def found(
    models: Iterable[TimmConfig], training_set: TrainingSet, *, offline: bool, listener: Listener
) -> dict[str, dict[str, Any]]:
    """What a spec says of the weights that these networks start from, by their name; downloads what is missing.

    Raises UsageError for weights that cannot be had, or are not the network's.
    """
    entries: dict[str, dict[str, Any]] = {}
    for model in models:
        if model.weights in entries:
            continue
        from sweeper.models import families, pretrained, timm_net

        shape, n_classes = training_set.input_shape, len(training_set.classes)
        try:
            families.trace(model, shape, n_classes)
        except ValueError:  # a trial of this network ends before it trains
            continue
        try:
            weights = pretrained.find(model, offline=offline)
            network = families.build(families.without_weights(model), shape, n_classes)
            pretrained.load(network, model, shape, n_classes, weights)
        except ValueError as error:
            raise UsageError(str(error)) from error
        mean, std = weights.scaling(shape[0])
        entries[model.weights] = {
            "model_name": model.model_name, "file": model.pretrained_file, "sha256": weights.sha256, "mean": mean,
            "std": std,
        }  # fmt: skip
        trained_on, inside = tuple(weights.settings["input_size"][1:]), timm_net.size_inside(model, shape)
        hint = ""
        if not model.input_size and trained_on != inside:
            sizes = "{}x{}".format(*trained_on), "{}x{}".format(*inside)
            hint = f"; trained on images of {sizes[0]}, these have {sizes[1]}: input_size in [model] scales them"
        name = plain(model.weights)
        listener(Note(f"Pretrained: {name}, SHA-256 {weights.sha256[:12]}, with its own mean and std of pixels{hint}"))
    return entries


def check_unchanged(spec: RunSpec, what: str, *, offline: bool) -> None:
    """Raises SweeperError if weights that the spec names are gone, or are others now; `what` starts from them."""
    for name, entry in spec.pretrained.items():
        from sweeper.models import pretrained

        model = TimmConfig(model_name=entry["model_name"], pretrained=True, pretrained_file=entry["file"])
        try:
            now = pretrained.find(model, offline=offline).sha256
        except ValueError as error:
            raise SweeperError(f"{what} started from pretrained weights that are gone: {error}") from error
        if change := changed(name, entry, {"sha256": now}):
            raise SweeperError(f"{what} cannot go on: {change}")


def changed(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How weights have changed, and what to do; "" if they have not."""
    if before["sha256"] == now["sha256"]:
        return ""
    return (
        f"the pretrained weights {plain(name)} have changed: their SHA-256 was {before['sha256'][:12]}, and is "
        f"{now['sha256'][:12]} now; put the old file back"
    )


def for_job(spec: RunSpec, model: ModelConfig) -> PretrainedWeights | None:
    """The weights that a worker's job starts from; None for random ones, and in studies of older versions."""
    if (entry := spec.pretrained.get(model.weights)) is None:
        return None
    return PretrainedWeights(entry["sha256"], tuple(entry["mean"]), tuple(entry["std"]))
