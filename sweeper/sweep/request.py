"""The request for a search: all that a command line says."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.config import Protocol
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.runs.options import TrainingOptions
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.sweep.options import SearchOptions


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """A request for a search. `study` is the study's name; with `new`, a free name is derived from it.

    `command` is the command line, for the record and for resuming the study.
    """

    source: DataSource
    space: Space
    training: TrainingOptions
    device: DeviceOptions
    options: SearchOptions
    store: Store
    study: str
    new: bool
    command: Sequence[str]

    @property
    def protocol(self) -> Protocol:
        """How the trials are scored."""
        return self.training.protocol(self.space.protocol)

    @property
    def variant_epochs(self) -> dict[str, int]:
        """The variants' own epochs, if only variants are trained and the command line gives no epochs for all."""
        if not self.options.variants_only or self.training.epochs is not None:
            return {}
        return self.space.variant_epochs
