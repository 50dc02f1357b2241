"""Simulates how often a parameter's importance is told from chance, by the number of a study's trials.

    python benchmarks/importance.py [--studies N] [--trials 20,30,40,50,100]

Nothing is trained: studies of the space lenet5 are simulated with sweeper's own sampler (TPE), and their importances
are measured as the report does it. In the studies "lr", a score is a parabola of log10(lr), which would explain 0.6 of
the variation of uniformly drawn configurations, plus normal noise. In the studies "nothing" it is noise alone. The
columns say how often the share of lr was above all shuffles' shares ("found"), how often that of one parameter without
effect was ("false"), and in how many studies any such parameter's was ("any false"). The sampler itself makes
parameters without effect go along with the score: it proposes some of their values most often late, where scores are
better. Without the steps, that is in the order of their shares, half of the studies had a false one at 100 trials.
"""

import argparse
import math
import warnings

import numpy as np
import optuna

from sweeper.spaces.reader import load
from sweeper.studies.importance import N_SHUFFLES, importances, ranks_of
from sweeper.studies.samplers import make_sampler

# The optimum lies a little above the middle of lenet5's range, as it did in real searches; noise has unit variance.
BEST_LOG_LR = -2.3
EFFECT = 1.33


def simulated(seed: int, scenario: str, n_trials: int) -> tuple[list[dict[str, object]], list[float]]:
    """The configurations and scores of one study."""
    rng, space = np.random.default_rng(seed), load("lenet5")
    study = optuna.create_study(direction="maximize")
    configurations, scores = [], []
    for number in range(n_trials):
        study.sampler = make_sampler("tpe", space, 1000 * seed + number)
        trial = study.ask()
        space.suggest(trial)
        score = float(rng.normal())
        if scenario == "lr":
            score -= EFFECT * (math.log10(trial.params["lr"]) - BEST_LOG_LR) ** 2
        study.tell(trial, score)
        configurations.append(dict(trial.params))
        scores.append(score)
    return configurations, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=24)
    parser.add_argument("--trials", default="20,30,40,50,100", help="numbers of trials, comma-separated")
    options = parser.parse_args()
    numbers = [int(number) for number in options.trials.split(",")]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    names = [name for name, parameter in load("lenet5").parameters.items() if not parameter.when]
    print("scores of  trials  found  false  any false  share of lr  most by chance", flush=True)
    for scenario in ("nothing", "lr"):
        studies = [simulated(seed, scenario, max(numbers)) for seed in range(options.studies)]
        for number in numbers:
            above, shares, highs = [], [], []
            for configurations, scores in studies:
                found = importances(configurations[:number], names, ranks_of(scores[:number]), N_SHUFFLES, 0)
                above.append({name: share > high for name, (share, _, high) in found.items()})
                shares.append(found["lr"][0])
                highs.append(found["lr"][2])
            without = [[each[name] for name in names if name != "lr" or scenario == "nothing"] for each in above]
            print(
                f"{scenario:9}  {number:6}  {np.mean([each['lr'] for each in above]):5.2f}  {np.mean(without):5.3f}  "
                f"{np.mean([any(each) for each in without]):9.2f}  {np.mean(shares):11.2f}  {np.mean(highs):14.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
