"""The request for a training by itself: all that a command line says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeper.config import Protocol
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.runs.options import TrainingOptions
from sweeper.runs.study_trial import StudyTrial
from sweeper.spaces.space import Space, Variant
from sweeper.store.layout import Store


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """A request for a training by itself.

    `init` names the run or model whose weights the training starts from, and `freeze` keeps these weights unchanged.
    With `all_data` it trains on all images, those for validation and confirmation too, and has no validation score.
    `compare` names runs whose learning curves are drawn beside its own. `command` is the command line, for the record.
    `trial` is the trial of a study that the training repeats, as far as the options do not change it.
    """

    source: DataSource
    space: Space
    variant: Variant
    training: TrainingOptions
    device: DeviceOptions
    store: Store
    command: Sequence[str]
    init: str | None = None
    freeze: bool = False
    all_data: bool = False
    compare: Sequence[str] = ()
    trial: StudyTrial | None = None

    @property
    def protocol(self) -> Protocol:
        """How the training is repeated and scored; on all images, there are no folds."""
        return self.training_options.protocol(self.space.protocol)

    @property
    def training_options(self) -> TrainingOptions:
        """How trainings are repeated and seeded."""
        return replace(self.training, folds=0) if self.all_data else self.training
