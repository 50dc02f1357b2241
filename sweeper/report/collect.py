"""Collects a report on a study from Optuna's storage, MLflow, and the study's data."""

from datetime import UTC, datetime
from importlib.metadata import version

from sweeper.data.source import DataAccess
from sweeper.errors import SweeperError
from sweeper.events import once
from sweeper.report import ablation, answer, data_set, frontier, importance, networks, provenance, trials
from sweeper.report.content import Report
from sweeper.report.data_set import Notify
from sweeper.report.subject import Subject, load
from sweeper.store.layout import Store
from sweeper.studies import network_input
from sweeper.studies.attributes import id_of
from sweeper.studies.data_source import source_of
from sweeper.studies.importance import measure
from sweeper.studies.network_input import NetworkInput
from sweeper.tracking import study_run
from sweeper.tracking.study_run import StudyRun


def collect(
    store: Store, name: str | None, access: DataAccess, workers: int, notify: Notify
) -> tuple[Report, StudyRun | None]:
    """The report on the study of this name, or on the latest one, and the study's run in MLflow.

    A promotion is supposed to have so many `workers`. What cannot be read, such as data that were moved, is said in its
    section, and by `notify`, which gets each line once. Raises SweeperError for a study that cannot be read.
    """
    notify = once(notify)  # several sections read the same images and the same MLflow
    subject = load(store, name)
    if subject.unread:
        notify(f"Warning: {subject.unread}")
    run = _run(subject, notify)
    notify(f"Reading the images of {subject.spec.dataset}")
    images = _images(subject, access, notify)
    notify("Measuring importances and latencies")
    important, sizes = measure(subject.study, subject.trials), _network_input(subject)
    ablated = ablation.section(subject)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    study = {
        "name": subject.name,
        "state": subject.status["state"],
        "dataset": subject.spec.dataset,
        "space": subject.spec.space_name,
        "metric": subject.spec.metric,
        "made": now,
        "is_snapshot": subject.is_running,
        "version": version("cnn-sweeper"),
    }
    report = Report(
        study=study,
        answer=answer.section(
            subject, sizes, workers, images[0].classes if images[0] else (), provenance.parts_of(run)
        ),
        trials=trials.section(subject, list(important.shares)),
        importance=importance.section(important),
        ablation=ablated,
        frontier=frontier.section(subject, sizes),
        networks=networks.section(subject, access, notify),
        data=data_set.section(subject, *images),
        provenance=provenance.section(subject, run, ablated.data.get("n_seeds")),
    )
    return report, run


def _network_input(subject: Subject) -> NetworkInput | None:
    """What the networks take and give; None for a study of an older version, which did not note it."""
    try:
        return network_input.of(subject.study, subject.trials)
    except SweeperError:
        return None


def _run(subject: Subject, notify: Notify) -> StudyRun | None:
    files = (provenance.SPACE_FILE, provenance.ENVIRONMENT)
    spec = subject.spec
    try:
        return study_run.read(subject.store, spec.dataset, spec.data_sha256, id_of(subject.study), files)
    except SweeperError as error:
        notify(f"Warning: {error}")
        return None


def _images(subject: Subject, access: DataAccess, notify: Notify) -> tuple[data_set.TrainingSet | None, str]:
    try:
        source = source_of(subject.study, access)
    except SweeperError as error:
        return None, str(error)
    return data_set.load(subject, source, notify)
