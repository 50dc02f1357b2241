"""Ray Tune as its guides show it: a Tuner, ASHA, Optuna's search, and two trials at once on one CPU each.

peers.py runs it: python peers_ray.py DATA RECORD EPOCHS SECONDS
"""

import sys
from pathlib import Path
from typing import Any

import ray
from peers_lenet import BASELINE, append, suggest, train
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

METRIC = "validation_accuracy"


def trainable(config: dict[str, Any], folder: Path, epochs: int) -> None:
    for accuracy in train(config, folder, epochs):
        tune.report({METRIC: accuracy})


def space(trial: Any) -> None:
    """The space as OptunaSearch takes one with conditions: define by run."""
    suggest(trial)


class Recorder(tune.Callback):
    """Writes the record that peers.py reads, from the results that reach the process of the Tuner."""

    def __init__(self, record: Path, epochs: int) -> None:
        self._record, self._epochs = record, epochs

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        epoch = result["training_iteration"]
        append(self._record, trial=trial.trial_id, epoch=epoch, accuracy=result[METRIC], params=trial.config)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        is_complete = trial.last_result["training_iteration"] == self._epochs
        append(self._record, trial=trial.trial_id, state="complete" if is_complete else "pruned")


def main() -> None:
    folder, record, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    ray.init(num_cpus=2, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, folder=folder, epochs=epochs), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            # A space defined by run needs the metric here; Tune then refuses to be told it once more.
            search_alg=OptunaSearch(space, METRIC, "max", points_to_evaluate=[BASELINE], seed=0),
            scheduler=ASHAScheduler(metric=METRIC, mode="max", max_t=epochs, grace_period=1, reduction_factor=3),
            num_samples=-1,
            max_concurrent_trials=2,
            time_budget_s=float(sys.argv[4]),
            reuse_actors=True,  # spares each trial the start of a process
        ),
        run_config=tune.RunConfig(
            storage_path=str(Path.cwd() / "results"), callbacks=[Recorder(record, epochs)], verbose=1
        ),
    )
    tuner.fit()


if __name__ == "__main__":
    main()
