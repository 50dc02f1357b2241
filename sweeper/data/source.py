"""The source of a data set: its name or path, options for its images, and where its files may come from."""

from dataclasses import dataclass, field
from pathlib import Path

from sweeper.data.images.options import DataOptions


@dataclass(frozen=True)
class DataSource:
    """Which data set to load, and how.

    `dataset` is a known name, or the path of a folder of images or an .npz file. `data_dir` (where the files are) and
    `offline` (download nothing) apply to known names only.
    """

    dataset: str
    options: DataOptions = field(default_factory=DataOptions)
    data_dir: Path | None = None
    offline: bool = False
