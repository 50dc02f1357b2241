"""How long `sweeper report` takes for a study of many trials, and how large its page is.

    python benchmarks/report.py --trials 200

A search of one trial is made; the others are written into Optuna's storage, with scores by epoch of which the pruner
would have ended most.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import optuna
from scale import timed, write_images

from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.studies.attributes import RESULT, TRIAL
from sweeper.studies.queries import find_study

EPOCHS = 15
STUDY = "many"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--keep-in", type=Path, help="A folder that keeps the store and the page.")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.keep_in or Path(temporary)
        folder.mkdir(exist_ok=True)
        images, store = folder / "images.npz", StoreOptions(folder / "store").resolve({})
        if not store.root.exists():
            write_images(images, arguments.images)
            words = f"--space lenet5 --study {STUDY} --trials 1 --epochs {EPOCHS} --subset 400 --jobs 1 -q".split()
            timed(store, "search", str(images), *words)
            plant(store, arguments.trials)
        page = folder / f"{STUDY}-report.html"
        seconds, peak = timed(store, "report", STUDY, "--output", str(page), "-q")
        print("| trials | images | processor time | peak memory | page |\n|---:|---:|---:|---:|---:|")
        print(
            f"| {arguments.trials} | {arguments.images:,} | {seconds:.0f} s | {peak / 2**20:,.0f} MiB | "
            f"{page.stat().st_size / 1e6:.1f} MB |"
        )


def plant(store: Store, n_trials: int) -> None:
    """Writes trials with random configurations and rising scores; four of five were pruned."""
    study = find_study(store, STUDY)
    first, rng = study.get_trials()[0], np.random.default_rng(0)
    for number in range(len(study.get_trials()), n_trials):
        params = {name: drawn(kind, rng) for name, kind in first.distributions.items()}
        end = rng.normal(0.85, 0.03)
        epochs = EPOCHS if number % 5 == 0 else int(rng.integers(1, EPOCHS))
        values = {e: float(np.clip(end - 0.3 * np.exp(-e / 3) + rng.normal(0, 0.005), 0, 1)) for e in range(1, 16)}
        values = {epoch: value for epoch, value in values.items() if epoch <= epochs}
        is_complete = epochs == EPOCHS
        result = first.user_attrs[RESULT] | {"value": values[epochs], "epochs": epochs}
        if not is_complete:
            result |= {"state": "pruned", "value": None, "reason": "pruner: worse than others"}
        configuration = first.user_attrs[TRIAL]["configuration"] | decoded(params)
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.COMPLETE if is_complete else optuna.trial.TrialState.PRUNED,
                value=values[epochs],
                params=params,
                distributions=first.distributions,
                user_attrs={TRIAL: {"configuration": configuration}, RESULT: result},
                intermediate_values=values,
            )
        )


def drawn(kind: optuna.distributions.BaseDistribution, rng: np.random.Generator) -> object:
    """A random value of a parameter."""
    match kind:
        case optuna.distributions.CategoricalDistribution():
            return kind.choices[int(rng.integers(len(kind.choices)))]
        case optuna.distributions.IntDistribution():
            return int(rng.integers(kind.low, kind.high + 1))
        case optuna.distributions.FloatDistribution():
            low, high = (np.log(kind.low), np.log(kind.high)) if kind.log else (kind.low, kind.high)
            value = rng.uniform(low, high)
            return float(np.exp(value) if kind.log else value)
    raise TypeError(kind)


def decoded(params: dict[str, object]) -> dict[str, object]:
    """The values as a configuration has them: Optuna keeps arrays as JSON text."""
    return {n: json.loads(v) if isinstance(v, str) and v.startswith("[") else v for n, v in params.items()}


if __name__ == "__main__":
    main()
