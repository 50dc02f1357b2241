"""The spec of a training or study: all that its results depend on. It is stored and read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import StringConstraints

from sweeper.config import Configuration, ModelConfig, Protocol
from sweeper.images.image_set import Scaling
from sweeper.images.options import STORED_IF_GIVEN, DataOptions
from sweeper.models.limits import NetworkLimits
from sweeper.models.precision import PrecisionRule
from sweeper.store.stored_values import checked
from sweeper.studies.objective import METRICS
from sweeper.studies.pruners import PRUNERS
from sweeper.studies.samplers import SAMPLERS

# The name of a data set is that of its experiment, too.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@dataclass(frozen=True)
class _Space:
    """What Space.describe gives."""

    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Weights:
    """Pretrained weights: `file` is empty for those of the hub."""

    model_name: str
    file: str
    sha256: str
    mean: Sequence[float]
    std: Sequence[float]


@dataclass(frozen=True)
class FoldRepeat:
    """One training of a trial: its fold and repeat, counted from 0, and its label, empty for the only training."""

    fold: int
    repeat: int
    label: str


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """All that a training's result depends on, besides its configuration.

    `fold_scalings` holds mean and standard deviation by channel for each fold, or for the only split. `device` is the
    type of the devices (Execution.kind). `split_seed` cuts the data; None means `seed`. `init_sha256` is the hash of
    the initial weights, None for random ones, and `freeze` says that the loaded tensors stay fixed. `conversions` are
    those of the training set, which change the pixels but not `data_sha256`. `pretrained` has, for each name of weights
    (ModelConfig.weights) from which a network may start, what they are (_Weights): those networks get pixels with the
    weights' own mean and std. It is empty for networks with random weights, and in studies of older versions.

    The stored form (as_json) is one flat object. Its keys are the fields of DataOptions and Protocol and those below,
    with `mean` and `std` of the first fold added. The broadest key comes first: a comparison (spec_comparison) follows
    the keys' order, and shows the user only the first difference.
    """

    dataset: str
    data_options: DataOptions = field(default_factory=DataOptions)
    space_name: str = ""
    protocol: Protocol = field(default_factory=Protocol)
    seed: int = 0
    split_seed: int | None = None
    subset: int | None = None
    data_sha256: str
    conversions: tuple[str, ...] = ()
    split_sha256: str = ""
    fold_scalings: Sequence[Scaling]
    device: str = "cpu"
    threads: int = 1
    layout: str = "channels_last"
    init_sha256: str | None = None
    freeze: bool = False
    pretrained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def scaling(self, model: ModelConfig, fold: int = 0) -> Scaling:
        """The mean and std by channel with which a network gets its pixels, in a fold or the only split."""
        weights = self.pretrained.get(model.weights)
        return (weights["mean"], weights["std"]) if weights else self.fold_scalings[fold]

    @property
    def seed_of_splits(self) -> int:
        """The seed that cuts the data."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def mean(self) -> list[float]:
        """The first fold's mean by channel."""
        return self.fold_scalings[0][0]

    @property
    def std(self) -> list[float]:
        """The first fold's standard deviation by channel."""
        return self.fold_scalings[0][1]

    @property
    def trainings(self) -> list[FoldRepeat]:
        """The trainings of each configuration: all folds of the first repeat, then those of the next."""
        folds, repeats = self.protocol.folds, self.protocol.repeats
        return [
            FoldRepeat(
                fold,
                repeat,
                ", ".join([f"fold {fold + 1}"] * bool(folds) + [f"repeat {repeat + 1}"] * (repeats > 1)),
            )
            for repeat in range(repeats)
            for fold in range(folds or 1)
        ]

    @property
    def n_steps(self) -> int:
        """The steps of a trial at which a pruner can end it: its epochs, or its trainings if there are several."""
        n_trainings = len(self.trainings)
        return self.protocol.epochs if n_trainings == 1 else n_trainings

    def n_epochs(self, variant: str | None) -> int:
        """The epochs of each training of a trial; `variant` is the trial's, if it has one."""
        return self.protocol.epochs

    def as_json(self) -> dict[str, Any]:
        """The stored form, as plain data."""
        flat = {
            "dataset": self.dataset,
            **self.data_options.as_json(),
            "space_name": self.space_name,
            **self._own_json(),
            **_protocol_json(self.protocol),
            "seed": self.seed,
            **({} if self.split_seed is None else {"split_seed": self.split_seed}),
            "subset": self.subset,
            "data_sha256": self.data_sha256,
            **({"conversions": self.conversions} if self.conversions else {}),
            **({"pretrained": self.pretrained} if self.pretrained else {}),
            "split_sha256": self.split_sha256,
            "mean": self.mean,
            "std": self.std,
            "fold_scalings": self.fold_scalings,
            "device": self.device,
            "threads": self.threads,
            "layout": self.layout,
        }
        plain: dict[str, Any] = json.loads(json.dumps(flat))
        return plain

    def _own_json(self) -> dict[str, Any]:
        """The part of the stored form that differs between a study and a training by itself."""
        return {"init_sha256": self.init_sha256, "freeze": self.freeze} if self.init_sha256 else {}


def _protocol_json(protocol: Protocol) -> dict[str, Any]:
    stored = asdict(protocol)
    if not protocol.test_flip:
        del stored["test_flip"]  # studies of older versions have no such key
    return stored


# The stored mark of a study whose losses are -ln p(true class), also those of networks that end in a softmax.
LOG_LOSS = "log"


@dataclass(frozen=True, kw_only=True)
class StudySpec(RunSpec):
    """All that a study's results depend on.

    `space` is the plain data of Space.describe. If only variants are compared, `variant_epochs` holds the number
    of epochs of each variant that sets its own. `max_latency` is in milliseconds an image. `loss` is LOG_LOSS, or empty
    in a study of an older version. `precision_rule` (models.precision) says what "auto" stands for in the study; it is
    empty if the space leaves no precision open.
    """

    space: Mapping[str, Any] = field(default_factory=dict)
    variants_only: bool = False
    metric: str = "accuracy"
    sampler: str = "tpe"
    pruner: str = "halving"
    max_params: int | None = None
    max_madds: int | None = None
    max_latency: float | None = None
    variant_epochs: Mapping[str, int] = field(default_factory=dict)
    loss: str = ""
    precision_rule: str = ""

    @property
    def limits(self) -> NetworkLimits:
        """What a network may cost at most to be able to win."""
        return NetworkLimits(self.max_params, self.max_madds, self.max_latency)

    @property
    def has_old_losses(self) -> bool:
        """Whether losses of the study may be the cross-entropy of probabilities taken as logits, as in older versions.

        Only those of networks that end in a softmax differ from LOG_LOSS.
        """
        return self.loss != LOG_LOSS and self._has_softmax

    @property
    def has_old_scores(self) -> bool:
        """Whether such losses are the study's scores."""
        return self.metric == "loss" and self.has_old_losses

    @property
    def _has_softmax(self) -> bool:
        """Whether a network of the space may end in a softmax."""
        searched = "softmax_output" in self.space.get("parameters", {})
        # A variant may set another value than the fixed one, with which the other networks are drawn.
        set_by = [self.space.get("fixed", {}), *self.space.get("variants", {}).values()]
        return searched or any(values.get("softmax_output", False) for values in set_by)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, complete: bool = False) -> Self:
        """Reads the stored form. A missing key gets its field's default, as older schemas need.

        With `complete`, only the keys that this schema may leave out can be missing: a default would be another study.
        Raises KeyError, TypeError or ValueError for what cannot be a spec.
        """
        if not isinstance(stored, Mapping):
            raise ValueError(f"spec must be an object, got {stored!r}")
        if complete and (missing := [key for key in cls._required() if key not in stored]):
            raise KeyError(", ".join(missing))
        options = {f.name: stored[f.name] for f in fields(DataOptions) if f.name in stored}
        protocol = {f.name: stored[f.name] for f in fields(Protocol) if f.name in stored}
        own = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        for name, value in (options | own).items():
            checked(_kinds()[name], value, name)
        if own.get("precision_rule"):
            PrecisionRule.parse(own["precision_rule"])
        for variant in own.get("space", {}).get("variants", {}).values():
            Configuration.from_values(variant)
        scalings = stored.get("fold_scalings") or [[stored["mean"], stored["std"]]]
        for mean, std in scalings:
            if not isinstance(mean, list) or not isinstance(std, list):
                raise ValueError(f"fold_scalings must be pairs of arrays, got {scalings!r}")
        spec = cls(
            **{
                **own,
                # The classes were read when the study began, so there are no two readings any more.
                "data_options": DataOptions.from_json({"depth": 1, **options}),
                "protocol": Protocol(**protocol),
                "fold_scalings": scalings,
                "conversions": tuple(own.get("conversions", ())),
            }
        )
        _ = spec._has_softmax  # a damaged space is an error here, not later
        return spec

    @classmethod
    def _required(cls) -> list[str]:
        """The keys that every spec of this schema has."""
        nested = ("data_options", "protocol", "fold_scalings")
        optional = (
            "folds", "repeats", "test_flip", "variant_epochs", "max_madds", "max_latency", "split_seed", "init_sha256",
            "freeze", "loss", "precision_rule", "conversions", "pretrained", *STORED_IF_GIVEN,
        )  # fmt: skip
        names = [f.name for kind in (cls, DataOptions, Protocol) for f in fields(kind)]
        return [name for name in names if name not in (*nested, *optional)]

    def n_epochs(self, variant: str | None) -> int:
        return self.variant_epochs.get(variant or "", self.protocol.epochs)

    def _own_json(self) -> dict[str, Any]:
        own = {
            "space": self.space,
            **({"precision_rule": self.precision_rule} if self.precision_rule else {}),
            "variants_only": self.variants_only,
            "metric": self.metric,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "max_params": self.max_params,
        }
        # Studies of older versions have no such keys.
        own |= {name: value for name in ("max_madds", "max_latency") if (value := getattr(self, name)) is not None}
        own |= {"variant_epochs": self.variant_epochs} if self.variant_epochs else {}
        return own | ({"loss": self.loss} if self.loss and self._has_softmax else {})


@cache
def _kinds() -> dict[str, Any]:
    """The kinds of the values in a study's stored spec; Protocol checks its own."""
    kinds = get_type_hints(DataOptions) | get_type_hints(StudySpec)
    choices = {"metric": tuple(METRICS), "sampler": SAMPLERS, "pruner": PRUNERS}
    kinds |= {name: Literal[known] for name, known in choices.items()}
    return kinds | {"space": _Space, "dataset": _Name, "pretrained": Mapping[str, _Weights]}
