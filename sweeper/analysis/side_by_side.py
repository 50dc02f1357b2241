"""A study's champion, challenger and baseline side by side: what they see and confuse."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import optuna

from sweeper.analysis.classes import classwise
from sweeper.analysis.curves import learning_curves
from sweeper.analysis.images import fresh_networks, part_of
from sweeper.analysis.inside import EMBEDDED, embeddings, features
from sweeper.analysis.network import TrainedNetwork, find
from sweeper.analysis.predicted import confusions, confusions_of, mistakes, reliabilities
from sweeper.analysis.subject import Subject, subjects_of
from sweeper.analysis.view import View
from sweeper.data.source import USUAL_ACCESS, DataAccess
from sweeper.errors import SweeperError
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.promotion.test_metrics import confusions_in
from sweeper.quantities import counted
from sweeper.store.layout import Store
from sweeper.studies import trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.tracking.ledger import Ledger

Notify = Callable[[str], None]
SEED = 0
# Images that a network gets most wrong, in a figure of its own.
MISTAKES = 9


def views_of(
    store: Store,
    study: optuna.Study,
    outcome: PromotionOutcome | None,
    *,
    data_access: DataAccess = USUAL_ACCESS,
    notify: Notify = lambda note: None,
    progress: Notify = lambda note: None,
) -> list[View]:
    """What the study's networks see and confuse, on images that none of them was trained on.

    With the `outcome` of a promotion these are fresh-seed networks of champion, challenger and baseline, on the confirm
    part if there is one; without, the best trial and the baseline, as far as their weights are kept, on the validation
    part, whose scores ordered the trials. What is of test images comes from the ledger's record: nothing is tested.
    `notify` gets a line for what is left out, `progress` one for each long step and each note on the images. Raises
    SweeperError if the store or the data cannot be used.
    """
    networks: Mapping[str, TrainedNetwork]
    if outcome is not None:
        baselines = {entrant.trial for entrant in outcome.entrants if entrant.is_baseline}
        fresh = fresh_networks(store, study, outcome, notify)
        networks = {_called(role, network, network.trial in baselines): network for role, network in fresh.items()}
    else:
        networks = _of_search(store, study, notify)
    if not networks:
        return []
    part = None if outcome is not None else "validation"
    first = next(iter(networks.values()))
    images = part_of(store, first, part, data_access=data_access, notify=progress)
    return list(_views(store, study, outcome, subjects_of(networks, images), notify, progress))


def _views(
    store: Store,
    study: optuna.Study,
    outcome: PromotionOutcome | None,
    subjects: list[Subject],
    notify: Notify,
    progress: Notify,
) -> Iterator[View]:
    # Details are of the champion and the baseline; overviews have room for the challenger too.
    pair = [subjects[0], subjects[-1]] if len(subjects) > 1 else subjects
    if curves := learning_curves(store, {subject.name: subject.network for subject in subjects}, notify):
        yield curves
    yield confusions(subjects)
    if outcome is not None and (tested := _tested(store, study, outcome, subjects[0], notify)):
        yield tested
    yield classwise(pair)
    for place, subject in enumerate(pair):
        yield mistakes(subject, MISTAKES, f"mistakes_{place + 1}")
    yield reliabilities(subjects)
    if seen := features(pair, 0):
        yield seen
    try:
        yield embeddings(pair, EMBEDDED, SEED, progress)
    except SweeperError as error:
        notify(f"The embedding is left out: {error}")


def _called(role: str, network: TrainedNetwork, is_baseline: bool) -> str:
    also = ", the baseline" if is_baseline and role != "baseline" else ""
    return f"{role} (trial {network.trial}{also})"


def _of_search(store: Store, study: optuna.Study, notify: Notify) -> Mapping[str, TrainedNetwork]:
    """The best trial and the baseline, those whose weights are kept."""
    trials = trial_records.records(study)
    best = trial_records.best(trials, spec_of(study).metric)
    baseline = next((trial for trial in trials if trial.variant == "baseline"), None)
    chosen = {"best": best} if best is not None else {}
    if baseline is not None and baseline != best:
        chosen["baseline"] = baseline
    found = {}
    for role, trial in chosen.items():
        try:
            network = find(store, f"{study.study_name}:{trial.number}", "STUDY")
        except SweeperError as error:
            notify(f"The {role} is left out: {error}")
        else:
            found[_called(role, network, trial.variant == "baseline")] = network
    return found


def _tested(
    store: Store, study: optuna.Study, outcome: PromotionOutcome, subject: Subject, notify: Notify
) -> View | None:
    """The confusions on the test images that the last test of this promotion has recorded; None without one."""
    ledger, ours = Ledger(store), {entrant.network for entrant in outcome.entrants}
    evaluations = [
        evaluation
        for evaluation in ledger.evaluations()
        if evaluation.complete
        and (evaluation.study_id, evaluation.test_sha256) == (id_of(study), outcome.test_sha256)
        and ours.issuperset(evaluation.networks.values())
    ]
    if not evaluations:
        return None
    last = evaluations[-1]
    classes = subject.images.classes
    try:
        matrices = confusions_in(ledger.table(last, "predictions.csv"), classes)
    except (SweeperError, ValueError) as error:
        notify(f"The confusions on test images are left out: {error}")
        return None
    n_images = int(next(iter(matrices.values())).sum()) if matrices else 0
    if not n_images:
        return None
    by_study, by_store = outcome.evaluations
    used = (
        f"{counted(n_images, 'test image')}, from the ledger's record of {last.time[:10]} (test evaluations: "
        f"{by_study} by this study, {by_store} in this store)"
    )
    found = confusions_of(matrices, classes, "test_confusions", "Confusion matrices on the test set", used)
    registered = "These are the registered networks, which were refitted on all images of the study."
    return replace(found, sentences=[*found.sentences, registered])
