"""Sweeper and its peers in turn: the same space, data, split and wall time.

    python benchmarks/peers.py run FOLDER --minutes 6
    python benchmarks/peers.py seeds FOLDER
    python benchmarks/peers.py table FOLDER

`run` gives each way as many minutes, from the start of its command, to search the space lenet5 on Fashion-MNIST. What
counts is what has ended by then. It needs an otherwise idle machine; a way that has its result in FOLDER is not run
again. `seeds` trains the best configuration of each way with three fresh seeds, all by sweeper's loop and on the same
split; no time counts, so the machine may be busy. `table` prints the results. `pip install -e '.[bench]'` installs the
peers.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import process_tree
from peers_fresh import configuration_of, fresh_accuracies, prepare

SPACE, DATASET, EPOCHS = "lenet5", "fashion_mnist", 15
INPUT_SHAPE, N_CLASSES = (1, 28, 28), 10  # of the data set
# The ways by name, each with its script beside this file; sweeper has none, it is a command.
WAYS = {
    "sweeper": None,
    "Optuna script": "peers_optuna.py",
    "Ray Tune": "peers_ray.py",
    "engineer": "peers_engineer.py",
}
# Reading the memory of ten processes takes 30 ms.
SECONDS_BETWEEN_SAMPLES = 1.0
# Sweeper stops by itself and then writes its ranking; by then nothing counts any more.
GRACE = 60.0
NO_LIMIT = 100_000
SEEDS = (101, 102, 103)


@dataclass(frozen=True)
class Result:
    """What a way had done when its time was up.

    `accuracy` is the best last-epoch validation accuracy. `multiply_adds` are those of the networks of all epochs, an
    image each: an epoch of one network of the space costs many times that of another.
    """

    epochs: int
    multiply_adds: int
    complete: int
    pruned: int
    accuracy: float | None
    params: dict[str, Any] | None
    peak_memory: int
    minutes: float
    last_epoch: int

    @staticmethod
    def of(events: Sequence[dict[str, Any]], deadline: float, last_epoch: int, peak: int, minutes: float) -> "Result":
        """The result of the events until the deadline: epochs, and ends of trials."""
        counted = [event for event in events if event["time"] <= deadline]
        epochs = [event for event in counted if "epoch" in event]
        states = [event["state"] for event in counted if "state" in event]
        last = [event for event in epochs if event["epoch"] == last_epoch]
        best = max(last, key=lambda event: event["accuracy"], default=None)
        return Result(
            len(epochs),
            sum(multiply_adds(json.dumps(event["params"])) for event in epochs),
            # A complete trial may end after the deadline; its score is there.
            len(last),
            states.count("pruned"),
            best["accuracy"] if best else None,
            best["params"] if best else None,
            peak,
            minutes,
            last_epoch,
        )


@cache
def multiply_adds(params: str) -> int:
    """Those of the network of these parameters (JSON), for one image."""
    from sweeper.models import families, layers

    model = configuration_of(json.loads(params), SPACE).model
    return layers.n_multiply_adds(families.trace(model, INPUT_SHAPE, N_CLASSES))


def run(way: str, folder: Path, minutes: float, epochs: int, subset: int | None) -> Result:
    """Runs a way in a folder of its own until its time is up, and ends what is left of it."""
    place = folder / way.replace(" ", "_")
    shutil.rmtree(place, ignore_errors=True)  # of a run that was cut off
    place.mkdir()
    record, script, seconds = place / "record.jsonl", WAYS[way], 60 * minutes
    if script:
        command = [str(Path(__file__).with_name(script)), str(folder), str(record), str(epochs), str(seconds)]
    else:
        command = ["-m", "sweeper", "search", DATASET, "--space", SPACE, "--epochs", str(epochs)]
        command += [
            "--timeout",
            f"{seconds:.0f}s",
            "--trials",
            str(NO_LIMIT),
            *(["--subset", str(subset)] * bool(subset)),
        ]
    ours = ("SWEEPER_", "OPTUNA_", "MLFLOW_", "RAY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    peak, grace = 0, 0.0 if script else GRACE
    with (place / "output").open("wb") as output:
        started = time.time()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=place, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        while process.poll() is None and time.time() < started + seconds + grace:
            peak = max(peak, process_tree.memory(process_tree.descendants(os.getpid())))
            time.sleep(min(SECONDS_BETWEEN_SAMPLES, max(0.0, started + seconds + grace - time.time())))
    process_tree.end(os.getpid())
    if process.poll() not in (None, 0) and time.time() < started + seconds:
        tail = (place / "output").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{way} failed after {time.time() - started:.0f} s:\n{tail}")
    if script:
        lines = record.read_text().splitlines() if record.exists() else []
        events = [json.loads(line) for line in lines]
    else:
        events = sweeper_events(place / "mlruns")
    return Result.of(events, started + seconds, epochs, peak, minutes)


def sweeper_events(store_folder: Path) -> list[dict[str, Any]]:
    """The epochs and ends of a store's trials, as the peers' scripts record them."""
    import sweeper.tracking  # noqa: F401 (silences MLflow; must come before it)

    # isort: split
    from mlflow import MlflowClient

    from sweeper.store.options import StoreOptions
    from sweeper.studies import trial_records
    from sweeper.studies.queries import studies_in

    store = StoreOptions(store_folder).resolve({})
    events: list[dict[str, Any]] = []
    client = MlflowClient(tracking_uri=store.tracking_uri)
    for study in studies_in(store):
        frozen = study.get_trials(deepcopy=False)
        for trial in trial_records.records(study):
            if trial.run_id is None:
                continue
            for metric in client.get_metric_history(trial.run_id, "validation_accuracy"):
                ended = {"time": metric.timestamp / 1000, "params": frozen[trial.number].params}
                events.append({"trial": trial.number, "epoch": metric.step, "accuracy": metric.value, **ended})
            if done := frozen[trial.number].datetime_complete:
                events.append({"trial": trial.number, "state": str(trial.state), "time": done.timestamp()})
    return events


def table(results: dict[str, Result], accuracies: dict[str, list[float]]) -> str:
    """The results as Markdown: a row for each way, and sweeper's epochs as ratios to the others'."""
    lines = ["| way | epochs | multiply-adds | complete | pruned | best score | three fresh seeds | peak memory |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for way, result in results.items():
        score = "none" if result.accuracy is None else f"{result.accuracy:.4f}"
        fresh = accuracies.get(way)
        mean = f"{statistics.fmean(fresh):.4f} ({min(fresh):.4f} to {max(fresh):.4f})" if fresh else "none"
        memory = f"{result.peak_memory / 2**30:.2f} GiB"
        work = f"{result.multiply_adds / 1e6:,.0f} M"
        lines.append(
            f"| {way} | {result.epochs} | {work} | {result.complete} | {result.pruned} | {score} | {mean} | {memory} |"
        )
    if "sweeper" in results:
        ours = results["sweeper"]
        lines += ["", "| sweeper's, to those of | epochs | multiply-adds |", "|---|---:|---:|"]
        for way, result in results.items():
            if way != "sweeper":
                epochs = f"{ours.epochs / result.epochs:.2f}" if result.epochs else "no epoch"
                work = f"{ours.multiply_adds / result.multiply_adds:.2f}" if result.epochs else "no epoch"
                lines.append(f"| {way} | {epochs} | {work} |")
    return "\n".join(lines)


def results_in(folder: Path) -> dict[str, Result]:
    found = {way: folder / f"{way.replace(' ', '_')}.json" for way in WAYS}
    return {way: Result(**json.loads(path.read_text())) for way, path in found.items() if path.exists()}


def run_all(folder: Path, ways: Sequence[str], minutes: float, epochs: int, subset: int | None) -> None:
    missing = [name for name in ("ray", "tensorboardX") if not importlib.util.find_spec(name)]
    if missing and "Ray Tune" in ways:
        raise SystemExit(f"Ray Tune needs {' and '.join(missing)}: pip install -e '.[bench]' installs the peers")
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, DATASET, SPACE, subset)
    process_tree.adopt_orphans()
    done = results_in(folder)
    for way in ways:
        if way not in done:
            print(f"{way}: {minutes:g} minutes", file=sys.stderr)
            result = run(way, folder, minutes, epochs, subset)
            (folder / f"{way.replace(' ', '_')}.json").write_text(json.dumps(asdict(result)))


def show(folder: Path) -> None:
    results = results_in(folder)
    if not results:
        raise SystemExit(f"no results in {folder}: `run` makes them")
    fresh = folder / "fresh.json"
    accuracies = json.loads(fresh.read_text()) if fresh.exists() else {}
    times = {result.minutes for result in results.values()}
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "mlflow", "ray"))
    print(f"{os.cpu_count()} cores, {' or '.join(f'{t:g}' for t in times)} minutes each; {libraries}\n")
    print(table(results, {way: list(by_seed.values()) for way, by_seed in accuracies.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="let the ways search in turn")
    runner.add_argument("--minutes", type=float, default=6.0, help="for each way")
    runner.add_argument("--way", choices=WAYS, action="append", help="only this one; repeatable")
    runner.add_argument("--epochs", type=int, default=EPOCHS)
    runner.add_argument("--subset", type=int, metavar="N", help="only N images, for a quick try")
    seeds = commands.add_parser("seeds", help="train the best configurations with fresh seeds")
    for command in (runner, seeds, commands.add_parser("table", help="print the results")):
        command.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    if arguments.command == "run":
        run_all(folder, arguments.way or list(WAYS), arguments.minutes, arguments.epochs, arguments.subset)
    if arguments.command == "seeds":
        chosen = {way: (r.params, r.last_epoch) for way, r in results_in(folder).items() if r.params}
        fresh_accuracies(folder, DATASET, SPACE, chosen, SEEDS)
    if arguments.command != "run":
        show(folder)


if __name__ == "__main__":
    main()
