"""Logs a data set as an MLflow run of its own, with plots and metrics of its content."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure
from mlflow.entities import Metric

from sweeper.events import State
from sweeper.store.layout import Store
from sweeper.tracking.client import connect, params_of, reaching, search_runs, tags_of
from sweeper.tracking.names import experiment_of
from sweeper.tracking.places import check_run
from sweeper.tracking.user import user_tag

KIND = "data"
SUMMARY = "summary.json"


def log_data_set(
    store: Store,
    name: str,
    data_sha256: str,
    content: str,
    *,
    summary: Mapping[str, Any],
    tags: Mapping[str, str],
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    plots: Mapping[str, Callable[[], Figure]],
) -> str:
    """Logs a data set in its experiment, once for each `content` (a hash); returns the run's id.

    A complete run stays as it is; an interrupted one is written again, in the same run. `plots` are functions by file
    name, called only when their plots are written. `data_sha256` is the hash of the training files. Raises SweeperError
    if MLflow cannot be used.
    """
    client = connect(store)
    with reaching(store.tracking_uri):
        experiment = experiment_of(client, store, name, data_sha256)
        query = f"tags.`sweeper.kind` = '{KIND}' AND tags.`sweeper.data_content` = '{content}'"
        found = search_runs(client, experiment, query)
        complete = [run for run in found if run.data.tags.get("sweeper.state") == "complete"]
        if complete:
            return str(complete[0].info.run_id)
        if found:
            run_id = str(found[0].info.run_id)
        else:
            identity = {"sweeper.kind": KIND, "sweeper.data_content": content, **user_tag()}
            run_id = str(check_run(client.create_run(experiment, run_name=f"{name} data", tags=identity)).info.run_id)
        now = int(time.time() * 1000)
        batch = [Metric(metric, value, now, 0) for metric, value in metrics.items()]
        client.log_batch(run_id, metrics=batch, params=params_of(params), tags=tags_of(tags))
        client.log_text(run_id, json.dumps(summary, indent=2), SUMMARY)
        for file, draw in plots.items():
            client.log_figure(run_id, draw(), file)
        client.set_terminated(run_id, "FINISHED")
        # This must come last: a complete run is never written again.
        client.set_tag(run_id, "sweeper.state", str(State.COMPLETE))
    return run_id
