"""Looks up what a search asks of its trials at each of their ends, without going through all of them."""

from bisect import insort
from collections import defaultdict
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial

from sweeper.config import Configuration, ModelConfig
from sweeper.events import State
from sweeper.models.latency import deployed
from sweeper.studies.attributes import RUN_ID, spec_of
from sweeper.studies.objective import direction
from sweeper.studies.trial_records import TrialRecord, record_of


class TrialIndex:
    """The trials of a study, for the process that owns it.

    Each question first looks at the trials that had not ended at the last one, and at new ones: Optuna lets nobody
    change a trial that has ended.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study, self._spec = study, spec_of(study)
        self._sign = 1 if direction(self._spec.metric) == "minimize" else -1
        self._records: list[TrialRecord] = []  # by number
        self._open: dict[int, FrozenTrial] = {}  # those that have not ended, by number, as they were read
        self._counted: set[int] = set()  # those that are complete or pruned
        self._pruned: set[int] = set()
        self._ranked: list[tuple[float, int]] = []
        self._numbers: defaultdict[Configuration, list[int]] = defaultdict(list)  # of the counted trials
        self._retries: dict[int, int] = {}  # the trial that each one tries again, if it has not failed
        self._milliseconds: dict[ModelConfig, float] = {}

    def record(self, number: int) -> TrialRecord:
        """The trial of this number."""
        self._follow()
        # Not attributes_of, which copies them all: every trial's run is one.
        attributes = self._study._storage.get_study_user_attrs(self._study._study_id)
        run_id, retried = attributes.get(f"{RUN_ID}:{number}"), self._is_retried(number)
        return replace(self._records[number], run_id=run_id, retried=retried)

    def n_counted(self) -> int:
        """As `trial_records.n_counted` of all trials."""
        self._follow()
        return len(self._counted) - len(self._pruned.intersection(self._retries.values()))

    def result_of(self, configuration: Configuration) -> TrialRecord | None:
        """The first ended trial of this configuration whose result counts; None if there is none."""
        self._follow()
        found = (number for number in sorted(self._numbers.get(configuration, ())) if not self._is_retried(number))
        number = next(found, None)
        return None if number is None else self.record(number)

    def best(self, n: int) -> list[int]:
        """The numbers of the n best complete trials, as `trial_records.ranking` orders them."""
        self._follow()
        return [number for _, number in self._ranked[:n]]

    def milliseconds(self, model: ModelConfig) -> float | None:
        """What the network takes for an image, if the search has measured it for a trial of the same network."""
        self._follow()
        return self._milliseconds.get(deployed(model))

    def _is_retried(self, number: int) -> bool:
        return number in self._pruned and number in self._retries.values()

    def _follow(self) -> None:
        """Reads what has changed since the last question."""
        trials = self._study.get_trials(deepcopy=False)
        changed = [number for number, seen in self._open.items() if trials[number] is not seen]
        for number in [*changed, *range(len(self._records), len(trials))]:
            self._read(trials[number])

    def _read(self, frozen: FrozenTrial) -> None:
        number = frozen.number
        record = record_of(self._study, frozen, None, self._spec)
        self._records[number : number + 1] = [record]
        if record.retry_of is not None:
            self._retries[number] = record.retry_of
        if record.configuration is not None and record.milliseconds is not None:
            self._milliseconds[deployed(record.configuration.model)] = record.milliseconds
        if not frozen.state.is_finished():
            self._open[number] = frozen
            return
        self._open.pop(number, None)
        if record.state == State.FAILED:
            self._retries.pop(number, None)
        if record.state in (State.COMPLETE, State.PRUNED):
            self._counted.add(number)
            if record.configuration is not None:
                self._numbers[record.configuration].append(number)
        if record.state == State.PRUNED:
            self._pruned.add(number)
        if record.state == State.COMPLETE and record.value is not None:
            insort(self._ranked, (self._sign * record.value, number))
