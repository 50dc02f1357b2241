"""A promotion with its one test evaluation, killed at every step."""

import mlflow
import pytest

from tests.commands.processes import STUDY
from tests.faults import outcomes

pytestmark = pytest.mark.fault

MODEL = f"sweeper-{STUDY}"
# In the order in which a promotion reaches them. Each command starts from the state that the ones before have left.
KILL_POINTS = (
    ("after", "sweeper.runs.batch:log_epoch", 3),  # in the first training with a fresh seed
    ("before", "mlflow:MlflowClient.set_terminated", 2),  # a training has ended, MLflow does not know it yet
    ("after", "sweeper.promotion.jobs:PromotionJobs.predictions", 1),  # all fresh seeds are trained
    ("after", "sweeper.runs.batch:log_epoch", 3),  # in a refit
    ("before", "sweeper.tracking.registry:Registry.register", 1),  # all refits are trained
    ("after", "mlflow:MlflowClient.create_logged_model", 1),  # the model exists in MLflow, its files do not
    ("before", "mlflow:MlflowClient.create_registered_model", 1),  # the model is logged
    ("after", "mlflow:MlflowClient.create_model_version", 1),  # one of two versions exists
    ("after", "mlflow:MlflowClient.set_registered_model_alias", 1),  # one of two aliases is set
    ("after", "sweeper.tracking.ledger:Ledger.begin", 1),  # the ledger announces the test evaluation
    ("before", "sweeper.tracking.ledger:Ledger.complete", 1),  # the test set was evaluated
    ("after", "mlflow:MlflowClient.log_figure", 1),  # the test evaluation is half recorded
    ("after", "sweeper.tracking.ledger:Ledger.complete", 1),
)


def test_promotion_killed_at_each_step_registers_and_tests_once(workplace):
    workplace.search("--trials", 2, "--epochs", 3, "--subset", 400).ended()
    arguments = ("promote", STUDY, "--top", 2, "--seeds", 1, "--jobs", 1, "--device", "cpu")
    places = ("--data-dir", workplace.data, "--store", workplace.store)
    for point in KILL_POINTS:
        assert workplace.driver.start(*arguments, "--test", *places, die=point, stand_ins=True).wait() == -9, point
    # The last killed command has completed the test evaluation: it is shown, and not repeated.
    outcome = workplace.driver.start(*arguments, "--test", *places, "--json", stand_ins=True).ended().json

    finalists = outcome["finalists"]
    assert len(finalists) == 2
    client = mlflow.MlflowClient(*[f"sqlite:///{workplace.store}/mlflow.db"] * 2)
    versions = {str(v.version): v for v in client.search_model_versions(f"name = '{MODEL}'")}
    assert set(versions) == {f["version"] for f in finalists} == {"1", "2"}
    aliases = {alias: str(v) for alias, v in client.get_registered_model(MODEL).aliases.items()}
    assert aliases == {f["alias"]: f["version"] for f in finalists}
    assert set(aliases) == {"champion", "challenger"}
    evaluations = workplace.run("ledger", "--json").json["looks"]
    assert [(evaluation["study"], evaluation["complete"]) for evaluation in evaluations] == [(STUDY, True)]
    assert outcome["test_looks"] == 1
    assert all(f["test"]["accuracy"] is not None for f in finalists)

    # Each finalist has two fresh seeds and a refit; each of these is one run, with each epoch once.
    [promotion] = outcomes.parents(workplace.store, STUDY, "promotion")
    assert promotion.info.status == "FINISHED"
    query = f"tags.`mlflow.parentRunId` = '{promotion.info.run_id}'"
    trainings = client.search_runs([promotion.info.experiment_id], query)
    assert len({run.data.tags["sweeper.training"] for run in trainings}) == len(trainings) == 6
    for run in trainings:
        assert run.info.status == "FINISHED"
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")]
        assert steps == [1, 2, 3]
