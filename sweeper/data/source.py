"""The source of a data set: its name or path, options for its images, and where its files may come from."""

from dataclasses import dataclass, field
from pathlib import Path

from sweeper.images.options import DataOptions


@dataclass(frozen=True)
class DataAccess:
    """How to get a data set's files: from which folder, with or without downloads, and up to which size.

    The fields are those of DataSource of these names.
    """

    data_dir: Path | None = None
    offline: bool = False
    max_bytes: int | None = None


USUAL_ACCESS = DataAccess()
# Only files that are already on this machine.
NO_DOWNLOAD = DataAccess(offline=True)


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
    def access(self) -> DataAccess:
        """How to get the files."""
        return DataAccess(self.data_dir, self.offline, self.max_bytes)
