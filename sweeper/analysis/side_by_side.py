"""A study's champion, challenger and baseline side by side: what they see and confuse."""

from collections.abc import Callable, Mapping
from pathlib import Path

import optuna

from sweeper.analysis.images import fresh_networks, part_of
from sweeper.analysis.look import Look
from sweeper.analysis.network import TrainedNetwork, find
from sweeper.analysis.predicted import confusions
from sweeper.analysis.subject import subjects_of
from sweeper.errors import SweeperError
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.store.layout import Store
from sweeper.studies import trial_records
from sweeper.studies.attributes import spec_of

__all__ = ["Look", "look"]


def look(
    store: Store,
    study: optuna.Study,
    outcome: PromotionOutcome | None,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    max_bytes: int | None = None,
    notify: Callable[[str], None] = lambda note: None,
) -> list[Look]:
    """What the study's networks see and confuse, on images that none of them was trained on.

    With the `outcome` of a promotion these are fresh-seed networks of champion, challenger and baseline, on the confirm
    part if there is one; without, the best trial and the baseline, as far as their weights are kept, on the validation
    part, whose scores ordered the trials. `notify` gets a line for what is left out. Raises SweeperError if the store
    or the data cannot be used.
    """
    networks: Mapping[str, TrainedNetwork]
    if outcome is not None:
        networks = {_called(role, n): n for role, n in fresh_networks(store, study, outcome, notify).items()}
    else:
        networks = _of_search(store, study, notify)
    if not networks:
        return []
    part = None if outcome is not None else "validation"
    first = next(iter(networks.values()))
    images = part_of(store, first, part, data_dir=data_dir, offline=offline, max_bytes=max_bytes, notify=notify)
    return [confusions(subjects_of(networks, images))]


def _called(role: str, network: TrainedNetwork) -> str:
    return f"{role} (trial {network.trial})"


def _of_search(store: Store, study: optuna.Study, notify: Callable[[str], None]) -> Mapping[str, TrainedNetwork]:
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
            found[_called(role, network)] = network
    return found
