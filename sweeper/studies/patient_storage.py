"""Optuna's storage on a server that may restart: what fails because the server is away is done once it is back."""

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import column, func, select, table

from sweeper.store import servers
from sweeper.store.servers import ServerAway
from sweeper.studies.bulk_storage import BulkStorage

# A restart takes seconds, and a move to another machine or a recovery from the log perhaps a minute. The owner's claim
# to the study would be void after ownership.STALE_SECONDS.
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 1.0
_TRIALS = table("trials", column("trial_id"), column("study_id"))
Result = TypeVar("Result")


class PatientStorage(BulkStorage):
    """Optuna's storage on a server; `tell` gets a line when the server goes away, and one when it is back.

    After PATIENCE_SECONDS each operation raises StorageInternalError, and at once until the server answers again.

    A connection may be lost between the server's commit and its answer. What then may not be done twice is looked up
    first; only the study's owner may use the storage to change it.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        options = {"pool_pre_ping": True, **servers.connection_options(url)}
        super().__init__(url, engine_kwargs=options, skip_compatibility_check=True)
        servers.name_lost_connections(self.engine)
        self._tell = tell
        self._away_since: float | None = None

    def delete_study(self, study_id: int) -> None:
        delete = functools.partial(super().delete_study, study_id)

        def again() -> None:
            with suppress(KeyError):  # it was deleted
                delete()

        self._patiently(delete, again)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        create = functools.partial(super()._create_new_trial, study_id, template_trial)
        newest = self._patiently(lambda: self._newest_trial(study_id))

        def again() -> FrozenTrial:
            found = self._newest_trial(study_id)
            return create() if found is None or found == newest else self.get_trial(found)

        return self._patiently(create, again)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        change = functools.partial(super().set_trial_state_values, trial_id, state, values)
        return self._patiently(change, lambda: self.get_trial(trial_id).state == state or change())

    def _newest_trial(self, study_id: int) -> int | None:
        """The id of the study's newest trial in the database; None if it has none."""
        newest = select(func.max(_TRIALS.c.trial_id)).where(_TRIALS.c.study_id == study_id)
        with self.engine.connect() as connection:
            found: int | None = connection.execute(newest).scalar()
            return found

    def _patiently(self, operation: Callable[[], Result], again: Callable[[], Result] | None = None) -> Result:
        """The operation's result; `again` is what to do after a failure, if not the same."""
        while True:
            try:
                result = operation()
            except ServerAway as error:
                self._wait(error)
                operation = again or operation
            else:
                if self._away_since is not None:
                    self._away_since = None
                    self._tell("Optuna's storage answers again")
                return result

    def _wait(self, error: ServerAway) -> None:
        """Waits before the next try. Raises StorageInternalError after PATIENCE_SECONDS."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            self._tell(f"Optuna's storage does not answer ({error}); trying again for {PATIENCE_SECONDS:.0f} s")
        if now - self._away_since >= PATIENCE_SECONDS:
            raise StorageInternalError(str(error)) from error
        time.sleep(RETRY_SECONDS)


# What Optuna's cache asks of a storage, and what may be done twice.
REPEATABLE = (
    "_get_best_trial_id", "_get_trials", "_set_trial_param", "create_new_study", "get_all_studies",
    "get_study_directions", "get_study_id_from_name", "get_study_name_from_id", "get_study_system_attrs",
    "get_study_user_attrs", "get_trial", "get_trial_id_from_study_id_trial_number", "set_study_system_attr",
    "set_study_user_attr", "set_study_user_attrs", "set_trial_intermediate_value", "set_trial_system_attr",
    "set_trial_user_attr", "write_changes",
)  # fmt: skip


def _patient(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def repeated(self: PatientStorage, *arguments: Any, **options: Any) -> Any:
        return self._patiently(functools.partial(operation, self, *arguments, **options))

    return repeated


for _name in REPEATABLE:
    setattr(PatientStorage, _name, _patient(getattr(BulkStorage, _name)))
