"""The results of a space's named variants: a table that includes the reported results, and plots."""

from collections.abc import Sequence
from typing import Any

import optuna

from sweeper.config import TrainConfig
from sweeper.events import State
from sweeper.models import families, layers
from sweeper.plots import Plot
from sweeper.runs.record import CURVES
from sweeper.runs.variant_result import SHOWN_METRICS, VariantResult
from sweeper.spaces.space import Space
from sweeper.studies import trial_records, variant_curves
from sweeper.studies.attributes import spec_of
from sweeper.tracking.csv_text import csv_text
from sweeper.training.loop import batch_bounds
from sweeper.training.optimizers import learning_rate, momentum

# Points of a learning-rate curve per epoch: enough to show the rise in a warm-up of one epoch.
POINTS = 20


def results(
    study: optuna.Study, space: Space, input_shape: tuple[int, int, int], n_classes: int
) -> list[VariantResult]:
    """The results of the complete variants, the highest validation accuracy first."""
    # By configuration: if an override makes two variants equal, only one of them was trained.
    complete = {
        trial.configuration.key(): trial
        for trial in trial_records.records(study)
        if trial.state == State.COMPLETE and trial.configuration is not None
    }
    baseline = complete.get(space.variants["baseline"].configuration.key())
    spec = spec_of(study)
    n_trainings = len(spec.trainings)
    found = []
    for name, variant in space.variants.items():
        trial = complete.get(variant.configuration.key())
        if trial is None:
            continue
        network = families.trace(variant.configuration.model, input_shape, n_classes)
        accuracy = trial.metrics["validation_accuracy"]
        found.append(
            VariantResult(
                variant=name,
                trial=trial.number,
                metrics=trial.metrics,
                epochs=spec.n_epochs(trial.variant),
                n_trainings=n_trainings,
                difference=accuracy - baseline.metrics["validation_accuracy"] if baseline else None,
                n_parameters=layers.n_parameters(network),
                n_multiply_adds=layers.n_multiply_adds(network),
                seconds=trial.metrics["training_seconds"],
                reported=space.reported_on(spec.dataset, variant),
            )
        )
    return sorted(found, key=lambda result: -result.metrics["validation_accuracy"])


def results_table(found: Sequence[VariantResult]) -> str:
    """The results as CSV; reported results have their own columns, named after their split."""
    reported = [
        {f"reported_{entry['split']}_{name}": value for entry in result.reported for name, value in entry.items()}
        for result in found
    ]
    names = [name for name in dict.fromkeys(name for row in reported for name in row) if not name.endswith("_split")]
    measured = [name for name in SHOWN_METRICS if any(name in result.metrics for result in found)]
    spread = [name for name in measured if any(f"{name}_sd" in result.metrics for result in found)]
    head = (
        "rank", "variant", "trial", *measured, *(f"{name}_sd" for name in spread), "difference", "epochs",
        "n_trainings", "n_parameters", "n_multiply_adds", "seconds", *names,
    )  # fmt: skip
    rows = [
        (
            rank, result.variant, result.trial, *(result.metrics.get(name) for name in measured),
            *(result.metrics.get(f"{name}_sd") for name in spread), result.difference, result.epochs,
            result.n_trainings, result.n_parameters, result.n_multiply_adds, round(result.seconds, 1),
            *(row.get(name) for name in names),
        )
        for rank, (result, row) in enumerate(zip(found, reported, strict=True), start=1)
    ]  # fmt: skip
    return csv_text(head, rows)


def plots_of(study: optuna.Study, found: Sequence[VariantResult], space: Space, n_train: int) -> dict[str, Plot]:
    """The plots by file name: each variant's learning curves, all learning curves in one plot, and the learning rates.

    `n_train` is the number of images that an epoch trains on.
    """
    plots = {}
    overlaid, rates = [], []
    for result in found:
        assert result.trial is not None
        name, trainings = result.variant, variant_curves.load(study, result.trial)
        title = f"Learning curves, {name}"
        plots[f"{CURVES}/{_file_name(result)}.png"] = Plot(
            "mean_learning_curves", {"trainings": trainings, "title": title}
        )
        overlaid.append({"name": name, "trainings": trainings})
        rates.append({"name": name, **_rates(space.variants[name].configuration.train, result.epochs, n_train)})
    return plots | {
        f"{CURVES}/all_variants.png": Plot(
            "overlaid_curves", {"variants": overlaid, "title": f"{space.name}: all variants"}
        ),
        f"{CURVES}/learning_rates.png": Plot(
            "learning_rates", {"variants": rates, "title": f"{space.name}: learning rates"}
        ),
    }


def _file_name(result: VariantResult) -> str:
    """A file name for the variant, whose name may have any printable characters; the trial's number makes it unique."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in result.variant)
    return f"{result.trial}-{plain}"


def _rates(config: TrainConfig, epochs: int, n_train: int) -> dict[str, Any]:
    """The learning rates over the epochs of a training, and the momenta if they are cycled."""
    per_epoch = len(batch_bounds(n_train, config.batch_size))
    steps = [i * per_epoch // POINTS for i in range(epochs * POINTS)]
    momenta = [momentum(config, step, per_epoch, epochs) for step in steps]
    return {
        "steps": [i / POINTS for i in range(epochs * POINTS)],
        "rates": [learning_rate(config, step, per_epoch, epochs) for step in steps],
        "momenta": None if None in momenta else momenta,
    }
