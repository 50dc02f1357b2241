"""The runs of one trial in MLflow: their metrics and artifacts, and which of them have weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient

from sweeper.store.layout import Store
from sweeper.tracking import weights
from sweeper.tracking.client import reaching
from sweeper.tracking.places import check_experiment
from sweeper.tracking.run_writer import WEIGHTS


@dataclass(frozen=True)
class TrialRun:
    """A run of a trial: its own, or that of one of its trainings, whose `training` is such as "fold 2".

    `metrics` are the last ones by name, `artifacts` the paths of its files.
    """

    training: str
    run_id: str
    state: str
    seed: str | None
    metrics: Mapping[str, float]
    artifacts: Sequence[str]

    @property
    def has_weights(self) -> bool:
        return f"{WEIGHTS}/{weights.FILE}" in self.artifacts


def read(store: Store, run_id: str) -> list[TrialRun]:
    """The trial's own run, and those below it, the earliest first.

    Raises UsageError if MLflow does not have the run, and SweeperError if MLflow cannot be used.
    """
    client, own = weights.run_of(store, run_id, "--trial")
    with reaching(store.tracking_uri):
        check_experiment(client.get_experiment(own.info.experiment_id), store)
        return [
            TrialRun(
                training="" if run is own else str(run.info.run_name).removeprefix(f"{own.info.run_name}, "),
                run_id=str(run.info.run_id),
                state=run.data.tags.get("sweeper.state", run.info.status.lower()),
                seed=run.data.params.get("seed"),
                metrics=dict(run.data.metrics),
                artifacts=sorted(_files(client, run.info.run_id)),
            )
            for run in [own, *weights.below(client, own)]
        ]


def _files(client: MlflowClient, run_id: str, folder: str | None = None) -> Iterator[str]:
    for entry in client.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from _files(client, run_id, entry.path)
        else:
            yield entry.path
