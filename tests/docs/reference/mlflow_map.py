"""The page of what stands where in MLflow: experiments, runs, tags, parameters, metrics, artifacts, models.

A test compares it with the runs of a real study (tests/docs/test_study.py) and with the tags that the code writes.
"""

from sweeper.tracking.ledger import EXPERIMENT
from sweeper.tracking.run_writer import STATUS
from tests.docs.reference.tables import code, table

# By the tag sweeper.kind: the run's name, the run above it, and what the run is of.
RUNS = {
    "study": ("STUDY", "", "a search"),
    "trial": ("trial N", "study", "one configuration of a search"),
    "training": (
        "trial N, fold K or seed K; or SPACE VARIANT",
        "trial, promotion, ablation, training, or none",
        "one training: a fold or repeat of a trial, of a promotion or ablation, or of sweeper train",
    ),
    "promotion": ("STUDY promotion", "study", "a promotion of a study"),
    "ablation": ("STUDY ablation", "study", "an ablation of a study's champion"),
    "evaluation": ("MODEL on DATASET", "the run of the network", "sweeper evaluate on data that are no test part"),
    "data": ("DATASET data", "", "a data set, by sweeper data info --log"),
    "test_look": ("STUDY test", "", f"one test evaluation, in the experiment {EXPERIMENT}"),
}
TAGS = {
    "sweeper.kind": "the kind of run, as above",
    "sweeper.state": "how it stands: " + ", ".join(STATUS),
    "sweeper.reason": "why it ended as it did, if there is a reason",
    "sweeper.study": "the study's name",
    "sweeper.study_id": "the study's id, which another study of the same name does not have",
    "sweeper.training_id": "the id of a training by itself",
    "sweeper.root": "the id of the topmost run above it",
    "sweeper.trial": "the trial's number",
    "sweeper.variant": "the name of the trial's variant",
    "sweeper.training": "which training of its run above, such as fold-1",
    "sweeper.part": "what the training is for: a fold, a seed, a refit",
    "sweeper.set_back": "the parameter that an ablation has set back to the baseline's value",
    "sweeper.champion_trial": "the trial of the champion that is ablated",
    "sweeper.command": "the command line, without secrets",
    "sweeper.version": "the version of sweeper",
    "sweeper.engine": "the engine of the trainings",
    "sweeper.device": "the devices of the trainings",
    "sweeper.workers": "the number of workers",
    "sweeper.threads": "the threads of each worker",
    "sweeper.data_sha256": "the SHA-256 of the training data",
    "sweeper.data_content": "a hash of the data set with the options of its reading",
    "sweeper.training_sha256": "the SHA-256 of the training files of a logged data set",
    "sweeper.test_sha256": "the SHA-256 of the test data",
    "sweeper.dataset": "the name of the evaluated data",
    "sweeper.evaluated": "the name of the evaluated network",
    "sweeper.evaluated_part": "the evaluated part of the data",
    "sweeper.models": "the tested models by role, as JSON",
    "sweeper.networks": "the tested networks by role, as JSON",
    "sweeper.time": "the time of the test evaluation (UTC)",
    "sweeper.in_store": "the number of the test evaluation in the store's ledger",
    "sweeper.seconds": "seconds that it took",
    "sweeper.trials": "trials by outcome",
    "sweeper.best_trial": "the best trial's number",
    "sweeper.best_value": "the best trial's score",
    "sweeper.best_epoch": "the epoch of the best score",
    "sweeper.best_validation_accuracy": "validation accuracy of the best epoch, which is not the score",
    "sweeper.best_validation_loss": "validation loss of the best epoch, with --metric loss",
    "sweeper.best_validation_macro_f1": "validation macro F1 of the best epoch, with --metric macro_f1",
    "sweeper.best_validation_balanced_accuracy": "that of balanced accuracy, with --metric balanced_accuracy",
    "sweeper.top": "--top of a promotion",
    "sweeper.seeds": "--seeds of a promotion or ablation",
    "sweeper.prefer": "--prefer of a promotion",
    "sweeper.replaces": "the time of the promotion that --again replaces, else empty",
    "sweeper.warm_start": "the study or trial that this one has taken over",
    "sweeper.init": "the run whose weights the training started from",
    "sweeper.weights": "dropped, if the weights of a trial are no longer kept",
    "sweeper.rebuilt": "true, if sweeper sync --rebuild has made the run again",
    "mlflow.parentRunId": "the run above it",
    "mlflow.runName": "the run's name",
    "mlflow.user": "who has run it: the user of MLflow's server, or the login name",
    "mlflow.note.content": "a description, with the result and the next commands",
    "mlflow.source.git.commit": "the commit of sweeper's own checkout",
}
MODEL_TAGS = {
    "sweeper.study": "the study's name",
    "sweeper.study_id": "the study's id",
    "sweeper.trial": "the trial's number",
    "sweeper.baseline": "whether it is the baseline",
    "sweeper.n_parameters": "parameters of the network",
    "sweeper.n_seeds": "fresh seeds of each part",
    "sweeper.search_score": "the score of the search",
    "sweeper.validation_accuracy": "mean of the fresh seeds on the validation images; named after the metric",
    "sweeper.confirm_estimate": "the estimate on the confirm images, with its interval",
    "sweeper.classes": "the names of the classes in the order of the outputs, as JSON",
    "sweeper.data_sha256": "the SHA-256 of the training data",
    "sweeper.identity": "a hash that tells this network from all others",
    "sweeper.verdict": "the sentences of the verdict",
    "sweeper.champion": "on the model: the last version to which sweeper moved the alias champion",
}
# Besides the fields of a space file.
PARAMS = {
    "seed": "the seed of the search or the training",
    "split_seed": "the seed that cuts the data into parts",
    "dataset": "the data set's name",
    "data_sha256": "the SHA-256 of the training data",
    "split_sha256": "the SHA-256 of the parts",
    "n_train": "images of the train part",
    "n_validation": "images of the validation part",
    "n_confirm": "images of the confirm part",
    "mean": "mean of the pixels, which scales them",
    "std": "standard deviation of the pixels, which scales them",
    "subset": "--subset",
    "space_name": "the space's name",
    "space_sha256": "a hash of the space",
    "metric": "--metric",
    "sampler": "--sampler",
    "pruner": "--pruner, as it was decided",
    "max_params": "--max-params",
    "max_madds": "--max-madds",
    "max_latency": "--max-latency",
    "variants_only": "--variants-only",
    "device": "the device that computes",
    "threads": "the threads of each worker",
    "layout": "how images lie in memory",
    "loss": "which losses the study's runs have",
    "classes": "--classes",
    "resize": "--resize",
    "grayscale": "--grayscale",
    "skip_bad": "--skip-bad",
}
METRICS = {
    "train_loss": "running mean over the epoch, in nats",
    "train_accuracy": "running mean over the epoch",
    "validation_loss": "mean -ln p(true class) of the validation images, in nats",
    "validation_accuracy": "share of right answers on the validation images",
    "validation_macro_f1": "F1 score, averaged over the classes",
    "validation_balanced_accuracy": "recall, averaged over the classes",
    "train_softmax_loss": "with softmax_output: the cross-entropy that is minimised",
    "validation_softmax_loss": "with softmax_output: the same of the validation images",
    "penalty": "weight decay as a term of the loss, where it is not 0",
    "lr": "learning rate of the epoch's last step",
    "gradient_norm": "mean norm of the gradients before clipping",
    "images_per_second": "training images a second of training",
    "epoch_seconds": "seconds of the epoch, its validation included",
    "aux_*": "accuracies of auxiliary heads",
    "n_parameters": "parameters of the network, once",
    "macro_precision": "precision, averaged over the classes, after the last epoch",
    "macro_recall": "recall, averaged over the classes, after the last epoch",
    "thresholded_precision": "precision at a probability above 0.5, after the last epoch",
    "thresholded_recall": "recall at a probability above 0.5, after the last epoch",
    "*_sd": "standard deviation of the metric over folds and repeats",
}
# Metrics of test evaluations have the role of the network before their names (champion_accuracy).
TESTED = {
    "accuracy": "share of right answers",
    "low": "lower end of its 95 % interval",
    "high": "upper end of its 95 % interval",
    "loss": "mean -ln p(true class), in nats",
    "balanced_accuracy": "recall, averaged over the classes",
    "macro_precision": "precision, averaged over the classes",
    "macro_recall": "recall, averaged over the classes",
    "macro_f1": "F1 score, averaged over the classes",
}
ARTIFACTS = {
    "space.toml": "the space file, with what --set has changed",
    "environment.json": "libraries and machine",
    "config.json": "all that a training starts from",
    "layers.csv": "the layers of a network, with parameters and multiply-adds",
    "ranking.csv": "the trials of a study, best first",
    "variants.csv": "the table of sweeper search --variants-only",
    "search/*": "pictures of a study: its history, the importance of its parameters, its frontier",
    "curves/*": "learning curves and learning rates",
    "confusion/*": "confusion matrices",
    "weights/*": "the network's weights (safetensors), with config.json",
    "report/*": "the page of sweeper report",
    "explain/*": "the pictures of sweeper explain",
    "export/*": "the files of sweeper export",
    "init.json": "the weights that a training started from",
    "error.txt": "the traceback of a failed training",
    "estimate.json": "the estimate of a finalist on the confirm images",
    "found.json": "what a promotion has found, without its test",
    "promotion.json": "what sweeper promote --json prints",
    "ablation.json": "what sweeper ablate --json prints",
    "ablation.csv": "the same as a table",
    "ablation.png": "the same as a picture",
    "result.json": "what an evaluation has measured",
    "predictions.csv": "each evaluated image with its label and predictions",
    "per_class_accuracy.csv": "accuracies by class",
    "summary.json": "what sweeper data info --json prints",
    "*.png": "of a logged data set: class distribution, samples, mean and standard deviation of the pixels",
}

PAGE = """# What stands where in MLflow

## Experiments and runs

The experiment of a study is named after its data set; other data of that name get `NAME-HASH`. The experiment
`{ledger}` has the test evaluations. Runs are nested: the runs of trials below the study's, those of trainings below
the trial's.

{runs}
The status of a run is MLflow's word for its tag `sweeper.state`; a run that was stopped before its end is KILLED, so
that the best FINISHED run is never a partial one.

{status}
## Tags

{tags}
## Parameters

A run of a trial or training has each field of its configuration under the name that it has in a
[space file](space-file.md). A study's run has the protocol's fields. Besides, there are

{params}
## Metrics

Metrics of a training have a value for each epoch.

{metrics}
A test evaluation or other evaluation has these metrics, in a test evaluation with the role of the network before the
name (`champion_accuracy`):

{tested}
## Artifacts

{artifacts}
## Registered models

A promotion registers its refitted finalists as versions of `sweeper-STUDY`, with the aliases `champion` and
`challenger`. Tags of a version:

{models}"""


def page() -> str:
    runs = [(code(kind), name, above, meaning) for kind, (name, above, meaning) in RUNS.items()]
    return PAGE.format(
        ledger=EXPERIMENT,
        runs=table(("kind", "name", "below", "what it is of"), runs),
        status=table(("state", "status"), [(code(str(state)), status) for state, status in STATUS.items()]),
        tags=_meanings("tag", TAGS),
        params=_meanings("parameter", PARAMS),
        metrics=_meanings("metric", METRICS),
        tested=_meanings("metric", TESTED),
        artifacts=_meanings("artifact", ARTIFACTS),
        models=_meanings("tag", MODEL_TAGS),
    )


def _meanings(head: str, meanings: dict[str, str]) -> str:
    return table((head, "meaning"), [(code(name), meaning) for name, meaning in meanings.items()])
