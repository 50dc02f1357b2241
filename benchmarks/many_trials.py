"""How long commands take on a study of many trials, beside a study of two.

    python benchmarks/many_trials.py --trials 1000

A search of two trials is made, and its first trial is copied into as many as asked, through Optuna's and MLflow's own
interfaces. Processor times are shown as ratios to `sweeper --version`, which took its turn in each round.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import optuna

# isort: split
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from sweeper.store.layout import Store, StoreOptions
from sweeper.studies.attributes import RESULT, TRIAL
from sweeper.studies.queries import find_study
from sweeper.studies.trial_records import records, set_run_id

EPOCHS = 10
STUDY = "many"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-in", type=Path, help="A folder that keeps the stores for another time.")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.keep_in or Path(temporary)
        folder.mkdir(exist_ok=True)
        write_images(folder / "images.npz", 200)
        small, large = StoreOptions(folder / "small").resolve({}), StoreOptions(folder / "large").resolve({})
        for store in (small, large):
            if not store.root.exists():
                timed(store, *search(folder, 2))
        plant(large, arguments.trials)
        measured: dict[tuple[str, int], list[tuple[float, int]]] = {}
        for _ in range(arguments.rounds):
            unit, _ = timed(None, "--version")
            for store, n_trials in ((small, 2), (large, arguments.trials)):
                for words in commands(folder, n_trials):
                    seconds, peak = timed(store, *words)
                    measured.setdefault((words[0], n_trials), []).append((seconds / unit, peak))
        for store, n_trials in ((small, 2), (large, arguments.trials)):  # they can be deleted only once
            unit, _ = timed(None, "--version")
            seconds, peak = timed(store, "delete", STUDY, "--yes")
            measured["delete", n_trials] = [(seconds / unit, peak)]
            shutil.rmtree(store.root)
    print("| command | trials | processor time | peak memory |\n|---|---:|---:|---:|")
    for (command, n_trials), values in sorted(measured.items()):
        ratio, peak = median(value[0] for value in values), max(value[1] for value in values)
        print(f"| `{command}` | {n_trials:,} | {ratio:.1f} | {peak / 2**20:,.0f} MiB |", flush=True)


def commands(folder: Path, n_trials: int) -> list[list[str]]:
    """The commands that may be repeated; the search is a resume with nothing to do."""
    return [["status", STUDY], ["trials", STUDY], ["studies"], ["sync"], search(folder, n_trials)]


def search(folder: Path, n_trials: int) -> list[str]:
    words = f"--space lenet5 --study {STUDY} --trials {n_trials} --epochs {EPOCHS} --jobs 1 --pruner none -q"
    return ["search", str(folder / "images.npz"), *words.split()]


def timed(store: Store | None, *words: str) -> tuple[float, int]:
    """Runs a command; returns its processor time with that of its workers in s, and its most memory in bytes."""
    place = [] if store is None else ["--store", str(store.root)]
    process = subprocess.Popen([sys.executable, "-m", "sweeper", *words, *place], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    if status:
        raise SystemExit(f"sweeper {' '.join(words)} failed")
    return seconds, usage.ru_maxrss * 1024


def write_images(path: Path, n_images: int) -> None:
    """A data set of random images of 28x28 pixels in ten classes."""
    images = np.random.default_rng(0).integers(0, 255, (n_images, 28, 28), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=np.arange(n_images) % 10)


def plant(store: Store, n_trials: int) -> None:
    """Copies the study's first trial and its run until there are `n_trials`, each with a learning rate of its own."""
    study = find_study(store, STUDY)
    first, record = study.get_trials()[0], records(study)[0]
    assert record.run_id
    assert record.value is not None
    client = MlflowClient(store.tracking_uri)
    run = client.get_run(record.run_id)
    history = [
        Metric(name, point.value, point.timestamp, point.step)
        for name in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, name)
    ]
    files = artifacts(run)
    for number in range(len(study.get_trials()), n_trials):
        lr = float(np.exp(np.random.default_rng(number).uniform(np.log(1e-4), np.log(1e-1))))
        configuration = first.user_attrs[TRIAL]["configuration"] | {"lr": lr}
        value = record.value - number / 1e5
        study.add_trial(
            optuna.create_trial(
                value=value,
                params=first.params | {"lr": lr},
                distributions=first.distributions,
                user_attrs={
                    TRIAL: {"configuration": configuration},
                    RESULT: first.user_attrs[RESULT] | {"value": value},
                },
                intermediate_values=first.intermediate_values,
            )
        )
        tags = run.data.tags | {"sweeper.trial": str(number), "mlflow.runName": f"trial {number}"}
        copy = client.create_run(run.info.experiment_id, tags={k: v for k, v in tags.items() if k != "sweeper.variant"})
        params = [Param(name, json.dumps(lr) if name == "lr" else value) for name, value in run.data.params.items()]
        client.log_batch(copy.info.run_id, history, params)
        client.set_terminated(copy.info.run_id)
        shutil.copytree(files, artifacts(copy))
        set_run_id(study, number, copy.info.run_id)
        print_progress(number + 1, n_trials)


def artifacts(run: Run) -> Path:
    assert run.info.artifact_uri is not None
    return Path(run.info.artifact_uri.removeprefix("file://"))


def print_progress(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        print(f"{done} of {total} trials planted", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
