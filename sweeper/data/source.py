"""The source of a data set: its name or path, options for its images, and where its files may come from."""

from dataclasses import dataclass, field
from pathlib import Path

from sweeper.images.options import DataOptions


@dataclass(frozen=True)
class DataPlace:
    """Where a data set's files come from, and how large it may be: the fields of DataSource of these names."""

    data_dir: Path | None = None
    offline: bool = False
    max_bytes: int | None = None


USUAL_PLACE = DataPlace()
# Of what is on this machine already.
NO_DOWNLOAD = DataPlace(offline=True)


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

    @property
    def place(self) -> DataPlace:
        """Where the files come from."""
        return DataPlace(self.data_dir, self.offline, self.max_bytes)
