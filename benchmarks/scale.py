"""What a search and the commands cost on studies of 100, 1,000 and 10,000 trials, and which step grows too fast.

    python benchmarks/scale.py --trials 100 1000 10000

The trials are made by the search's own code, with simulated workers whose trainings take no time, and with the random
sampler: TPE's time for one proposal is measured apart. Nothing reaches MLflow until `sweeper sync` delivers it. Larger
studies than --most-delivered are not delivered, because MLflow takes minutes for them, and so are not resumed either.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
import optuna
from cluster_simulation import CHOICES, N_CLASSES, OUTBOX, REST, SHAPE, STORAGE, WATCHED, WORKERS, context_of
from simulated_workers import SimulatedWorkers
from stopwatch import Stopwatch

from sweeper.spaces import reader
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.attributes import attributes_of, id_of, spec_of
from sweeper.studies.optuna_warnings import quiet
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_study
from sweeper.studies.samplers import make_sampler
from sweeper.studies.storage import open_storage
from sweeper.sweep.coordinator import Coordinator
from sweeper.tracking.patience import Patience
from sweeper.tracking.run_writer import RunWriter
from sweeper.tracking.tracker import DataRecord, Tracker

STUDY, SPACE = "many", "lenet5"
# Four workers whose epochs end within the second after which a worker would say that it lives.
N_WORKERS, EPOCH_SECONDS = 4, 0.4
N_PROPOSALS = 3  # of TPE, whose median is shown
N_IMAGES = 200
# A step that adds less than this to a command is not judged: the commands' own start varies by as much.
LEAST_SECONDS = 0.3
# Runs a command and prints its peak of memory in KiB. A process of its own: Linux counts what the process that starts a
# command holds as the command's own.
WATCHED_RUN = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
SHARES = (STORAGE, CHOICES, OUTBOX, REST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=2, help="of each command; the fastest is shown")
    parser.add_argument("--most-delivered", type=int, default=1000, metavar="TRIALS")
    parser.add_argument("--only-make", action="store_true", help="make the studies in --keep-in, and stop")
    parser.add_argument("--keep-in", type=Path, help="a folder that keeps the studies, and what making them has cost")
    parser.add_argument("--grow", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.grow:
        print(json.dumps(grow(arguments.grow, arguments.trials[0])))
        return
    libraries = ", ".join(f"{name} {version(name)}" for name in ("optuna", "mlflow", "SQLAlchemy"))
    print(f"{datetime.now(UTC):%Y-%m-%d}, {len(os.sched_getaffinity(0))} cores, {libraries}")
    with TemporaryDirectory() as temporary:
        folder = arguments.keep_in or Path(temporary)
        folder.mkdir(exist_ok=True)
        write_images(folder / "images.npz", N_IMAGES)
        sizes = [1, *sorted(arguments.trials)]
        made = {size: make(folder, size, size <= arguments.most_delivered) for size in sizes}
        show_search({size: cost for size, cost in made.items() if size > 1})
        if arguments.only_make:
            return
        spent: dict[str, dict[int, tuple[float, int]]] = {}
        for size in sizes:
            for words in commands(folder, size, resumes=size <= arguments.most_delivered):
                runs = [timed(store_in(folder, size), *words) for _ in range(arguments.rounds)]
                spent.setdefault(words[0], {})[size] = min(runs)
                show(f"{words[0]} of {size:,}: {min(runs)[0]:.1f} s")
        spent["sync"] = {size: tuple(cost["sync"]) for size, cost in made.items() if "sync" in cost}
    show_commands(sizes, spent)
    show_growth(made, spent)


def make(folder: Path, size: int, delivers: bool) -> dict[str, Any]:
    """Makes a study, and delivers it to MLflow; returns what that cost. One that was kept is not made again."""
    store, note = store_in(folder, size), folder / f"{size}.json"
    if not note.exists():
        timed(store, *search(folder, 1))
        cost: dict[str, Any] = {}
        if size > 1:
            command = [sys.executable, __file__, "--trials", str(size), "--grow", str(folder)]
            cost = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            show(f"{size:,} trials made: {cost}")
            if delivers:
                cost["sync"] = timed(store, "sync", STUDY)
        note.write_text(json.dumps(cost))
    found: dict[str, Any] = json.loads(note.read_text())
    return found


def store_in(folder: Path, size: int) -> Store:
    return StoreOptions(folder / f"store-{size}").resolve({})


def commands(folder: Path, size: int, *, resumes: bool) -> list[list[str]]:
    """The commands that are measured; the search is a resume with nothing to do."""
    page = str(folder / "report.html")
    found = [["trials", STUDY], ["status", STUDY], ["studies"], ["report", STUDY, "--output", page, "-q"]]
    return found + [search(folder, size)] * resumes


def search(folder: Path, size: int) -> list[str]:
    words = f"--space {SPACE} --study {STUDY} --trials {size} --epochs 15 --jobs 1 --sampler random --pruner halving -q"
    return ["search", str(folder / "images.npz"), *words.split()]


def timed(store: Store, *words: str) -> tuple[float, int]:
    """Runs a command; returns its wall time in s and the most memory that it had in bytes."""
    command = [sys.executable, "-m", "sweeper", *words, "--store", str(store.root)]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-S", "-c", WATCHED_RUN, *command], stdout=subprocess.PIPE)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"sweeper {' '.join(words)} failed")
    return seconds, int(done.stdout) * 1024


def write_images(path: Path, n_images: int) -> None:
    """A data set of random images of 28x28 pixels in ten classes."""
    images = np.random.default_rng(0).integers(0, 255, (n_images, 28, 28), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=np.arange(n_images) % N_CLASSES)


def grow(folder: Path, size: int) -> dict[str, Any]:
    """Goes on with a study to so many trials; returns the coordinator's seconds by share and its bytes, by trial."""
    store, space = store_in(folder, size), reader.load(SPACE)
    held = Event()

    def hold(self: RunWriter, writes: object) -> None:
        held.wait()
        raise SystemExit  # ends MLflow's thread; nothing was delivered

    RunWriter.write = hold  # type: ignore[method-assign]
    with ExitStack() as stack:
        stack.enter_context(store.owning(STUDY))
        spec = spec_of(find_study(store, STUDY))
        study = lifecycle.open_study(OwnedStorage(open_storage(store)), STUDY, spec, space)
        ownership = stack.enter_context(claimed(store, study))
        lifecycle.mark_running(study, size, str(attributes_of(study)[lifecycle.COMMAND]))
        data = DataRecord(spec.dataset, spec.data_sha256, "nowhere", SHAPE)
        tracker = Tracker(store, data, show, check_owned=ownership.check)
        tracker.open(STUDY, id_of(study), {}, {})
        workers = SimulatedWorkers(N_WORKERS, EPOCH_SECONDS, folder / "weights.safetensors", is_enough=lambda: False)
        context = context_of(study, space, spec, tracker, store, ownership, size)
        stopwatch = Stopwatch(REST)
        with ExitStack() as watched:
            for share, owners in WATCHED.items():
                for owner in owners:
                    watched.enter_context(stopwatch.watching(owner, share))
            coordinator, before = Coordinator(context, workers), peak_memory()
            stopwatch.reset()
            coordinator.run()
            seconds = stopwatch.read()
            grown = peak_memory() - before
        held.set()
        tracker.close(Patience(0.0, 0.0))
        lifecycle.mark_ended(study, "")
        n_grown = size - 1
        return {
            **{share: seconds.get(share, 0.0) / n_grown for share in SHARES},
            "workers": seconds.get(WORKERS, 0.0) / n_grown,
            "bytes": grown / n_grown,
            "peak": before + grown,
            "tpe": proposal_seconds(study, space),
        }


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def proposal_seconds(study: optuna.Study, space: reader.Space) -> float:
    """What TPE takes for a proposal after all trials of the study, without a database."""
    with quiet():
        copied = optuna.create_study(direction=study.direction)
        copied.add_trials(study.get_trials(deepcopy=False))
        spent = []
        for seed in range(N_PROPOSALS):
            copied.sampler = make_sampler("tpe", space, seed)
            began = time.perf_counter()
            space.suggest(copied.ask())
            spent.append(time.perf_counter() - began)
    return median(spent)


def show_search(made: Mapping[int, Mapping[str, Any]]) -> None:
    print("\n| trials | ms a trial: storage | sampler, pruner | outbox | rest | KiB a trial | peak MiB | TPE: ms |")
    print("|---:" * 8 + "|")
    for size, cost in made.items():
        cells = [f"{1000 * cost[share]:.1f}" for share in SHARES]
        cells += [f"{cost['bytes'] / 1024:.0f}", f"{cost['peak'] / 2**20:,.0f}"]
        print(f"| {size:,} | {' | '.join(cells)} | {1000 * cost['tpe']:.0f} |", flush=True)


def show_commands(sizes: Sequence[int], spent: Mapping[str, Mapping[int, tuple[float, int]]]) -> None:
    heads = [f"{size:,} {'trials' if size > 1 else 'trial'}: s | MiB" for size in sizes]
    print(f"\n| command | {' | '.join(heads)} |\n|---" + "|---:" * 2 * len(sizes) + "|")
    for command, by_size in spent.items():
        cells = [
            f"{by_size[size][0]:.1f} | {by_size[size][1] / 2**20:,.0f}" if size in by_size else "- | -"
            for size in sizes
        ]
        print(f"| `{command}` | {' | '.join(cells)} |")


def show_growth(made: Mapping[int, Mapping[str, Any]], spent: Mapping[str, Mapping[int, tuple[float, int]]]) -> None:
    """Each step's exponent between two sizes, where n is 1 and n log n a little more; then which grow faster."""
    totals: dict[str, dict[int, float]] = {
        f"search: {share}": {size: cost[share] * size for size, cost in made.items() if size > 1} for share in SHARES
    }
    for command, by_size in spent.items():
        base = by_size[1][0] if 1 in by_size else 0.0
        totals[command] = {size: seconds - base for size, (seconds, _) in by_size.items() if size > 1}
    print("\n| step | from | to | exponent | of n log n |\n|---|---:|---:|---:|---:|")
    fast = []
    for step, seconds in totals.items():
        sizes = sorted(seconds)
        for few, many in pairwise(sizes):
            if seconds[few] < LEAST_SECONDS:
                continue
            exponent = math.log(max(seconds[many], 1e-9) / seconds[few]) / math.log(many / few)
            allowed = 1 + math.log(math.log(many) / math.log(few)) / math.log(many / few)
            print(f"| {step} | {few:,} | {many:,} | {exponent:.2f} | {allowed:.2f} |")
            if exponent > allowed:
                fast.append(f"{step} from {few:,} to {many:,}")
    print(f"\nFaster than n log n: {', '.join(fast) or 'no step'}")


def show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
