"""Trainings of a promotion that a search begins on workers without a trial, and that the promotion goes on from."""

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import optuna

from sweeper.engine.job import TrialJob
from sweeper.events import Listener, Note
from sweeper.promotion.finalists import certain
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.options import PromotionOptions
from sweeper.runs.batch import Training
from sweeper.runs.plan import Plan
from sweeper.store.layout import Store
from sweeper.store.locks import writing
from sweeper.studies import trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.baseline import baseline_of
from sweeper.studies.trial_records import TrialRecord
from sweeper.training import checkpoint

# No training is begun with less free space for it and for each that runs: a network of 70 million parameters takes as
# much with its checkpoint of Adam, while that is written anew. The search's own files need the rest.
LEAST_FREE = 2 << 30


def idle_jobs(
    study: optuna.Study, planned: Plan, store: Store, processor: str, listener: Listener
) -> Callable[[int, int], TrialJob | None]:
    """A function that gives the next training of the head start (Context.idle_job).

    `processor` is the kind of processor or GPU that the search trains on.
    """
    return _HeadStart(study, planned, store, processor, listener).next_job


class _HeadStart:
    """The trainings with fresh seeds that a promotion with the usual options needs, whatever the search still finds.

    They are the promotion's own jobs except for their folder. The search reads nothing of them. Kept are those of the
    baseline and of the best trials so far, from each kind of processor: a promotion on that kind goes on from them.
    """

    def __init__(self, study: optuna.Study, planned: Plan, store: Store, processor: str, listener: Listener) -> None:
        name, study_id = study.study_name, id_of(study)
        self._study, self._spec, self._listener = study, spec_of(study), listener
        self._jobs = PromotionJobs(name, study_id, self._spec, planned.training_set, planned.execution, store)
        self._folder = _folder(store, name, study_id) / _name(processor)
        self._waiting: deque[TrialJob] = deque()
        self._given: set[Path] = set()  # the folders of the trainings that workers may still be in
        self._planned: set[int] = set()  # the trials whose jobs were found
        self._n_open = -1  # when they were last looked for
        self._told = False

    def next_job(self, n_open: int, n_running: int) -> TrialJob | None:
        """The next training; None if no further one is certain to be needed, or the disk has too little room for it."""
        if n_open != self._n_open:  # otherwise no further trial has completed
            self._n_open = n_open
            trials = trial_records.records(self._study)
            self._discard_overtaken(trials)
            for trial in certain(trials, self._spec, PromotionOptions.top, n_open):
                if trial.number not in self._planned:
                    self._planned.add(trial.number)
                    self._waiting += self._left(trial)
        if not self._waiting:
            return None
        if shutil.disk_usage(self._jobs.store.root).free < LEAST_FREE * (n_running + 1):
            return None
        job = self._waiting.popleft()
        self._given.add(job.folder)
        if not self._told:
            self._told = True
            text = "No trial is left to start: idle workers begin the trainings of a promotion, which goes on from them"
            self._listener(Note(text))
        return job

    def _discard_overtaken(self, trials: Sequence[TrialRecord]) -> None:
        """Deletes what was begun for trials that are among the best no more, and plans no more of it.

        What this command has given to a worker may still train, and is left to the next one: the baseline of the study
        is another trial once that of the variant has failed and a later one of its configuration is complete.
        """
        best = [trial.number for trial in certain(trials, self._spec, PromotionOptions.top, 0)]
        begun = self._folder.parent
        kept = {folder for number in best for folder in begun.glob(f"*/trial-{number}-seed-*")}
        for folder in set(begun.glob("*/*")) - kept - self._given:
            shutil.rmtree(folder, ignore_errors=True)
        self._waiting = deque(job for job in self._waiting if job.number in best)

    def _left(self, trial: TrialRecord) -> Iterator[TrialJob]:
        """The trial's trainings that neither a promotion has begun nor an earlier command has completed."""
        for number, (key, job) in enumerate(self._fresh(trial), 1):
            ahead = replace(job, folder=self._folder / key, label=f"fresh seed {number}")
            if not job.folder.exists() and not checkpoint.holds(ahead.weights, ahead.identity):
                yield ahead

    def _fresh(self, trial: TrialRecord) -> Iterator[tuple[str, TrialJob]]:
        """The keys and jobs of the trial's trainings for order and estimate."""
        configuration = trial.configuration or baseline_of(self._spec)
        assert configuration is not None
        for number in range(1, 2 * PromotionOptions.seeds + 1):
            yield self._jobs.fresh_job(trial.number, configuration, self._spec.n_epochs(trial.variant), number)


def take_over(jobs: PromotionJobs, trainings: Sequence[Training], listener: Listener, processor: str) -> None:
    """Moves what the search has trained on this kind of processor or GPU to the trainings' own folders, with a note.

    Raises SweeperError if the store cannot be written to.
    """
    ahead, taken = _folder(jobs.store, jobs.study_name, jobs.study_id) / _name(processor), 0
    for training in trainings:
        folder = ahead / training.key
        if folder.is_dir() and not training.job.folder.exists():
            with writing(training.job.folder):
                os.rename(folder, training.job.folder)
            taken += 1
    if taken:
        listener(Note(f"The search has begun {taken} of these {len(trainings)} trainings; they go on from there"))


def is_trained(jobs: PromotionJobs, training: Training, processor: str) -> bool:
    """Whether a training's network lies in the store, from an earlier promotion or from the search's workers.

    `processor` is the kind on which the promotion trains: of other kinds it takes nothing over.
    """
    ahead = _folder(jobs.store, jobs.study_name, jobs.study_id) / _name(processor) / training.key
    found = [training.job, replace(training.job, folder=ahead)]
    return any(checkpoint.holds(job.weights, job.identity) for job in found)


def checkpoints(store: Store, study: optuna.Study) -> list[Path]:
    """The checkpoints of the trainings that no promotion has taken over."""
    return sorted(_folder(store, study.study_name, id_of(study)).glob("*/*/checkpoint.safetensors"))


def discard(store: Store, study: str, study_id: str) -> None:
    """Deletes what no training has taken over, once the promotion is complete."""
    shutil.rmtree(_folder(store, study, study_id), ignore_errors=True)


def _folder(store: Store, study: str, study_id: str) -> Path:
    return store.promotions_folder(study, study_id) / "head-start"


def _name(processor: str) -> str:
    """Another kind of processor rounds in another way: its trainings go on from none of this one."""
    return hashlib.sha256(processor.encode()).hexdigest()[:12]
