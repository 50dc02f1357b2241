"""The request for a search: all that a command line, or a call from Python, says."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sweeper.config import Protocol
from sweeper.data.lookup import name_of
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError, plain, shortened
from sweeper.quantities import counted
from sweeper.runs.options import TrainingOptions
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.store.names import check_study_name
from sweeper.studies.objective import check_target
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

    @classmethod
    def of(
        cls,
        source: DataSource,
        space: Space,
        training: TrainingOptions,
        device: DeviceOptions,
        options: SearchOptions,
        store: Store,
        *,
        study: str | None,
        new: bool,
        command: Sequence[str],
        given: Collection[str],
    ) -> Self:
        """The request, with the usual name of a study that the user has not named: DATASET-SPACE.

        `given` are the names of the options that the user has given. Raises UsageError for options that contradict each
        other, and for a name or a target that cannot be.
        """
        if options.target is not None:
            check_target(options.target, options.metric)
        usual = f"{name_of(source.dataset)}-{space.name}" + "-variants" * options.variants_only
        name = check_study_name(usual if study is None else study)
        if options.variants_only:
            for option in ("trials", "sampler", "pruner", "warm_start"):
                if option in given:
                    named = option.replace("_", "-")
                    raise UsageError(f"--variants-only trains each variant to its end, and takes no --{named}")
            options = replace(options, trials=len(space.variants), pruner="none")
        return cls(
            source=source,
            space=space,
            training=training,
            device=device,
            options=options,
            store=store,
            study=name,
            new=new,
            command=command,
        )

    @property
    def unused_epochs(self) -> str:
        """A sentence on the variants with epochs of their own, which a search does not use; empty if it uses all."""
        own = self.space.variant_epochs
        if not own or self.training.epochs is not None or self.options.variants_only:
            return ""
        named = ", ".join(f"{plain(name)} ({number})" for name, number in own.items())
        return (
            f"In a search every trial has {counted(self.space.protocol.epochs, 'epoch')}; the epochs of these variants "
            f"are ignored: {shortened(named)}"
        )

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
