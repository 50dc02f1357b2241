"""Makes the engine's jobs for the trainings of a configuration."""

import json
from collections.abc import Callable
from pathlib import Path

from sweeper.config import Configuration
from sweeper.engine.job import TrialJob
from sweeper.runs import pretrained_weights
from sweeper.studies.spec import RunSpec


def jobs_of(
    spec: RunSpec,
    configuration: Configuration,
    *,
    number: int,
    epochs: int,
    folder: Path,
    seed_of: Callable[[int], int],
) -> list[TrialJob]:
    """One job for each fold and repeat, the folds of the first repeat first.

    `seed_of` returns the seed of a repeat, counted from 0. Each training has its own folder in `folder`.
    """
    decisive = (spec.data_sha256, spec.split_sha256, spec.mean, spec.std, spec.device, spec.threads, spec.layout)
    data_key = json.dumps(decisive)
    return [
        TrialJob(
            number=number,
            configuration=configuration,
            epochs=epochs,
            seed=seed_of(training.repeat),
            folder=folder / training.label,
            data_key=data_key,
            fold=training.fold,
            label=training.label,
            test_flip=spec.protocol.test_flip,
            pretrained=pretrained_weights.for_job(spec, configuration.model),
        )
        for training in spec.trainings
    ]
