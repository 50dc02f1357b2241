"""The one test evaluation of a study, recorded in the ledger before and after, and the results recorded earlier."""

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import DataSource
from sweeper.data.test_set import TestSet, load_test_set, test_sha256
from sweeper.errors import SweeperError, UsageError
from sweeper.events import Listener, Note
from sweeper.images.image_set import PixelFormat
from sweeper.promotion.comparisons import Comparison, compare_networks
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.test_metrics import Logits, check_metrics, measure, plots_of, tables
from sweeper.store.stored_values import checked
from sweeper.tracking.aliases import CHALLENGER
from sweeper.tracking.ledger import EVALUATED, Ledger, TestEvaluation, count
from sweeper.tracking.names import CHAMPION

# The fields of TestMetrics that become metrics of the ledger's entry.
METRICS = ("accuracy", "low", "high", "loss", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
Predict = Callable[[Finalist, NDArray[np.uint8]], Logits]


@dataclass(frozen=True)
class Recorded:
    """The recorded results of the study's test evaluations.

    `tested` holds the fields of TestMetrics by network, over all test evaluations. `comparisons` are from the last test
    evaluation of exactly the current networks. `evaluations` counts the test evaluations on these test data by the
    study, and by all studies of the store. `notes` has further sentences for the verdict.
    """

    tested: Mapping[str, Mapping[str, Any]]
    comparisons: Sequence[Comparison]
    evaluations: tuple[int, int]
    notes: Sequence[str]


@dataclass(frozen=True)
class _Result:
    """The result of a test evaluation as the ledger has it."""

    tested: Mapping[str, Mapping[str, Any]]
    comparisons: Sequence[Comparison]


def known_sha256(source: DataSource, listener: Listener, *, needed: bool) -> str | None:
    """The hash of the test set; None if there is none, or none that can be tested on and it is not `needed`.

    Decodes no image. Raises SweeperError.
    """
    try:
        return test_sha256(source)
    except SweeperError as error:
        if needed:
            raise
        listener(Note(f"What is wrong with the test part hinders only a test: {error}"))
        return None


def load(source: DataSource, pixel_format: PixelFormat, listener: Listener) -> TestSet:
    """Loads the test set, with images of the training images' shape. Raises SweeperError and UsageError."""
    return load_test_set(source, pixel_format=pixel_format, notify=lambda text: listener(Note(text)))


def refuse_retest(ledger: Ledger, study: str, study_id: str, sha256: str | None, store_options: str = "") -> None:
    """Raises UsageError if the study was evaluated on these test data: the result could guide what is tested next.

    `store_options` are those with which a command finds the study's store.
    """
    for evaluation in ledger.evaluations():
        if evaluation.complete and evaluation.study_id == study_id and evaluation.test_sha256 == sha256:
            shown = f"`sweeper promotions {shlex.quote(study)}{store_options}` shows the result"
            if EVALUATED in evaluation.networks:
                shown = f"`sweeper ledger{store_options}` lists it"
            raise UsageError(
                f"study {study} was tested on these test data already ({evaluation.time}): {shown}, --allow-retest "
                "tests again and counts it"
            )


def refuse_begun(
    ledger: Ledger,
    study_id: str,
    sha256: str | None,
    networks: Collection[str],
    allow_retest: bool,
    listener: Listener,
) -> None:
    """Refuses a test if one was begun that cannot be resumed with these networks: its result may have been seen.

    Notes the begun tests that are resumed or, with `allow_retest`, count. Raises UsageError.
    """
    for evaluation in ledger.evaluations():
        if evaluation.complete or (evaluation.study_id, evaluation.test_sha256) != (study_id, sha256):
            continue
        if not evaluation.deleted and set(evaluation.networks.values()) <= set(networks):
            listener(Note(f"The test evaluation begun at {evaluation.time} is resumed"))
        elif allow_retest:
            listener(Note(f"The test evaluation begun at {evaluation.time} is not resumed, and counts"))
        else:
            raise UsageError(_begun_before(evaluation))


def _begun_before(evaluation: TestEvaluation) -> str:
    return (
        f"a test of study {evaluation.study} was begun before ({evaluation.time}), of other networks or deleted since, "
        "and its result may have been seen: --allow-retest tests again and counts it"
    )


def evaluate(
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
    metric: str,
) -> None:
    """Evaluates champion, challenger and baseline on the test set, and compares them in the study's metric.

    `models` holds "name/version" and `networks` the keys of the trained networks, both by trial. Without
    `allow_retest`, raises SweeperError if an entry was begun for other networks: somebody may have seen its result.
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
    counted = f"test evaluation {by_study} by this study on these data, {by_store} in this store"
    labels, classes = test_set.labels, test_set.classes
    logits = {name: predict(f, test_set.images) for name, f in roles.items()}
    predictions = {name: Predictions.of(metric, labels, [logits[name]]) for name in roles}
    tested = {name: measure(logits[name], predictions[name], classes) for name in roles}
    comparisons = compare_networks(order, {f.trial: predictions[name] for name, f in roles.items()})
    result = {
        "tested": {networks[f.trial]: asdict(tested[name]) for name, f in roles.items()},
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
    metrics = {f"{name}_{field}": getattr(tested[name], field) for name in roles for field in METRICS}
    plots = plots_of(labels, logits, classes, counted)
    ledger.complete(entry, result, metrics, tables(labels, logits, tested, classes, test_set.files), plots)


def roles_of(order: Sequence[Finalist]) -> dict[str, Finalist]:
    """The finalists to test, by role: champion, challenger, and the baseline if it is neither."""
    return {alias(place) or "baseline": f for place, f in enumerate(order) if place < 2 or f.is_baseline}


def alias(place: int) -> str | None:
    """The registry's alias of the finalist in this place, counted from 0; None from place 2 on."""
    return (CHAMPION, CHALLENGER)[place] if place < 2 else None


def _entry(
    ledger: Ledger, networks: Mapping[str, str], *, study_id: str, test_sha256: str, allow_retest: bool, **other: Any
) -> TestEvaluation:
    """The ledger's entry for this test evaluation: an incomplete one for the same networks, or a new one.

    An entry that was begun for other networks counts, because somebody may have seen its result.
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
        raise SweeperError(_begun_before(evaluations[-1]))
    return ledger.begin(networks=networks, study_id=study_id, test_sha256=test_sha256, **other)


def recorded(ledger: Ledger, study_id: str, sha256: str | None, networks: Mapping[str, str]) -> Recorded:
    """The recorded results of the study's complete test evaluations on the data of this hash. Evaluates nothing.

    `networks` holds, by role, the networks that would be tested now. Without test data the hash is None. Evaluations of
    a network by name count, and are not shown.
    """
    evaluations = ledger.evaluations()
    complete = [
        evaluation
        for evaluation in evaluations
        if evaluation.complete
        and (evaluation.study_id, evaluation.test_sha256) == (study_id, sha256)
        and EVALUATED not in evaluation.networks
    ]
    tested: dict[str, Any] = {}
    comparisons: list[Comparison] = []
    notes = []
    if complete and not any(evaluation.networks == networks for evaluation in complete):
        notes.append(f"The test of {complete[-1].time} was of other networks than these.")
    for evaluation in complete:
        try:
            result: _Result = checked(_Result, ledger.result(evaluation), "result")
            for metrics in result.tested.values():
                check_metrics(metrics)
        except (SweeperError, ValueError, RecursionError) as error:
            notes.append(f"The result of the test of {evaluation.time} cannot be read: {error}.")
            continue
        tested |= result.tested
        if evaluation.networks == networks:
            comparisons = list(result.comparisons)
    return Recorded(tested, comparisons, count(evaluations, study_id, sha256), notes)
