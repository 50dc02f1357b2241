"""A typical Optuna script: one process, DataLoaders, the median pruner, and MLflow at every epoch.

peers.py runs it: python peers_optuna.py DATA RECORD EPOCHS SECONDS
"""

import sys
from pathlib import Path

import mlflow
import optuna
from peers_lenet import BASELINE, append, suggest, train


def main() -> None:
    folder, record, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("lenet5")

    def objective(trial: optuna.Trial) -> float:
        params = suggest(trial)
        accuracy = 0.0
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(params)
            for epoch, accuracy in enumerate(train(params, folder, epochs), start=1):
                mlflow.log_metric("validation_accuracy", accuracy, step=epoch)
                append(record, trial=trial.number, epoch=epoch, accuracy=accuracy, params=params)
                trial.report(accuracy, epoch)
                if trial.should_prune():
                    append(record, trial=trial.number, state="pruned")
                    raise optuna.TrialPruned
        append(record, trial=trial.number, state="complete")
        return accuracy

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner()
    )
    study.enqueue_trial(BASELINE)
    study.optimize(objective, timeout=float(sys.argv[4]))


if __name__ == "__main__":
    main()
