"""Logs the evaluation of a trained network as an MLflow run of its own, below the run that trained the network."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from sweeper.events import State
from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.tracking.client import ROOT, reaching, tags_of
from sweeper.tracking.places import check_experiment, check_run
from sweeper.tracking.user import user_tag
from sweeper.tracking.weights import run_of

KIND = "evaluation"
RESULT = "result.json"


def log(
    store: Store,
    run_id: str,
    name: str,
    *,
    tags: Mapping[str, str],
    result: Mapping[str, Any],
    metrics: Mapping[str, float],
    texts: Mapping[str, str],
    plots: Mapping[str, Plot],
    option: str,
) -> tuple[str, str]:
    """Logs a finished evaluation of the network that the run `run_id` has trained, in that run's experiment.

    Returns the ids of the new run and of its experiment. Raises UsageError, naming the option, if the run is gone, and
    SweeperError if MLflow cannot be used.
    """
    client, model = run_of(store, run_id, option)
    experiment = model.info.experiment_id
    with reaching(store.tracking_uri):
        check_experiment(client.get_experiment(experiment), store)
        # Below the study's or promotion's run, like all that is deleted with it.
        above = {MLFLOW_PARENT_RUN_ID: run_id, ROOT: model.data.tags.get(ROOT, run_id)}
        identity = {**above, "sweeper.kind": KIND, **user_tag(), "sweeper.state": State.RUNNING}
        made = check_run(client.create_run(experiment, tags={**tags, **identity}, run_name=name)).info.run_id
        try:
            for file, text in {**texts, RESULT: json.dumps(result, indent=2)}.items():
                client.log_text(made, text, file)
            for file, plot in plots.items():
                client.log_figure(made, plot.draw(), file)
            now = int(time.time() * 1000)
            batch = [Metric(metric, value, now, 0) for metric, value in metrics.items()]
            client.log_batch(made, metrics=batch, tags=tags_of({"sweeper.state": State.COMPLETE}))
            client.set_terminated(made, "FINISHED")
        except BaseException:
            # It would be shown as running for ever. What hindered the writes may hinder this one, too.
            with suppress(MlflowException, SQLAlchemyError, OSError):
                client.set_tag(made, "sweeper.state", str(State.FAILED))
                client.set_terminated(made, "FAILED")
            raise
    return made, str(experiment)
