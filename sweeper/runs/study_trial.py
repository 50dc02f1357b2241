"""A study's trial as a training by itself: its configuration, protocol, data, splits and seeds."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeper.config import Configuration
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.events import State
from sweeper.runs.options import TrainingOptions
from sweeper.spaces import reader, writer
from sweeper.spaces.space import Space, Variant
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import queries, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.seeds import trial_seed
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord


@dataclass(frozen=True)
class StudyTrial:
    """A trial whose configuration is known, with the spec of its study."""

    study_name: str
    spec: StudySpec
    record: TrialRecord
    configuration: Configuration

    @property
    def name(self) -> str:
        """STUDY:TRIAL, as commands name it."""
        return f"{self.study_name}:{self.record.number}"

    def seed(self, repeat: int = 0) -> int:
        """The seed of the trial's trainings in one repeat, counted from 0."""
        return trial_seed(self.spec.seed, self.record.number, repeat)

    def space_text(self) -> str:
        """The text of a space file with this configuration alone, and with the study's protocol."""
        spec = self.spec
        protocol = replace(spec.protocol, epochs=spec.n_epochs(self.record.variant))
        comment = (
            f"{self.name} was trained with --seed {self.seed()} --split-seed {spec.seed_of_splits} on {spec.dataset}."
        )
        return writer.fixed_space(self.configuration, protocol, f"{self.record.name} of {spec.space_name}", comment)

    def space(self, overrides: Sequence[str] = ()) -> Space:
        """The space with this configuration alone, as its only variant; `overrides` (KEY=VALUE) change it."""
        name = self.spec.space_name
        space = reader.parse(self.space_text(), name=name, file=self.name, overrides=overrides)
        return replace(space, variants={self.name: Variant(self.name, space.variants["baseline"].configuration)})

    def training(self, asked: TrainingOptions, *, own_seed: bool) -> TrainingOptions:
        """The options that repeat the trial, where nothing else is asked; `own_seed` keeps the trial's own seed."""
        return replace(
            asked,
            seed=self.seed() if own_seed else asked.seed,
            split_seed=self.spec.seed_of_splits if asked.split_seed is None else asked.split_seed,
            subset=asked.subset or self.spec.subset,
        )

    def device(self, asked: DeviceOptions) -> DeviceOptions:
        """The kind of device that the study ran on, where no other is asked: another gives slightly other numbers."""
        if asked.device != "auto":
            return asked
        kind, _, graphs = self.spec.device.partition(", ")
        share = asked.jobs_per_gpu or (1 if graphs and asked.jobs is None else None)
        return replace(asked, device=kind, jobs_per_gpu=share)


def find(store: Store, reference: str) -> StudyTrial:
    """The trial that STUDY:TRIAL names. Raises UsageError, and SweeperError for a study that cannot be read."""
    name, colon, number = reference.rpartition(":")
    if not (name and colon and number.isdecimal()):
        raise UsageError(f"a trial must be named as STUDY:TRIAL, such as fashion_mnist-lenet5:17, got {reference!r}")
    study = queries.find_study(store, name)
    for record in trial_records.records(study):
        if record.number == int(number):
            if record.state == State.WARM_START:
                raise UsageError(
                    f"trial {number} of study {name} was not trained in it: it has the score of {record.warm_start}"
                )
            if record.configuration is None:
                raise UsageError(f"trial {number} of study {name} has no configuration yet: it is {record.state}")
            return StudyTrial(name, spec_of(study), record, record.configuration)
    listing = f"sweeper trials {shlex.quote(name)}{store_arguments(store)}"
    raise UsageError(f"study {name} has no trial {number}; `{listing}` lists its trials")
