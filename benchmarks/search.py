"""Summary of a finished search: wall time, epochs, best score, and the share of the workers' time outside training.

    sweeper search fashion_mnist --trials 50
    python benchmarks/search.py

Reads a study and its run from its store, by default the latest study. What idle workers have trained ahead for a
promotion counts as training, and has its own line; a promotion takes it away from where it is read.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import sweeper.tracking  # noqa: F401 (silences MLflow; must come before it)

# isort: split
from mlflow import MlflowClient

from sweeper.promotion import head_start
from sweeper.store.options import StoreOptions
from sweeper.studies import trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.queries import find_study
from sweeper.studies.trial_records import TrialRecord
from sweeper.training import checkpoint


def training_seconds(trials: Sequence[TrialRecord]) -> float:
    """What the epochs of the trials took, those of all folds and repeats."""
    return sum(trial.metrics["training_seconds"] for trial in trials if trial.epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path)
    parser.add_argument("--study")
    arguments = parser.parse_args()
    store = StoreOptions(arguments.store).resolve(os.environ)
    study = find_study(store, arguments.study)
    spec, trials = spec_of(study), trial_records.records(study)
    client = MlflowClient(tracking_uri=store.tracking_uri)
    parent = client.search_runs(
        [e.experiment_id for e in client.search_experiments()],
        f"tags.`sweeper.study` = '{study.study_name}' AND tags.`sweeper.kind` = 'study'",
    )[0]
    counted = [t for t in trials if t.state in ("complete", "pruned")]
    training = training_seconds(counted)
    seconds, workers = study.user_attrs["seconds"], int(parent.data.tags["sweeper.workers"])
    ahead = [checkpoint.read_history(path) for path in head_start.checkpoints(store, study)]
    training_ahead = sum(epoch["epoch_seconds"] for history in ahead for epoch in history)
    n_ahead = sum(map(len, ahead))
    share = 1 - training / (seconds * workers)
    best = trial_records.best(trials, spec.metric)
    n = trial_records.counts(trials)
    whole = sum(len(spec.trainings) * spec.n_epochs(trial.variant) for trial in counted)
    rows = [
        ("wall time", f"{seconds / 60:.1f} min on {workers} workers"),
        ("trials", f"{n['complete']} complete, {n['pruned']} pruned"),
        ("epochs trained", f"{sum(t.epochs for t in counted)} of {whole}"),
        ("best validation score", f"{best.value:.4f} (trial {best.number})" if best and best.value else "none"),
        ("training, validation included", f"{training:,.0f} s of {seconds * workers:,.0f} worker seconds"),
        (
            "trained ahead for a promotion",
            f"{training_ahead:,.0f} s: {n_ahead} epochs of {len(ahead)} seeds",
        ),
        ("outside training", f"{100 * (share - training_ahead / (seconds * workers)):.1f} %"),
        ("outside the search's own training", f"{100 * share:.1f} %"),
    ]
    print("| measure | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
