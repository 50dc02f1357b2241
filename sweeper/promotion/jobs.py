"""The trainings of a promotion or an ablation: jobs, worker pool and weights, and their networks' predictions."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sweeper.config import Configuration
from sweeper.data.splits import Indices
from sweeper.data.training_set import TrainingSet
from sweeper.engine.base import Engine
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob
from sweeper.engine.start import start_workers
from sweeper.engine.workload import Workload
from sweeper.errors import SweeperError
from sweeper.models.predictor import RawPixels, load_network, logits_of
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.set_back import SetBack
from sweeper.runs import pretrained_weights, processor_file
from sweeper.runs.batch import Training
from sweeper.runs.record import texts
from sweeper.store.layout import Store
from sweeper.studies.seeds import derive_seed
from sweeper.studies.spec import StudySpec


def key_of(stem: str, identity: str) -> str:
    """`stem` with a hash of what determines the weights: another configuration, seed or data gives another key."""
    return f"{stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class PromotionJobs:
    """Makes the trainings of a promotion or an ablation from the study's data and this command's devices."""

    study_name: str
    study_id: str
    spec: StudySpec
    training_set: TrainingSet
    execution: Execution
    store: Store

    def fresh_seed(self, finalist: Finalist, number: int) -> Training:
        """Training of the finalist on the train part, with a seed that the search did not use; numbers start at 1."""
        seed = derive_seed(self.spec.seed, "fresh", number)
        return self._training(finalist, f"seed-{number}", f"{finalist.name}, seed {number}", seed, "train")

    def ablated(self, champion: Finalist, choice: SetBack, number: int) -> Training:
        """Training like `fresh_seed`, of the champion with a choice set back."""
        assert choice.configuration is not None
        changed = replace(champion, configuration=choice.configuration, epochs=choice.epochs)
        training = self.fresh_seed(changed, number)
        # Its network is not the trial's.
        tags = {name: value for name, value in training.tags.items() if name != "sweeper.trial"}
        tags |= {"sweeper.champion_trial": str(champion.trial), "sweeper.set_back": choice.name}
        return replace(training, name=f"{champion.name}, {choice.name} set back, seed {number}", tags=tags)

    def refit(self, finalist: Finalist) -> Training:
        """Training of the finalist on the whole training set."""
        seed = derive_seed(self.spec.seed, "refit")
        return self._training(finalist, "refit", f"{finalist.name}, refit", seed, "pool")

    def recorded(self, refit: Training, key: str | None) -> Training:
        """The refit whose network an earlier command has recorded under `key`, perhaps on another device.

        Raises SweeperError if its weights are no longer in the store.
        """
        key = key or refit.key
        job = replace(refit.job, folder=self.store.training_folder(self.study_name, self.study_id, key))
        if not job.weights.exists():
            raise SweeperError(f"the weights of {refit.name} are gone ({job.weights}): --again trains them anew")
        return replace(refit, key=key, job=job)

    @property
    def processor(self) -> Path:
        """The file of the kind of processor or GPU on which trainings with this kind of device began."""
        name = f"processor-{self.execution.kind.replace(', ', '-')}.txt"
        return self.store.promotions_folder(self.study_name, self.study_id) / name

    def workers(self, train: Indices, validation: Indices, execution: Execution) -> Engine:
        """Workers that see these images of the training set, and no others.

        `execution` is that of these jobs, maybe with fewer processes.

        Raises SweeperError if the images cannot be written for them, or a worker cannot be started.
        """
        scalings = [(self.spec.mean, self.spec.std)]
        folds = [(train, validation)]
        workload = Workload(self.training_set, folds, scalings, self.store, self.study_name, self.study_id)
        required = processor_file.read(self.processor)
        return start_workers(workload, replace(execution, required_processor=required))

    def network(self, training: Training) -> RawPixels:
        """Loads the trained network. Raises SweeperError if its weights cannot be read."""
        try:
            return load_network(
                training.job.configuration.model,
                self.training_set.input_shape,
                len(self.training_set.classes),
                training.job.weights,
                *self.spec.scaling(training.job.configuration.model),
                test_flip=self.spec.protocol.test_flip,
            )
        except ValueError as error:
            raise SweeperError(str(error)) from error

    def logits(self, training: Training, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The trained network's logits for raw images, shape (n, classes)."""
        return logits_of(self.network(training), images, torch.device(self.execution.device_here))

    def predictions(self, trainings: Sequence[Training], part: Indices) -> Predictions:
        """What the trainings' networks make of the images of the part, in the study's metric."""
        images, labels = self.training_set.images[part], self.training_set.labels[part]
        return Predictions.of(self.spec.metric, labels, [self.logits(training, images) for training in trainings])

    def fresh_job(self, trial: int, configuration: Configuration, epochs: int, number: int) -> tuple[str, TrialJob]:
        """The key and the job of `fresh_seed` for a trial of the search."""
        seed = derive_seed(self.spec.seed, "fresh", number)
        return self._job(trial, configuration, epochs, f"seed-{number}", seed, "train")

    def _job(
        self, trial: int, configuration: Configuration, epochs: int, stem: str, seed: int, part: str
    ) -> tuple[str, TrialJob]:
        spec = self.spec
        # What decides the weights besides configuration, seed and epochs; a stored identity depends on the order.
        data = (spec.data_sha256, spec.split_sha256, spec.mean, spec.std)
        arithmetic = (self.execution.kind, self.execution.threads, self.execution.layout)
        job = TrialJob(
            number=trial,
            configuration=configuration,
            epochs=epochs,
            seed=seed,
            folder=Path(),
            data_key=json.dumps([part, *data, *arithmetic]),
            test_flip=spec.protocol.test_flip,
            pretrained=pretrained_weights.for_job(spec, configuration.model),
        )
        key = key_of(f"trial-{trial}-{stem}", job.identity)
        return key, replace(job, folder=self.store.training_folder(self.study_name, self.study_id, key))

    def _training(self, finalist: Finalist, stem: str, name: str, seed: int, part: str) -> Training:
        key, job = self._job(finalist.trial, finalist.configuration, finalist.epochs, stem, seed, part)
        tags = {"sweeper.study": self.study_name, "sweeper.trial": str(finalist.trial), "sweeper.part": part}
        artifacts = texts(
            self.spec,
            finalist.configuration,
            epochs=finalist.epochs,
            seed=seed,
            input_shape=self.training_set.input_shape,
            preprocessing=self.training_set.preprocessing(self.spec.data_options),
            classes=self.training_set.classes,
        )
        return Training(key, name, job, tags, artifacts)
