"""Replays searches from recorded learning curves: which rule of pruning spends how many images, at which regret.

    python benchmarks/replay.py

Nothing is trained: record_curves.py has recorded the curves in curves.npz. A search has 50 trials, the space's baseline
first, and two workers that train asynchronously and equally fast. Its cost is the images trained on. The search chooses
the trial with the best last-epoch accuracy. Its regret is by how much the best of all 50 last-epoch accuracies is
higher.

Each data set has 1,000 searches, ten from each of 100 bootstrap samples of its recorded configurations; all rules
replay the same searches. Intervals hold the middle 95 of the means of the 100 samples. They tell what other recorded
configurations would have changed.
"""

import argparse
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
from replay_rules import BASELINE, Decision, Extrapolation, Halving, Median, Pasha, Rule

Floats = npt.NDArray[np.float64]

N_TRIALS, N_WORKERS = 50, 2
N_SAMPLES, N_SEARCHES = 100, 10
CURVES = Path(__file__).with_name("curves.npz")
# A rule is no worse than another if its regret is less than this much higher: another seed changes a score by more.
MARGIN = 0.001
DEFAULT = "halving from 1 epoch, factor 3"
# The rules by name, each made for trainings of so many epochs.
RULES: dict[str, Callable[[int], Rule]] = {
    "none": lambda epochs: Rule(),
    DEFAULT: lambda epochs: Halving(3, 3),
    "halving from 1/3 epoch, factor 3": lambda epochs: Halving(1, 3),
    "halving from 1 epoch, factor 4": lambda epochs: Halving(3, 4),
    "halving from 1/3 epoch, factor 4": lambda epochs: Halving(1, 4),
    "PASHA-like from 1 epoch, factor 3": lambda epochs: Pasha(3, 3, epochs),
    "PASHA-like from 1/3 epoch, factor 3": lambda epochs: Pasha(1, 3, epochs),
    "learning-curve extrapolation": Extrapolation,
    "median": lambda epochs: Median(),
}


@dataclass(frozen=True)
class Curves:
    """The curves of a data set: accuracies (configurations, times), nan once diverged, and times in thirds of epochs.

    Configuration 0 is the baseline.
    """

    accuracies: Floats
    times: tuple[int, ...]

    @property
    def epochs(self) -> int:
        return self.times[-1] // 3

    def end(self, configuration: int) -> tuple[int, bool]:
        """How many of its times a configuration has, and whether it then goes on to the end of the epoch to diverge."""
        n_seen = int(np.isfinite(self.accuracies[configuration]).sum())
        return n_seen, n_seen < len(self.times)


@dataclass(frozen=True)
class Replay:
    """A search: the thirds of epochs trained, as a share of those of all trials, and the regret."""

    share: float
    regret: float


def replay(curves: Curves, configurations: npt.NDArray[np.int64], rule: Rule, n_workers: int = N_WORKERS) -> Replay:
    """Replays the search that tries these configurations in this order."""
    waiting = iter(range(len(configurations)))
    place = [0] * len(configurations)  # how many measurements a trial has
    last: dict[int, float] = {}  # accuracies of complete trials
    spent, order = 0, count()
    # The next measurement of each trial that trains: when it comes, and a running number for those at once.
    events: list[tuple[int, int, int]] = []

    def begin(now: int) -> None:
        trial = rule.resume()
        trial = next(waiting, None) if trial is None else trial
        if trial is not None:
            go_on(trial, now)

    def go_on(trial: int, now: int) -> None:
        nonlocal spent
        n_seen, diverges = curves.end(configurations[trial])
        before = curves.times[place[trial] - 1] if place[trial] else 0
        until = curves.times[place[trial]]
        if diverges and place[trial] == n_seen:  # a search learns of it at the end of the epoch
            until = -(-until // 3) * 3
        spent += until - before
        heapq.heappush(events, (now + until - before, next(order), trial))

    for _ in range(n_workers):
        begin(0)
    finished = False
    while events or not finished:
        if not events:
            finished = True
            finalist = rule.finalist()
            if finalist is None:
                break
            go_on(finalist, 0)
        now, _, trial = heapq.heappop(events)
        value = curves.accuracies[configurations[trial], place[trial]]
        if not np.isfinite(value):
            begin(now)
            continue
        time = curves.times[place[trial]]
        place[trial] += 1
        is_last = place[trial] == len(curves.times)
        decision = rule.seen(trial, time, float(value), last=is_last)
        if is_last:
            last[trial] = float(value)
            begin(now)
        elif decision is Decision.GO_ON or trial == BASELINE or finished:
            go_on(trial, now)
        else:
            begin(now)
    best = np.nanmax(curves.accuracies[configurations, -1])
    return Replay(spent / (len(configurations) * curves.times[-1]), float(best) - max(last.values()))


def searches(curves: Curves, seed: int = 0) -> list[npt.NDArray[np.int64]]:
    """The configurations of N_SEARCHES searches from each of N_SAMPLES bootstrap samples, the baseline first."""
    rng = np.random.default_rng(seed)
    others = np.arange(1, len(curves.accuracies))
    drawn = []
    for _ in range(N_SAMPLES):
        sample = rng.choice(others, len(others))
        for _ in range(N_SEARCHES):
            drawn.append(np.append(0, rng.choice(sample, N_TRIALS - 1, replace=False)))
    return drawn


@dataclass(frozen=True)
class Row:
    """Means over all searches of a rule: with intervals, and as differences to the default's, with intervals."""

    share: float
    regret: float
    share_difference: tuple[float, float, float]
    regret_difference: tuple[float, float, float]

    @property
    def wins(self) -> bool:
        """Whether the rule surely spends fewer images than the default, with a regret that is surely no worse."""
        return self.share_difference[2] < 0 and self.regret_difference[2] < MARGIN


def compare(curves: Curves, rules: Mapping[str, Callable[[int], Rule]] = RULES, seed: int = 0) -> dict[str, Row]:
    """A row for each rule, over the same searches."""
    drawn = searches(curves, seed)
    found = {
        name: np.array([(r.share, r.regret) for r in (replay(curves, s, make(curves.epochs)) for s in drawn)])
        for name, make in rules.items()
    }
    rows = {}
    for name, values in found.items():
        difference = values - found[DEFAULT]
        by_sample = difference.reshape(N_SAMPLES, -1, 2).mean(axis=1)
        low, high = np.percentile(by_sample, (2.5, 97.5), axis=0)
        mean = difference.mean(axis=0)
        share, regret = values.mean(axis=0)
        shares, regrets = ((float(mean[i]), float(low[i]), float(high[i])) for i in (0, 1))
        rows[name] = Row(float(share), float(regret), shares, regrets)
    return rows


def table(rows: Mapping[str, Row]) -> str:
    """The rows as Markdown: images in percent of those of all trials trained to their ends, regrets in points."""
    lines = ["| rule | images, % | against the default | regret, points | against the default | wins |"]
    lines.append("|---|---:|---:|---:|---:|---|")
    for name, row in rows.items():
        images, regret = (
            f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
            for mean, low, high in (row.share_difference, row.regret_difference)
        )
        wins = "-" if name == DEFAULT else "yes" if row.wins else "no"
        lines.append(f"| {name} | {100 * row.share:.1f} | {images} | {100 * row.regret:.2f} | {regret} | {wins} |")
    return "\n".join(lines)


def load(path: Path) -> dict[str, Curves]:
    """The curves by data set."""
    with np.load(path) as stored:
        times = tuple(stored["times"].tolist())
        counts = {name.removeprefix("correct_"): stored[name] for name in stored.files if name.startswith("correct_")}
        n_validation = int(stored["n_validation"])
    return {
        name: Curves(np.where(correct < 0, np.nan, correct / n_validation), times) for name, correct in counts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=CURVES)
    path = parser.parse_args().curves
    if not path.exists():
        raise SystemExit(f"no curves in {path}: record_curves.py records and packs them")
    everything = load(path)
    won = []
    for name, curves in everything.items():
        best = 100 * np.nanmax(curves.accuracies[:, -1])
        print(f"\n{name}: {len(curves.accuracies)} configurations, the best with {best:.1f} %\n")
        rows = compare(curves)
        print(table(rows), flush=True)
        won.append({rule for rule, row in rows.items() if row.wins})
    print(f"\nwins on every data set: {', '.join(sorted(set.intersection(*won))) or 'no rule'}")


if __name__ == "__main__":
    main()
