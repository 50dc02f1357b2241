"""Evaluates a trained network on labelled data; a look at a known test part is entered into the ledger."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from sweeper.analysis import evaluation_data, network, seen
from sweeper.analysis.evaluation_data import EvaluationData
from sweeper.analysis.evaluation_outcome import Evaluation, TestEvaluationCount, UnseenImages
from sweeper.analysis.images import study_of
from sweeper.analysis.network import TrainedNetwork
from sweeper.data import lookup
from sweeper.data.source import DataSource
from sweeper.engine.local import plan as local_plan
from sweeper.engine.options import DeviceOptions
from sweeper.errors import SweeperError, UsageError
from sweeper.evaluation import metrics
from sweeper.evaluation.statistics import wilson
from sweeper.events import Listener, Note, Step
from sweeper.explain.classwise import class_scores
from sweeper.models.predictor import logits_of
from sweeper.plots import Plot
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.test_metrics import measure, tables
from sweeper.runs.record import CONFUSION
from sweeper.runs.stop import StopRequest
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies.attributes import spec_of
from sweeper.tracking import evaluation_runs
from sweeper.tracking.ledger import EVALUATED, Ledger, TestEvaluation, count

OPTION = "MODEL"
FIELDS = ("accuracy", "low", "high", "loss", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
# Of each class, with its number of images.
SCORES = ("accuracy", "low", "high", "f1")


@dataclass(frozen=True)
class EvaluationRequest:
    """All that the command line says. `part` is one of evaluation_data.PARTS, None for the one that fits the data."""

    model: str
    source: DataSource
    part: str | None
    invert: bool
    allow_retest: bool
    store: Store
    command: Sequence[str]


def run(request: EvaluationRequest, listener: Listener, stop: StopRequest) -> Evaluation:
    """Evaluates the network, and records the result in MLflow.

    Raises UsageError and SweeperError, and SystemExit if `stop` was requested before the evaluation.
    """
    store, source = request.store, request.source
    found = network.find(store, request.model, OPTION)
    ledger = Ledger(store)
    study, data_dir = _study(store, found), _data_dir(found, source)
    if lookup.path_of(source.dataset):
        source = replace(source, data_dir=None)
    known: set[str | None] = {evaluation.test_sha256 for evaluation in ledger.evaluations()}
    if study is not None:
        known.add(evaluation_data.test_of(study, data_dir))
    listener(Step(f"Reading the images of {source.dataset}"))
    data = evaluation_data.read(source, found, request.part, known, invert=request.invert, listener=listener)
    stop.check()
    before = seen.trained_on(store, found, replace(source.access, data_dir=data_dir))
    if before.training_set is not None:
        evaluation_data.refuse_other_range(data, before.training_set.value_range, found)
    copies = before.holds(data.images)
    if copies is not None and request.invert:
        copies |= np.array(before.holds(np.bitwise_not(data.images)))
    # A test part is known as that of a data set known by name, of a study, of the ledger, or of the network's own data.
    is_known = lookup.path_of(source.dataset) is None or data.training_sha256 == found.data_sha256
    is_look = data.test_sha256 is not None and (is_known or data.test_sha256 in known)
    store.prepare()
    entry = _entry(ledger, found, data, request, listener) if is_look else None
    stop.check()
    listener(Step(f"Predicting {data.described}"))
    logits = _logits(found, data.images)
    metric = "accuracy" if study is None else spec_of(study).metric
    measured = measure(logits, Predictions.of(metric, data.labels, [logits]), found.classes)
    predicted, n_classes = logits.argmax(1), len(found.classes)
    matrix = metrics.confusion_matrix(data.labels, predicted, n_classes)
    look = None
    if entry is not None:
        look = TestEvaluationCount(*count(ledger.evaluations(), entry.study_id, entry.test_sha256), time=entry.time)
    outcome = Evaluation(
        model=found.name,
        model_run_id=str(found.run_id),
        dataset=data.name,
        part=data.part,
        described=data.described,
        metrics=measured,
        classes=[
            {"class": name, "images": score.n, **{field: getattr(score, field) for field in SCORES}}
            for name, score in zip(found.classes, class_scores(data.labels, predicted, n_classes), strict=True)
        ],
        missing=data.missing,
        conversions=[*data.conversions, *["black and white were exchanged"] * request.invert],
        n_copies=None if copies is None else int(copies.sum()),
        why_unknown=_why_unknown(before.why_unknown, found, data),
        unseen=_unseen(copies, logits, data.labels),
        look=look,
        test_sha256=data.test_sha256,
    )
    return _recorded(outcome, entry, ledger, found, data, logits, matrix, request)


def _study(store: Store, found: TrainedNetwork) -> optuna.Study | None:
    """The network's study, if it has one and this store has it."""
    try:
        return study_of(store, found)
    except SweeperError:
        return None


def _data_dir(found: TrainedNetwork, source: DataSource) -> Path | None:
    """The folder that the command names for known data sets, unless it is for another one than the network's."""
    return source.data_dir if lookup.path_of(source.dataset) or source.dataset == found.data_name else None


def _entry(
    ledger: Ledger, found: TrainedNetwork, data: EvaluationData, request: EvaluationRequest, listener: Listener
) -> TestEvaluation:
    """The ledger's entry for this look: one that the same command has begun, or a new one. Raises UsageError."""
    assert data.test_sha256 is not None
    # A training by itself is its own study: the looks are those of its own.
    study, study_id = found.study or found.name, found.study_id or str(found.run_id)
    networks, command = {EVALUATED: str(found.run_id)}, redact(shlex.join(request.command))
    ledger.prepare()
    earlier = [
        evaluation
        for evaluation in ledger.evaluations()
        if (evaluation.study_id, evaluation.test_sha256) == (study_id, data.test_sha256)
    ]
    for evaluation in earlier:
        same = (dict(evaluation.networks), evaluation.command) == (networks, command)
        if same and not evaluation.complete and not evaluation.deleted:
            listener(Note(f"The test evaluation begun at {evaluation.time} is resumed"))
            return evaluation
    if earlier and not request.allow_retest:
        last = earlier[-1]
        begun = "was tested" if last.complete else "began to be tested"
        raise UsageError(
            f"study {study} {begun} on these test data already ({last.time}, by `{last.command}`), and that result may "
            "have guided choices since: --allow-retest tests again and counts it"
        )
    return ledger.begin(
        study=study,
        study_id=study_id,
        dataset=data.name,
        test_sha256=data.test_sha256,
        models={EVALUATED: found.name},
        networks=networks,
        command=command,
    )


def _logits(found: TrainedNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    execution = local_plan.plan(DeviceOptions(), images.nbytes, os.environ)
    return logits_of(found.network, images, torch.device(execution.devices[0]))


def _unseen(
    copies: NDArray[np.bool_] | None, logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> UnseenImages | None:
    """The accuracy without the images that the network was trained on, if there are some of both kinds."""
    if copies is None or not copies.any() or copies.all():
        return None
    right = logits.argmax(1)[~copies] == labels[~copies]
    return UnseenImages(len(right), float(right.mean()), *wilson(int(right.sum()), len(right)))


def _why_unknown(reason: str, found: TrainedNetwork, data: EvaluationData) -> str:
    if reason and data.part != "test" and data.training_sha256 == found.data_sha256:
        return f"its training had the same data, and so learned from most of these images ({reason})"
    return reason


def _recorded(
    outcome: Evaluation,
    entry: TestEvaluation | None,
    ledger: Ledger,
    found: TrainedNetwork,
    data: EvaluationData,
    logits: NDArray[np.float32],
    matrix: NDArray[np.int64],
    request: EvaluationRequest,
) -> Evaluation:
    """The outcome with the run that has it in MLflow: the ledger's entry, or a run of its own."""
    title = f"Confusion matrix, {found.name} on {data.described}"
    plots = {
        f"{CONFUSION}/confusion_matrix.png": Plot(
            "confusion_matrix", {"matrix": matrix.tolist(), "classes": found.classes, "title": title}
        )
    }
    texts = tables(data.labels, {EVALUATED: logits}, {EVALUATED: outcome.metrics}, found.classes, data.files)
    measured = {field: getattr(outcome.metrics, field) for field in FIELDS}
    if entry is not None:
        result = {"tested": {}, "comparisons": [], "evaluation": outcome.as_json()}
        draws = {name: plot.draw for name, plot in plots.items()}
        ledger.complete(entry, result, measured, texts, draws)
        return outcome.recorded(entry.run_id)
    tags = {
        "sweeper.evaluated": found.name,
        "sweeper.dataset": data.name,
        "sweeper.evaluated_part": data.part,
        "sweeper.command": redact(shlex.join(request.command)),
    }
    run_id, _ = evaluation_runs.log(
        request.store,
        str(found.run_id),
        f"{found.name} on {data.name}",
        tags=tags,
        result=outcome.as_json(),
        metrics=measured,
        texts=texts,
        plots=plots,
        option=OPTION,
    )
    return outcome.recorded(run_id)
