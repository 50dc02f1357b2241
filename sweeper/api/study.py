"""`sweeper.load_study`: a study with its trials, its best trial and its report."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from sweeper.api import arguments
from sweeper.api.keywords import PlaceKeywords, StoreKeywords
from sweeper.api.running import Code, display, translated, use_code
from sweeper.data.source import DataSource
from sweeper.events import Step, outcome
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.studies.trial_records import TrialRecord

# The trials that a notebook shows of a study.
SHOWN = 5


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    `value` is its score in the study's metric. `params` holds the searched parameters, `metrics` those of its last
    epoch. `run_id` is its run in MLflow.
    """

    number: int
    value: float | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float] = field(repr=False)
    epochs: int
    seconds: float
    n_parameters: int | None
    run_id: str | None
    variant: str | None

    @classmethod
    def of(cls, record: "TrialRecord") -> "Trial":
        """The trial of a record."""
        return cls(
            number=record.number,
            value=record.value,
            params=dict(record.params),
            metrics=dict(record.metrics),
            epochs=record.epochs,
            seconds=record.seconds,
            n_parameters=record.n_parameters,
            run_id=record.run_id,
            variant=record.variant,
        )


class Study:
    """A study in a store; every attribute is read when it is asked for, so that a running study can be watched.

    `stopped` says what ended the search that returned this study before all trials were done: "timeout", "target" or
    "sweeper stop"; it is empty otherwise. `undelivered` says which writes MLflow has not accepted: `sweeper sync`
    delivers them. `load_study` leaves both empty.
    """

    def __init__(
        self, store: Store, name: str, study_id: str, *, stopped: str = "", undelivered: tuple[str, ...] = ()
    ) -> None:
        self.name, self.stopped, self.undelivered = name, stopped, undelivered
        self._store, self._id = store, study_id
        if undelivered:
            # Through `search` and its decorator, to the line that has called it.
            warnings.warn(
                f"MLflow lacks a part of study {name}: {undelivered[0]}; `sweeper sync` delivers it", stacklevel=4
            )

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self._store.root

    @property
    def metric(self) -> str:
        """The metric that ranks the trials."""
        from sweeper.studies.attributes import spec_of

        with translated():
            return spec_of(self._study()).metric

    @property
    def trials(self) -> "pd.DataFrame":
        """All trials, one a row, with the columns of `sweeper trials --csv`."""
        import pandas as pd

        from sweeper.studies.trial_list import rows

        found = rows(self._records())
        return pd.DataFrame(found, columns=list(found[0]) if found else ["number"])

    @property
    def best(self) -> Trial | None:
        """The complete trial of the best score within all limits; None if there is none yet."""
        from sweeper.studies import trial_records

        record = trial_records.best(self._records(), self.metric)
        return None if record is None else Trial.of(record)

    @arguments.takes(DataSource)
    def report(
        self,
        output: str | os.PathLike[str] | None = None,
        *,
        format: Literal["html", "md", "json"] = "html",
        code: Code = (),
        progress: bool = True,
        **options: Unpack[PlaceKeywords],
    ) -> Path:
        """Writes the report of `sweeper report`, and returns its path.

        `output` is the file or, for "md", the folder; None means the study's name in the current folder. Raises
        SweeperError and UsageError.
        """
        from sweeper.errors import UsageError, nearest

        forms = ("html", "md", "json")
        if format not in forms:
            raise UsageError(f"format must be one of {', '.join(forms)}, got {format!r}{nearest(str(format), forms)}")
        with translated(), display(progress=progress) as show:
            from sweeper.report.making import make

            self._study()  # refuses a study that was deleted meanwhile
            use_code(code)
            access = arguments.data_access_of(options)
            path = None if output is None else Path(output).expanduser()
            return make(self._store, self.name, path, format, access, lambda text: show(Step(text)), warn=warnings.warn)

    def __repr__(self) -> str:
        return f"<Study {self.name}: {self._summary()}>"

    def _repr_html_(self) -> str:
        """The summary and the best trials, for notebooks."""
        from html import escape

        import pandas as pd

        from sweeper.studies.trial_list import ordered, parameters

        records = ordered(self._records(), self.metric, "value")[:SHOWN]
        searched = parameters(records)
        table = pd.DataFrame(
            {
                "trial": [record.number for record in records],
                self.metric: [record.value for record in records],
                "state": [outcome(record.state, feasible=record.feasible) for record in records],
                "epochs": [record.epochs for record in records],
                **searched,
            }
        )
        return f"<p><b>{escape(self.name)}</b>: {escape(self._summary())}</p>{table.to_html(index=False)}"

    def _summary(self) -> str:
        from sweeper.evaluation.amounts import amount
        from sweeper.studies import trial_records
        from sweeper.studies.objective import LABELS

        records, metric = self._records(), self.metric
        counts = {kind: n for kind, n in trial_records.counts(records).items() if n}
        words = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no trials"
        best = trial_records.best(records, metric)
        leader = (
            ""
            if best is None or best.value is None
            else (f"; best {LABELS[metric]} {amount(metric, best.value)} ({best.name})")
        )
        ended = f"; stopped by {self.stopped}" if self.stopped else ""
        return f"{words}{leader}{ended}"

    def _study(self) -> Any:
        from sweeper.studies.queries import find_again

        return find_again(self._store, self.name, self._id)

    def _records(self) -> "list[TrialRecord]":
        from sweeper.studies import trial_records

        with translated():
            return trial_records.records(self._study())


@arguments.takes(StoreOptions)
def load_study(name: str | None = None, **options: Unpack[StoreKeywords]) -> Study:
    """The study of this name, or the latest one. Raises SweeperError, and UsageError for an unknown name."""
    with translated():
        store = arguments.store_of(options)
        from sweeper.studies.attributes import id_of
        from sweeper.studies.queries import find_study

        found = find_study(store, name)
        return Study(store, found.study_name, id_of(found))
