"""The page of MLflow's UI that shows the latest study."""

from functools import partial

from sweeper.store.layout import Store
from sweeper.tracking.client import PAGE, connect, of_all_pages, reaching

# Without this, MLflow shows an experiment in the form for language models, where runs have no metrics.
_FORM = "workflowType=machine_learning"


def runs_page(store: Store) -> str:
    """The place in MLflow's UI, as it follows the server's address, of the latest study's experiment.

    It is the experiment of sweeper's latest run if there is no study, and the list of experiments if there is no run.
    Raises SweeperError if MLflow cannot be used.
    """
    with reaching(store.tracking_uri):
        client = connect(store)
        everything = of_all_pages(partial(client.search_experiments, max_results=PAGE))
        experiments = [experiment.experiment_id for experiment in everything]
        for query in ("tags.`sweeper.kind` = 'study'", "tags.`sweeper.kind` LIKE '%'"):
            # The latest run comes first.
            for run in client.search_runs(experiments, query, max_results=1):
                return f"/#/experiments/{run.info.experiment_id}/runs?{_FORM}"
    return f"/#/experiments?{_FORM}"
