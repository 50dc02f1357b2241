"""The one look at the test set, between the two halves of its entry in the ledger, and what was seen before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import DataSource
from sweeper.data.test_set import TestSet, load_test_set, test_sha256
from sweeper.errors import SweeperError, UsageError
from sweeper.events import Listener, Note
from sweeper.promotion import verdict
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.test_metrics import Logits, measure, plots_of, tables
from sweeper.promotion.verdict import Comparison
from sweeper.tracking.ledger import Ledger, TestEvaluation, count
from sweeper.tracking.registry import CHALLENGER, CHAMPION

# Of Tested, those that are metrics of the ledger's entry.
METRICS = ("accuracy", "low", "high", "loss", "macro_precision", "macro_recall", "macro_f1")
Predict = Callable[[Finalist, NDArray[np.uint8]], Logits]


@dataclass(frozen=True)
class Recorded:
    """What the study's looks have shown.

    `tested` holds the fields of Tested by network, over all looks; `comparisons` are of the last look at just the
    networks at hand. `looks` counts those at these test data by the study, and by all studies of the store. `notes` say
    what else is to be known.
    """

    tested: Mapping[str, Mapping[str, Any]]
    comparisons: Sequence[Comparison]
    evaluations: tuple[int, int]
    notes: Sequence[str]


def known_sha256(source: DataSource) -> str | None:
    """The hash that the test set has; None where there is none. Decodes nothing of it."""
    return test_sha256(source.dataset)


def load(source: DataSource, input_shape: tuple[int, int, int], listener: Listener) -> TestSet:
    """The test set, its images of the shape of the training images. Raises SweeperError and UsageError."""
    return load_test_set(source, input_shape=input_shape, notify=lambda text: listener(Note(text)))


def check(
    ledger: Ledger, study: str, study_id: str, sha256: str | None, allow_retest: bool, listener: Listener
) -> None:
    """Refuses a test that is not to be taken, and tells of one that was begun. Raises UsageError."""
    if not allow_retest:
        refuse_retest(ledger, study, study_id, sha256)
    for evaluation in begun(ledger, study_id, sha256):
        listener(
            Note(f"A test begun at {evaluation.time} is gone on with if the final is the same; if not, it was a look")
        )


def refuse_retest(ledger: Ledger, study: str, study_id: str, sha256: str | None) -> None:
    """UsageError if the study has seen these test data: a second look could choose among test results."""
    for evaluation in ledger.evaluations():
        if evaluation.complete and evaluation.study_id == study_id and evaluation.test_sha256 == sha256:
            shown = evaluation.command.replace(" --test", "").replace(" --allow-retest", "")
            raise UsageError(
                f"study {study} was tested on these test data already ({evaluation.time}): `{shown}` shows the result "
                "again, --allow-retest takes another look and counts it"
            )


def begun(ledger: Ledger, study_id: str, sha256: str | None) -> list[TestEvaluation]:
    """The study's looks at these test data that were never completed."""
    return [
        evaluation
        for evaluation in ledger.evaluations()
        if evaluation.study_id == study_id and evaluation.test_sha256 == sha256 and not evaluation.complete
    ]


def take(
    ledger: Ledger,
    test_set: TestSet,
    order: Sequence[Finalist],
    models: Mapping[int, str],
    networks: Mapping[int, str],
    predict: Predict,
    *,
    study: str,
    study_id: str,
    command: str,
    allow_retest: bool,
) -> None:
    """Evaluates champion, challenger and baseline on the test set.

    By trial, `models` are "name/version" and `networks` what was trained. Raises SweeperError where an entry was begun
    for other networks, and may have been seen.
    """
    roles = roles_of(order)
    entry = _entry(
        ledger,
        {name: networks[f.trial] for name, f in roles.items()},
        models={name: models[f.trial] for name, f in roles.items()},
        study=study,
        study_id=study_id,
        dataset=test_set.name,
        test_sha256=test_set.sha256,
        command=command,
        allow_retest=allow_retest,
    )
    by_study, by_store = count(ledger.evaluations(), study_id, test_set.sha256)
    counted = f"look {by_study} at these test data by this study, {by_store} in this store"
    labels, classes = test_set.labels, test_set.classes
    logits = {name: predict(f, test_set.images) for name, f in roles.items()}
    tested = {name: measure(labels, logits[name], classes) for name in roles}
    correct = {f.trial: logits[name].argmax(1) == labels for name, f in roles.items()}
    comparisons = verdict.compare_networks(order, correct)
    result = {
        "tested": {networks[f.trial]: asdict(tested[name]) for name, f in roles.items()},
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
    metrics = {f"{name}_{metric}": getattr(tested[name], metric) for name in roles for metric in METRICS}
    plots = plots_of(labels, logits, classes, counted)
    ledger.complete(entry, result, metrics, tables(labels, logits, tested, classes), plots)


def roles_of(order: Sequence[Finalist]) -> dict[str, Finalist]:
    """Who is tested: champion, challenger, and the baseline where it is neither."""
    return {alias(place) or "baseline": f for place, f in enumerate(order) if place < 2 or f.is_baseline}


def alias(place: int) -> str | None:
    """The registry's alias of the finalist in this place, counted from 0."""
    return (CHAMPION, CHALLENGER)[place] if place < 2 else None


def _entry(
    ledger: Ledger, networks: Mapping[str, str], *, study_id: str, test_sha256: str, allow_retest: bool, **other: Any
) -> TestEvaluation:
    """The ledger's entry for this look: one that was begun for the same networks and never completed, or a new one.

    An entry that was begun for others may have been seen: it counts as a look.
    """
    evaluations = [
        evaluation
        for evaluation in ledger.evaluations()
        if evaluation.study_id == study_id and evaluation.test_sha256 == test_sha256
    ]
    for evaluation in evaluations:
        if not evaluation.complete and not evaluation.deleted and dict(evaluation.networks) == dict(networks):
            return evaluation
    if evaluations and not allow_retest:
        raise SweeperError(
            f"a test of study {evaluations[-1].study} was begun before ({evaluations[-1].time}) and may have been "
            "seen: --allow-retest takes another look and counts it"
        )
    return ledger.begin(networks=networks, study_id=study_id, test_sha256=test_sha256, **other)


def recorded(ledger: Ledger, study_id: str, sha256: str | None, networks: Mapping[str, str]) -> Recorded:
    """What the study's complete looks at the test data of this hash have shown. Evaluates nothing.

    `networks` would be tested now, by role; without test data the hash is None.
    """
    evaluations = ledger.evaluations()
    complete = [
        evaluation
        for evaluation in evaluations
        if evaluation.complete and evaluation.study_id == study_id and evaluation.test_sha256 == sha256
    ]
    tested: dict[str, Any] = {}
    comparisons: list[Comparison] = []
    notes = []
    if complete and not any(evaluation.networks == networks for evaluation in complete):
        notes.append(f"The test of {complete[-1].time} was of another final than this one.")
    for evaluation in complete:
        try:
            result = ledger.result(evaluation)
        except SweeperError as error:
            notes.append(f"What the look of {evaluation.time} has shown cannot be read: {error}.")
            continue
        tested |= result["tested"]
        if evaluation.networks == networks:
            # JSON knows no tuples.
            comparisons = [Comparison(**{**f, "trials": tuple(f["trials"])}) for f in result["comparisons"]]
    return Recorded(tested, comparisons, count(evaluations, study_id, sha256), notes)
