"""Simulates how choosing the best of 50 configurations biases its score, and how well the confirm estimate corrects it.

    python benchmarks/selection.py

Nothing is trained: sweeps are simulated. In one sweep every configuration is trained with one seed and scored on
6,000 validation images. The K best by that naive score and the baseline (configuration 0) are trained again with S new
seeds and ordered by their mean validation accuracy over these seeds. The first is the champion. It is trained with S
more seeds, and the mean accuracy of these networks on 6,000 other images is the confirm estimate. Its target is the
champion's true mean accuracy, over all seeds and all images. "Same seeds" is the estimate from the networks that
determined the order.

The model: configuration c has true mean accuracy m_c, drawn from a normal distribution around 90 %. A network of it
has true accuracy a = m_c + e, where e is normal with a standard deviation of 0.27 points. It classifies an image of
difficulty x correctly with probability 1 / (1 + exp(x - t)), where t makes the mean over all difficulties equal to a.
Given the difficulty, networks are independent. Difficulties are normal, as 30 equally likely values (the midpoints'
quantiles), with the spread at which exactly one of two networks of 90 % is right on 9 % of the images. All
configurations of a sweep see the same images. Images of one difficulty are exchangeable, so counts are drawn instead of
images: the number right is binomial, and the 2^S patterns of right and wrong are multinomial. Both are exact.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from sweeper.evaluation.statistics import over_seeds_and_images, wilson

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

N_CONFIGURATIONS = 50
N_IMAGES = 6_000
MEAN_ACCURACY = 0.90
SPREADS = (0.0, 0.005, 0.012)
SEED_SPREAD = 0.0027
DISCORDANCE = 0.09
N_DIFFICULTIES = 30
FINALISTS = (2, 5)
SEEDS = (1, 3, 5)
# Sweeps drawn at once: their arrays fit in a few MiB.
BATCH = 100


@dataclass
class Estimates:
    """Errors, interval widths (shares of 1) and coverage of one estimator, over sweeps."""

    errors: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)

    def add(self, value: float, interval: tuple[float, float] | None, target: float) -> None:
        self.errors.append(value - target)
        if interval is not None:
            low, high = interval
            self.widths.append(high - low)
            self.covered.append(low <= target <= high)

    def bias(self) -> str:
        return f"{100 * np.mean(self.errors):+.2f}"

    def coverage(self) -> str:
        return f"{100 * np.mean(self.covered):.1f} %" if self.covered else "-"

    def width(self) -> str:
        return f"{100 * np.median(self.widths):.2f}" if self.widths else "-"


@dataclass
class Cell:
    """Results for one number of finalists and of seeds, over sweeps. Regrets are shares of 1."""

    confirm: Estimates = field(default_factory=Estimates)
    same_seeds: Estimates = field(default_factory=Estimates)
    regrets: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    difficulties = calibrated_difficulties()
    print(
        "| sd of true accuracy | K | S | best of 50: bias | covers | confirm: bias | covers | median width | regret "
        "| same seeds: bias | covers |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    discordances = []
    for i, spread in enumerate(SPREADS):
        generator = np.random.default_rng([arguments.seed, i])
        naive, cells, discordance = simulate(generator, spread, difficulties, arguments.sweeps)
        discordances.append(f"{100 * discordance:.1f}")
        for (k, n_seeds), cell in sorted(cells.items()):
            columns = [
                f"{100 * spread:.1f}",
                str(k),
                str(n_seeds),
                naive.bias(),
                naive.coverage(),
                cell.confirm.bias(),
                cell.confirm.coverage(),
                cell.confirm.width(),
                f"{100 * np.mean(cell.regrets):.2f}",
                cell.same_seeds.bias(),
                cell.same_seeds.coverage(),
            ]
            print(f"| {' | '.join(columns)} |", flush=True)
    print(
        f"\nBias, width, regret and sd in points of accuracy; {arguments.sweeps:,} sweeps a row. Two networks of a "
        f"champion differed on {', '.join(discordances)} % of the confirm images (one value for each sd)."
    )


def simulate(
    generator: np.random.Generator, spread: float, difficulties: Floats, n_sweeps: int
) -> tuple[Estimates, dict[tuple[int, int], Cell], float]:
    """The naive estimates, the cells by (finalists, seeds), and the share of images on which two networks differ.

    All cells share a sweep's images, its search, and the finalists' networks that they have in common.
    """
    naive, cells = Estimates(), defaultdict[tuple[int, int], Cell](Cell)
    discordances: list[float] = []
    for start in range(0, n_sweeps, BATCH):
        size = min(BATCH, n_sweeps - start)
        print(f"\rsd {100 * spread:.1f}: {start} of {n_sweeps} sweeps", end="", file=sys.stderr)
        sweeps = np.arange(size)
        true = MEAN_ACCURACY + spread * generator.standard_normal((size, N_CONFIGURATIONS))
        validation, confirm = generator.multinomial(
            N_IMAGES, np.full(N_DIFFICULTIES, 1 / N_DIFFICULTIES), size=(2, size)
        )

        n_correct = number_right(generator, trained(generator, true), validation, difficulties)
        order = np.argsort(-n_correct, axis=1, kind="stable")
        for sweep, best in enumerate(order[:, 0]):
            n_best = int(n_correct[sweep, best])
            naive.add(n_best / N_IMAGES, wilson(n_best, N_IMAGES), true[sweep, best])

        # The last finalist is the baseline.
        finalists = np.column_stack([order[:, : max(FINALISTS)], np.zeros(size, dtype=np.int64)])
        accuracies = trained(generator, np.repeat(true[sweeps[:, None], finalists][..., None], max(SEEDS), axis=2))
        scores = number_right(generator, accuracies, validation, difficulties)
        for k in FINALISTS:
            among_best = (order[:, :k] == 0).any(axis=1)
            for n_seeds in SEEDS:
                means = scores[:, [*range(k), -1], :n_seeds].mean(axis=2)
                # The baseline takes part once, even where it is one of the best.
                means[among_best, -1] = -np.inf
                place = means.argmax(axis=1)
                place[place == k] = max(FINALISTS)
                target = true[sweeps, finalists[sweeps, place]]
                cell = cells[k, n_seeds]
                cell.regrets.extend(true.max(axis=1) - target)
                ordered = accuracies[sweeps, place, :n_seeds]
                other = trained(generator, np.repeat(target[:, None], n_seeds, axis=1))
                for networks, estimates in ((ordered, cell.same_seeds), (other, cell.confirm)):
                    for sweep, values in enumerate(right_and_wrong(generator, networks, confirm, difficulties)):
                        estimate = over_seeds_and_images(values)
                        estimates.add(estimate.value, estimate.interval(), target[sweep])
                        if n_seeds > 1:
                            discordances.append(float(np.mean(values[:, 0] != values[:, 1])))
    print(file=sys.stderr)
    return naive, cells, float(np.mean(discordances))


def trained(generator: np.random.Generator, mean_accuracies: Floats) -> Floats:
    """True accuracies of networks, one network for each mean accuracy."""
    return mean_accuracies + SEED_SPREAD * generator.standard_normal(mean_accuracies.shape)


def number_right(generator: np.random.Generator, accuracies: Floats, images: Counts, difficulties: Floats) -> Counts:
    """How many images networks of these accuracies, shape (sweeps, ...), get right; images by (sweep, difficulty)."""
    between = [1] * (accuracies.ndim - 1)
    by_sweep = images.reshape(len(images), *between, -1)
    return generator.binomial(by_sweep, probabilities(accuracies, difficulties)).sum(axis=-1)


def right_and_wrong(
    generator: np.random.Generator, accuracies: Floats, images: Counts, difficulties: Floats
) -> Iterator[npt.NDArray[np.bool_]]:
    """Yields, for each sweep, what S networks get right, shape (images, S); accuracies have shape (sweeps, S)."""
    n_seeds = accuracies.shape[1]
    patterns = (np.arange(2**n_seeds)[:, None] >> np.arange(n_seeds)) % 2 == 1
    right = probabilities(accuracies, difficulties)[:, None]
    # (sweeps, patterns, difficulties), then with the patterns last, as the multinomial draw needs them.
    chances = np.where(patterns[None, :, :, None], right, 1 - right).prod(axis=2).swapaxes(1, 2)
    for counts in generator.multinomial(images, chances).sum(axis=1):
        yield np.repeat(patterns, counts, axis=0)


def probabilities(accuracies: Floats, difficulties: Floats) -> Floats:
    """The probability of getting an image of each difficulty right, shape (*accuracies.shape, difficulties).

    The mean over difficulties is the accuracy; solved by Newton's method from an interpolated start.
    """
    grid = np.linspace(-10, 40, 2001)
    t = np.interp(accuracies, special.expit(grid[:, None] - difficulties).mean(axis=1), grid)
    while True:
        right = special.expit(t[..., None] - difficulties)
        excess = right.mean(axis=-1) - accuracies
        if np.all(abs(excess) < 1e-12):
            return right
        t = t - excess / (right * (1 - right)).mean(axis=-1)


def calibrated_difficulties() -> Floats:
    """Equally likely difficulties at which two networks of `MEAN_ACCURACY` differ on `DISCORDANCE` of the images."""
    quantiles = stats.norm.ppf((np.arange(N_DIFFICULTIES) + 0.5) / N_DIFFICULTIES)

    def excess(spread: float) -> float:
        right = probabilities(np.array(MEAN_ACCURACY), spread * quantiles)
        return float(2 * np.mean(right * (1 - right))) - DISCORDANCE

    return quantiles * optimize.brentq(excess, 0.0, 10.0)


if __name__ == "__main__":
    main()
