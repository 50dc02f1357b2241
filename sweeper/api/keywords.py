"""The keyword arguments of the public functions, for type checkers and editors; a test compares them with the options.

Times may be numbers of seconds or texts such as "90m", sizes numbers of bytes or texts such as "4GB".
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict

Place = str | PathLike[str]


class StoreKeywords(TypedDict, total=False):
    """Where studies are."""

    store: Place | None
    storage: str | None
    tracking_uri: str | None


class DeviceKeywords(TypedDict, total=False):
    """Where trainings run."""

    device: str
    jobs: int | Literal["auto"] | None
    jobs_per_gpu: int | Literal["auto"] | None
    worker_memory: int | str | None
    engine: Literal["local", "inline", "ray"]
    ray_address: str | None
    ray_insecure: bool


class PlaceKeywords(TypedDict, total=False):
    """Where the files of data come from."""

    data_dir: Place | None
    offline: bool
    max_bytes: int | str | None


class DataKeywords(PlaceKeywords, total=False):
    """How images are read."""

    classes: Sequence[str] | None
    resize: int | None
    fit: Literal["pad", "crop", "stretch"] | None
    grayscale: bool
    skip_bad: bool
    max_pixels: int | str | None
    train_dir: str | None
    val_dir: str | None
    test_dir: str | None
    depth: int | None
    resplit: bool
    labels: Place | None
    image_column: str | None
    label_column: str | None
    split_column: str | None
    map: Place | Mapping[str, str | Sequence[str]] | None
    min_per_class: int | None
    value_range: tuple[float, float] | None
    background: Literal["white", "black"]
    no_exif: bool
    channels: Literal["first", "last"] | None


class TrainingKeywords(TypedDict, total=False):
    """How trainings are repeated and seeded."""

    epochs: int | None
    folds: int | None
    repeats: int | None
    seed: int
    subset: int | None
    split_seed: int | None


class SearchKeywords(DataKeywords, TrainingKeywords, DeviceKeywords, StoreKeywords, total=False):
    """The options of `search`."""

    trials: int
    variants_only: bool
    sampler: str
    pruner: str
    metric: str
    max_params: int | None
    max_madds: int | None
    max_latency: float | None
    target: float | None
    timeout: float | str | None
    trial_timeout: float | str | None
    keep: int
    warm_start: str | None
    take_over: bool


class PromoteKeywords(PlaceKeywords, DeviceKeywords, StoreKeywords, total=False):
    """The options of `promote`."""

    top: int
    seeds: int
    prefer: str
    test: bool
    allow_retest: bool
    again: bool
    replace: bool
    trials: Sequence[int]
