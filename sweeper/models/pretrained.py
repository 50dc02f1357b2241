"""The pretrained weights of timm's networks: found on this machine or on the hub, checked, and loaded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import huggingface_hub
import timm
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError
from pydantic import Field
from timm.models import PretrainedCfg
from torch import nn

from sweeper.config import TimmConfig
from sweeper.errors import shortened
from sweeper.models import tensor_checks, timm_net, weight_files
from sweeper.models.classifier import tensors_of_classifier
from sweeper.models.traced import in_one_line
from sweeper.store.stored_values import from_text

# The files of weights in a folder of the hub's form, and on the hub; the first one that exists is taken.
FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG = "config.json"
# Enough for a slow server. Without this, the hub's client tries again for more than a minute.
SECONDS = 10.0
# Far more than the names and descriptions of 22,000 classes take.
MOST_BYTES = 10**7
_REMEDY = "give a copy on this machine as pretrained_file in [model]"

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Size = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights: their file, its hash, and what timm knows about them.

    `settings` has timm's names: mean, std, input_size, num_classes, classifier, first_conv.
    """

    path: Path
    sha256: str
    settings: Mapping[str, Any]

    def scaling(self, n_channels: int) -> tuple[list[float], list[float]]:
        """Mean and std of pixels in [0, 1], for images of so many channels.

        For other channels than the weights' they follow the first conv, whose weights timm sums for grey images and
        repeats for more channels: the mean over the channels, or the channels in turn.
        """
        return _for_channels(self.settings["mean"], n_channels), _for_channels(self.settings["std"], n_channels)


@dataclass(frozen=True)
class _Settings:
    """What config.json of a folder of weights says, as far as it is needed."""

    architecture: str
    mean: tuple[_Finite, ...] | None = None
    std: tuple[_Positive, ...] | None = None
    input_size: tuple[_Size, _Size, _Size] | None = None


# Weights that another machine has found, by the names that configurations have for them. As with files of code, they
# are those of the whole process.
_in_use: dict[tuple[str, str], Pretrained] = {}


def use(config: TimmConfig, found: Pretrained) -> None:
    """Lets `find` give these weights for the network, which another machine has found: nobody asks for them here."""
    _in_use[config.model_name, config.pretrained_file] = found


def find(config: TimmConfig, *, offline: bool) -> Pretrained:
    """The weights that a pretrained network starts from; those of the hub are downloaded unless they are in its cache.

    With `offline`, or HF_HUB_OFFLINE, nothing is downloaded. Raises ValueError, saying what to do, where they cannot be
    had, or are of another architecture.
    """
    timm_net.check_name(config.model_name)
    if found := _in_use.get((config.model_name, config.pretrained_file)):
        return found
    settings = timm.get_pretrained_cfg(config.model_name) or PretrainedCfg()
    if config.pretrained_file:
        return _of_path(Path(config.pretrained_file), config.model_name, settings.to_dict())
    path = _of_hub(config.model_name, settings, offline=offline or constants.HF_HUB_OFFLINE)
    return Pretrained(path, weight_files.sha256_of(path), settings.to_dict())


def load(
    network: nn.Module, config: TimmConfig, input_shape: tuple[int, int, int], n_classes: int, found: Pretrained
) -> None:
    """Copies the weights into a network that was built from this configuration.

    The first conv is adapted to the images' channels. The classifier keeps its random weights, unless the
    pretrained one has as many classes. Raises ValueError if the tensors are not those of the network.
    """
    inner = timm_net.inside(network)
    source, own_classes = _source(config, input_shape, found, inner)
    kept = frozenset() if own_classes == n_classes else tensors_of_classifier(inner)
    given = source.state_dict()
    try:
        tensor_checks.check_finite(source, tensor_checks.not_finite(inner))
    except ValueError as error:
        raise ValueError(f"{found.path} is damaged: {error}") from error
    with torch.no_grad():
        for name, tensor in inner.state_dict().items():
            if name not in kept:
                tensor.copy_(given[name])


def _source(
    config: TimmConfig, input_shape: tuple[int, int, int], found: Pretrained, inner: nn.Module
) -> tuple[nn.Module, int]:
    """The network with the weights' own classifier, and its number of classes: timm then accepts no other tensors."""
    tensors = weight_files.tensors_in(found.path)
    conv = found.settings.get("first_conv")
    _check_tensors(tensors, [conv] if isinstance(conv, str) else conv or (), inner, found.path)
    settings = dict(found.settings)
    own_classes = settings["num_classes"]
    if config.pretrained_file:
        classifier = settings.get("classifier") or ()
        names = [classifier] if isinstance(classifier, str) else list(classifier)
        outputs = [tensors[f"{name}.weight"] for name in names if f"{name}.weight" in tensors]
        if outputs and not outputs[0].ndim:
            raise ValueError(f"{found.path} holds a single value as the weights of the classifier")
        own_classes = len(outputs[0]) if outputs else 0
        # The file's classifier is as it is; that of some weights on the hub has a class too many, which timm takes off.
        settings["label_offset"] = 0
    weight = tensors.get(f"{conv}.weight")
    n_channels, *size = settings["input_size"]
    if weight is not None and weight.ndim == 4 and weight.shape[1] % n_channels:
        n_channels = weight.shape[1]  # the settings are those of timm's own weights
    overlay = {
        "state_dict": tensors,
        "num_classes": own_classes,
        "label_offset": settings.get("label_offset") or 0,
        "input_size": (n_channels, *size),
        "custom_load": False,
    }
    try:
        source = timm_net.create(config, input_shape, own_classes, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # thousands of networks have many ways to refuse tensors
        reason = shortened(in_one_line(error).partition(": ")[2] or in_one_line(error))
        raise ValueError(f"{found.path} does not hold the weights of {config.model_name}: {reason}") from error
    return source, own_classes


def _check_tensors(tensors: Mapping[str, torch.Tensor], convs: Sequence[str], inner: nn.Module, path: Path) -> None:
    """Raises ValueError for tensors of other kinds than the network's, and for no tensor of a first conv.

    Without this, timm leaves out a first conv of other dimensions, and then accepts whatever else is missing or extra.
    """
    own = inner.state_dict()
    try:
        tensor_checks.check_kinds(tensors, own)
        for name in (f"{conv}.weight" for conv in convs):
            if name in tensors and name in own and tensors[name].ndim != own[name].ndim:
                sizes = "x".join(map(str, tensors[name].shape)) or "a single value"
                raise ValueError(f"size mismatch for {name}: {sizes}, which must have {own[name].ndim} dimensions")
    except ValueError as error:
        raise ValueError(f"{path} does not hold the weights of a network like the model's: {error}") from error


def _of_path(path: Path, model_name: str, settings: dict[str, Any]) -> Pretrained:
    """The weights in a file, or in a folder as the hub stores them; the folder's config.json has their settings."""
    if path.is_dir():
        settings = settings | _settings_in(path, model_name)
        file = next((path / name for name in FILES if (path / name).is_file()), None)
        if file is None:
            raise ValueError(f"{path} holds no pretrained weights: it has none of {', '.join(FILES)}")
        path = file
    elif not path.is_file():
        raise ValueError(f"there are no pretrained weights at {path} (pretrained_file)")
    return Pretrained(path, weight_files.sha256_of(path), settings)


def _settings_in(folder: Path, model_name: str) -> dict[str, Any]:
    """The settings in the folder's config.json, which may have them beside the architecture or below pretrained_cfg."""
    file = folder / CONFIG
    try:
        with open(file, "rb") as stream:
            document = from_text(dict[str, Any], stream.read(MOST_BYTES + 1).decode(), CONFIG)
        own = document.get("pretrained_cfg", document)
        found = from_text(_Settings, json.dumps({"architecture": document.get("architecture"), **own}), CONFIG)
    except OSError as error:
        raise ValueError(f"{folder} holds no weights as the hub stores them: {CONFIG} cannot be read") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is not of a network of timm's: {shortened(in_one_line(error))}") from error
    if found.architecture != model_name.partition(".")[0]:
        raise ValueError(f"{folder} holds weights of {found.architecture}, and model_name is {model_name!r}")
    if (found.mean is None) != (found.std is None) or len(found.mean or ()) != len(found.std or ()):
        raise ValueError(f"{file} must have as many values of std as of mean, got {found.mean} and {found.std}")
    if found.mean is not None and found.std is not None:
        n_channels = found.input_size[0] if found.input_size and len(found.mean) > 1 else max(len(found.mean), 1)
        try:
            tensor_checks.check_scaling(found.mean, found.std, n_channels)
        except ValueError as error:
            raise ValueError(f"{file} cannot be used: {error}") from error
    return {name: value for name in ("mean", "std", "input_size") if (value := getattr(found, name)) is not None}


def _of_hub(model_name: str, settings: PretrainedCfg, *, offline: bool) -> Path:
    """The file in the hub's cache, downloaded if need be. What is in the cache is not asked for again."""
    repository, _, revision = (settings.hf_hub_id or "").partition("@")
    if not repository:
        raise ValueError(f"the hub has no pretrained weights of {model_name}: {_REMEDY}")
    names = [settings.hf_hub_filename] if settings.hf_hub_filename else FILES
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    if offline:
        raise ValueError(
            f"the pretrained weights of {model_name} are not in the hub's cache, {constants.HF_HUB_CACHE}, and nothing "
            f"may be downloaded: {_REMEDY}, or run the command once with internet access"
        )
    timm_net.silence_hub()
    for name in names:
        try:
            # Asked first, because the download itself asks again and again for an answer.
            url = huggingface_hub.hf_hub_url(repository, name, revision=revision or None)
            huggingface_hub.get_hf_file_metadata(url, timeout=SECONDS)
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision or None))
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client's, and those of the library that it uses
            raise ValueError(
                f"the pretrained weights of {model_name} cannot be had from the hub ({shortened(in_one_line(error))}): "
                f"{_REMEDY}"
            ) from error
    raise ValueError(f"the hub has no pretrained weights of {model_name}: {_REMEDY}")


def _for_channels(values: Sequence[float], n_channels: int) -> list[float]:
    if n_channels == 1:
        return [sum(values) / len(values)]
    return [float(values[channel % len(values)]) for channel in range(n_channels)]
