"""What workers are started for: the images that they see, and the study or training that they belong to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # a worker may import this module before it limits its threads: no import may create thread pools
    import numpy as np

    from sweeper.data.splits import Indices
    from sweeper.data.training_set import TrainingSet
    from sweeper.images.image_set import Scaling
    from sweeper.store.layout import Store

ImagesAndLabels: TypeAlias = "tuple[np.ndarray, np.ndarray]"


@dataclass(frozen=True, eq=False)
class Workload:
    """The images of each fold, or of the only split, and to whom the workers belong.

    `folds` has the indices of the train and of the validation part, `scalings` the mean and the deviation of each
    channel. `owner` is a study or a training by itself; `owner_id` distinguishes owners of one name.
    """

    training_set: "TrainingSet"
    folds: "Sequence[tuple[Indices, Indices]]"
    scalings: "Sequence[Scaling]"
    store: "Store"
    owner: str
    owner_id: str

    @property
    def n_classes(self) -> int:
        """The number of classes that a network distinguishes."""
        return len(self.training_set.classes)

    def parts(self, fold: int) -> tuple[ImagesAndLabels, ImagesAndLabels]:
        """Copies of the train and the validation part of a fold, counted from 0: workers see no other images."""
        images, labels = self.training_set.images, self.training_set.labels
        train, validation = self.folds[fold]
        return (images[train], labels[train]), (images[validation], labels[validation])

    def all_parts(self) -> Iterator[tuple[ImagesAndLabels, ImagesAndLabels]]:
        """The parts of each fold, one fold at a time."""
        return map(self.parts, range(len(self.folds)))

    @property
    def images_folder(self) -> Path:
        """The folder of the images that the workers may see, while they work."""
        return self.store.shared_images_folder(self.owner, self.owner_id)

    @property
    def log_folder(self) -> Path:
        """The folder of the workers' logs."""
        return self.store.log_folder(self.owner, self.owner_id)
