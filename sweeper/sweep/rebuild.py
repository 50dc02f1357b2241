"""Makes a study's runs in MLflow again, from the study's records and the files that are left, if MLflow lost them."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import optuna

from sweeper.errors import SweeperError, UsageError
from sweeper.events import ENDED, State
from sweeper.runs import run_metadata
from sweeper.runs.record import final_metrics, final_tags, log_values
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.store.redaction import redact
from sweeper.studies import lifecycle, storage_errors, trial_records, variant_curves
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.objective import METRICS
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_again, find_study
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep import study_report
from sweeper.sweep.recorder import params_and_tags
from sweeper.tracking import old_artifacts
from sweeper.tracking.outbox import Outbox, Write, dropped_in
from sweeper.tracking.run_ids import run_ids
from sweeper.tracking.tracker import DataRecord, Tracker


@dataclass(frozen=True)
class Rebuilt:
    """What was made again: runs of trials, and those that got their old artifacts. `undelivered` as in Tracker."""

    study: str
    runs: int
    with_artifacts: int
    undelivered: list[str]


# What the study does not hold.
LOST = (
    "Lost are the times, the metrics by epoch except the study's own score (variants keep their learning curves), the "
    "runs of single folds and repeats, and the registered models: `sweeper promote` registers them again"
)


def rebuild(store: Store, name: str, notify: Callable[[str], None]) -> Rebuilt:
    """Makes the study's run and those of its trials again, unless MLflow has them. May be repeated.

    Runs that were deleted in MLflow, and that the study then gave up, are not made again. Writes that still waited for
    the lost runs follow. Raises SweeperError and UsageError.
    """
    if not store.embedded_tracking:
        raise UsageError(
            f"--rebuild is for runs in {store.root / 'mlflow.db'}, not for those in MLflow at "
            f"{redact(store.tracking_uri)}"
        )
    study = find_study(store, name)
    lifecycle.check_usable(study, store_arguments(store))
    store.prepare()
    with ExitStack() as stack:
        stack.enter_context(storage_errors.translated(store))
        stack.enter_context(store.owning(name, checked=True))
        study = find_again(store, name, id_of(study))
        stack.enter_context(claimed(store, study, notify))
        present, outbox = run_ids(store), store.outbox(name, id_of(study), "study")
        if present is None:
            raise SweeperError(
                f"{store.root / 'mlflow.db'} cannot be read, so that nobody knows which runs it lacks: `sweeper "
                "doctor` says what is wrong with it"
            )
        dropped = dropped_in(outbox) | dropped_in(_aside(outbox))
        kept = [t for t in trial_records.records(study) if _had_run(t) and t.run_id not in dropped]
        missing = [trial for trial in kept if trial.run_id not in present]
        if not missing and not _aside(outbox).exists():
            return Rebuilt(name, 0, 0, [])
        waiting = _set_aside(outbox, dropped)
        tracker, spec = _open(store, study, notify), spec_of(study)
        for trial in missing:
            _make_again(tracker, study, spec, trial)
        undelivered = tracker.flush()
        made = {trial.run_id: tracker.child_run_id(trial.number) for trial in missing}
        with_artifacts = sum(old_artifacts.move(store, old, new) for old, new in made.items() if old and new)
        numbers = [trial.number for trial in missing]
        trial_records.set_run_ids(study, {n: run_id for n in numbers if (run_id := tracker.child_run_id(n))})
        tracker.repeat(waiting)
        stopped = study.user_attrs.get(lifecycle.ENDED)
        seconds = study.user_attrs.get("seconds", 0.0)
        study_report.log_end(tracker, study, spec.metric, "its process died" if stopped is None else stopped, seconds)
        undelivered = [*undelivered, *tracker.close()]
        _aside(outbox).unlink(missing_ok=True)
        return Rebuilt(name, len(missing), with_artifacts, undelivered)


def _had_run(trial: TrialRecord) -> bool:
    return trial.configuration is not None and is_id(trial.run_id)


def _open(store: Store, study: optuna.Study, notify: Callable[[str], None]) -> Tracker:
    spec, source = spec_of(study), study.user_attrs.get(lifecycle.DATA_PATH)
    tracker = Tracker(store, DataRecord(spec.dataset, spec.data_sha256, source or spec.dataset, ()), notify)
    tags = {"sweeper.command": study.user_attrs.get(lifecycle.COMMAND, ""), "sweeper.data_sha256": spec.data_sha256}
    tracker.open(study.study_name, id_of(study), {**tags, "sweeper.rebuilt": "true"}, run_metadata.params(spec, None))
    return tracker


def _make_again(tracker: Tracker, study: optuna.Study, spec: StudySpec, trial: TrialRecord) -> None:
    params, tags = params_and_tags(trial, spec, study.study_name, trial.seed)
    tracker.start_child(trial.number, trial.name, params, {**tags, "sweeper.rebuilt": "true"})
    curves = variant_curves.load(study, trial.number)
    if len(curves) == 1:
        for epoch in curves[0]:
            log_values(tracker, trial.number, int(epoch["epoch"]), epoch)
    elif len(spec.trainings) == 1:
        for number, value in trial.values.items():
            log_values(tracker, trial.number, number, {METRICS[spec.metric]: value})
    metrics = final_metrics(trial.metrics, trial.n_parameters or 0)
    tags = final_tags(trial.metrics, trial.seconds)
    state = trial.state if trial.state in ENDED else State.INTERRUPTED
    tracker.finish(trial.number, state, reason=trial.reason, metrics=metrics, tags=tags)


def _set_aside(path: Path, dropped: Iterable[str]) -> list[Write]:
    """The writes that wait in an outbox, whose file gets another name: they must follow those of the new runs.

    The new outbox knows the runs that the study has given up.
    """
    if path.exists() and not _aside(path).exists():
        Outbox(path).close()  # merges the log that a killed process left beside the file, and deletes an empty file
        if path.exists():
            path.rename(_aside(path))
    if not _aside(path).exists():
        return []
    outbox = Outbox(path)
    outbox.give_up(dropped)
    outbox.close()
    outbox = Outbox(_aside(path))
    found = outbox.writes()
    outbox.close()
    return found


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")
