"""The source of a data set: its name or path, options for its images, and where its files may come from."""

from dataclasses import dataclass, field
from pathlib import Path

from sweeper.images.options import DataOptions


@dataclass(frozen=True)
class DataSource:
    """Which data set to load, and how.

    `dataset` is a known name, or the path of a folder of images or an .npz file. `data_dir`, where the files
    are, applies to known names only. With `offline` nothing is downloaded: no data, and no pretrained weights.
    `max_bytes` is the most that decoded images may take, None for what fits.
    """

    dataset: str
    options: DataOptions = field(default_factory=DataOptions)
    data_dir: Path | None = None
    offline: bool = False
    max_bytes: int | None = None
