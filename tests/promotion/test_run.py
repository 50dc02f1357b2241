"""Promotions of real, tiny studies, with a real MLflow store."""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

from sweeper.data.source import DataSource
from sweeper.data.splits import Split
from sweeper.data.test_set import load_test_set
from sweeper.engine.job import train_trial
from sweeper.errors import SweeperError
from sweeper.images.image_set import PixelFormat
from sweeper.promotion import last_steps, run
from sweeper.runs.stop import StopRequest
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_study
from sweeper.tracking import descriptions, ledger_file, mlflow_model, outbox_worker, promotions
from sweeper.tracking.ledger import Ledger
from sweeper.tracking.registry import Registry
from sweeper.tracking.run_writer import RunWriter
from sweeper.training.epoch_metrics import Diverged
from tests.engine.inline import InlinePool
from tests.tracking import stand_ins


def client_of(workplace):
    uri = f"sqlite:///{workplace.store}/mlflow.db"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def versions_of(workplace, study):
    found = client_of(workplace).search_model_versions(f"name = 'sweeper-{study}' AND tags.`sweeper.study` = '{study}'")
    return {str(version.version): version for version in found}


def looks_of(workplace, study):
    evaluations = json.loads(workplace.run("ledger", "--store", workplace.store, "--json").stdout)["looks"]
    return [evaluation for evaluation in evaluations if evaluation["study"] == study]


def alias(workplace, study, name):
    found = client_of(workplace).get_registered_model(f"sweeper-{study}").aliases.get(name)
    return None if found is None else str(found)


def test_finalists_are_retrained_ordered_estimated_refitted_and_registered(workplace):
    best = workplace.search("whole")["best_trial"]
    InlinePool.made.clear()
    outcome = workplace.promoted("whole", "--top", 2, "--seeds", 2, "--replace")
    assert set(outcome) >= {
        "schema_version", "study_name", "model_name", "finalists", "comparisons", "verdict", "test_looks",
    }  # fmt: skip
    assert (outcome["schema_version"], outcome["study_name"], outcome["model_name"]) == (1, "whole", "sweeper-whole")
    finalists = outcome["finalists"]
    assert [f["alias"] for f in finalists][:2] == ["champion", "challenger"]
    assert all(f["alias"] is None for f in finalists[2:])
    assert 0 in [f["trial"] for f in finalists]  # the baseline
    assert best["number"] in [f["trial"] for f in finalists]
    means = [f["validation"]["mean"] for f in finalists]
    assert means == sorted(means, reverse=True)
    for finalist in finalists:
        assert set(finalist["params"]) == {"filters", "activation", "lr"}
        assert finalist["validation"]["n_seeds"] == 2
        assert finalist["validation"]["sd"] is not None
        assert finalist["confirm"]["low"] <= finalist["confirm"]["accuracy"] <= finalist["confirm"]["high"]
        assert finalist["test"] is None
    assert outcome["test_looks"] == 0
    assert {c["part"] for c in outcome["comparisons"]} == {"confirm"}
    assert "No choice was made on these images." in outcome["verdict"]

    # Neither the fresh seeds' workers nor those of the search had the confirm part; the refits had everything.
    seeds, refits = InlinePool.made
    assert [len(part[1]) for part in (seeds.train_part, seeds.validation_part)] == [210, 30]
    assert [len(part[1]) for part in (refits.train_part, refits.validation_part)] == [300, 0]

    made = versions_of(workplace, "whole")
    assert set(made) == {f["version"] for f in finalists}
    aliases = [alias(workplace, "whole", name) for name in ("champion", "challenger")]
    assert aliases == [f["version"] for f in finalists[:2]]


@pytest.mark.parametrize(("metric", "label"), [("macro_f1", "macro F1"), ("loss", "loss")])
def test_the_metric_of_the_search_decides_everything_in_the_promotion(workplace, metric, label):
    study = f"by-{metric}"
    workplace.search(study, "--trials", 2, "--metric", metric)
    result = workplace.promote(study, "--top", 1, "--seeds", 2, "--test")
    shown, outcome = result.stdout, workplace.promoted(study, "--top", 1, "--seeds", 2)
    # Two seeds for the order, two for the estimate, and a refit.
    assert f"refitted on all images of the study. {5 * len(outcome['finalists'])} trainings, " in result.stderr
    assert " trainings, which take less than a minute with 1 worker.\n" in result.stderr
    assert outcome["metric"] == metric
    means = [finalist["validation"]["mean"] for finalist in outcome["finalists"]]
    assert means == sorted(means, reverse=metric != "loss")
    for finalist in outcome["finalists"]:
        assert set(finalist["confirm"]) == {metric, "low", "high"}
        assert finalist["test"]["metric"] == metric
        if metric == "loss":  # a network that always says one class has a macro F1 without an interval
            assert finalist["confirm"]["low"] < finalist["confirm"][metric] < finalist["confirm"]["high"]
            assert finalist["test"]["metric_low"] < finalist["test"][metric] < finalist["test"]["metric_high"]
        version = versions_of(workplace, study)[finalist["version"]]
        assert json.loads(version.tags["sweeper.classes"]) == [f"class {label}" for label in range(10)]
        assert version.tags["sweeper.verdict"] == outcome["verdict"]
        assert float(version.tags[f"sweeper.validation_{metric}"]) == pytest.approx(
            finalist["validation"]["mean"], abs=1e-4
        )
    assert {compared["metric"] for compared in outcome["comparisons"]} == {metric}
    capital = f"{label[0].upper()}{label[1:]}"
    assert f"{capital} of this configuration" in outcome["verdict"]
    assert f"{capital} of the refitted networks on 50 test images" in outcome["verdict"]
    assert "accuracy" not in outcome["verdict"].lower()
    # The metric's row is the first of the test's table.
    rows = [line for line in shown.partition("Test set")[2].splitlines() if line.startswith("│")]
    assert rows[0].startswith(f"│ {label} ")


def test_order_and_estimate_are_of_different_seeds(workplace):
    workplace.search("seeds", "--trials", 2)
    outcome = workplace.promoted("seeds", "--top", 1, "--seeds", 2)
    client = client_of(workplace)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    [promotion] = client.search_runs(
        [experiment], "tags.`sweeper.study` = 'seeds' AND tags.`sweeper.kind` = 'promotion'"
    )
    [study] = client.search_runs([experiment], "tags.`sweeper.study` = 'seeds' AND tags.`sweeper.kind` = 'study'")
    assert promotion.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert (promotion.info.status, promotion.data.tags["sweeper.state"]) == ("FINISHED", "complete")
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{promotion.info.run_id}'")
    for finalist in outcome["finalists"]:
        own = {
            run.data.tags["sweeper.training"].rsplit("-", 1)[0].removeprefix(f"trial-{finalist['trial']}-"): run
            for run in runs
            if run.data.tags["sweeper.trial"] == str(finalist["trial"])
        }
        assert set(own) == {"seed-1", "seed-2", "seed-3", "seed-4", "refit"}
        assert len({run.data.params["seed"] for run in own.values()}) == 5
        assert all(run.info.status == "FINISHED" for run in own.values())
        ordering = [own[f"seed-{s}"].data.metrics["validation_accuracy"] for s in (1, 2)]
        assert finalist["validation"]["mean"] == pytest.approx(np.mean(ordering))
        assert finalist["validation"]["sd"] == pytest.approx(np.std(ordering, ddof=1))
        assert "validation_accuracy" not in own["refit"].data.metrics


def test_one_look_is_taken_recorded_and_not_repeated(workplace):
    workplace.search("tested", "--trials", 2)
    first = workplace.promote("tested", "--top", 1, "--seeds", 1, "--test")
    assert "test evaluations: 1 by this study" in " ".join(first.stdout.split())  # the title may take two lines
    assert "test images" in first.stdout
    [evaluation] = looks_of(workplace, "tested")
    assert evaluation["complete"]
    assert evaluation["dataset"] == "tiny"
    assert "complete" in workplace.run("ledger", "--store", workplace.store).stdout

    InlinePool.made.clear()
    repeated = workplace.promote("tested", "--top", 1, "--seeds", 1, "--test")
    assert "was promoted before with --top 1 --seeds 1 --prefer accuracy and tested" in repeated.stderr
    assert repeated.stdout == first.stdout
    shown = workplace.promoted("tested", "--top", 1, "--seeds", 1)
    assert workplace.promoted("tested", "--test") == shown
    assert InlinePool.made == []
    assert len(looks_of(workplace, "tested")) == 1
    refused = workplace.promote("tested", "--top", 1, "--seeds", 1, "--test", "--again", code=2)
    assert "was tested on these test data already" in refused.stderr
    assert shown["test_looks"] == 1
    champion = shown["finalists"][0]["test"]
    assert set(champion) >= {"accuracy", "low", "high", "loss", "macro_f1"}
    assert champion["low"] < champion["accuracy"] < champion["high"]
    assert {c["part"] for c in shown["comparisons"]} == {"confirm", "test"}
    assert len(looks_of(workplace, "tested")) == 1

    again = workplace.promoted("tested", "--top", 1, "--seeds", 1, "--test", "--allow-retest")
    assert again["test_looks"] == 2
    assert again["finalists"][0]["test"] == champion
    assert [f["version"] for f in again["finalists"]] == [f["version"] for f in shown["finalists"]]


@pytest.mark.slow
def test_registered_champion_is_the_network_that_was_tested(workplace, monkeypatch):
    monkeypatch.setattr(mlflow_model, "export", stand_ins.REAL_EXPORT)
    workplace.search("served", "--trials", 2)
    outcome = workplace.promoted("served", "--top", 1, "--seeds", 1, "--test", "--replace")
    [evaluation] = looks_of(workplace, "served")
    client = client_of(workplace)
    names = {artifact.path for artifact in client.list_artifacts(evaluation["run_id"], "confusion")}
    roles = set(evaluation["models"])
    assert names >= {f"confusion/{role}_confusion_matrix.png" for role in roles}
    with open(client.download_artifacts(evaluation["run_id"], "predictions.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    data = load_test_set(DataSource("tiny", data_dir=workplace.folder / "data"), pixel_format=PixelFormat((1, 28, 28)))
    assert [row["label"] for row in rows] == [data.classes[label] for label in data.labels]

    version = client.get_model_version_by_alias("sweeper-served", "champion")
    assert str(version.version) == outcome["finalists"][0]["version"]
    model = mlflow.pyfunc.load_model(client.get_model_version_download_uri("sweeper-served", str(version.version)))
    logits = model.predict(data.images)
    assert [row["champion_prediction"] for row in rows] == [data.classes[i] for i in logits.argmax(1)]
    accuracy = np.mean(logits.argmax(1) == data.labels)
    assert outcome["finalists"][0]["test"]["accuracy"] == pytest.approx(accuracy)
    files = {a.path for a in client.list_artifacts(version.run_id, "weights")}
    assert files == {"weights/model.safetensors", "weights/config.json"}


def test_one_seed_gives_no_interval_and_no_ties(workplace):
    workplace.search("single", "--trials", 2)
    outcome = workplace.promoted("single", "--top", 1, "--seeds", 1)
    for finalist in outcome["finalists"]:
        assert finalist["validation"]["sd"] is None
        assert finalist["confirm"]["accuracy"] is not None
        assert finalist["confirm"]["low"] is finalist["confirm"]["high"] is None
    assert "There is no interval, because one seed does not show" in outcome["verdict"]
    assert all(c["low"] is None and not c["decided"] for c in outcome["comparisons"])
    refused = workplace.promote("single", "--seeds", 1, "--prefer", "small", code=2)
    assert "--prefer small needs --seeds 2" in refused.stderr


def test_baseline_alone_is_champion_without_a_challenger(workplace):
    workplace.search("alone", "--trials", 1)
    shown = workplace.promote("alone", "--top", 2, "--seeds", 1, "--replace")
    assert "--top 2: only 1 distinct configuration has finished" in shown.stderr
    assert "--test" not in shown.stdout
    refused = workplace.promote("alone", "--test", code=2)
    assert "only trial 0 (baseline) has finished: a test would compare nothing" in refused.stderr
    assert looks_of(workplace, "alone") == []
    workplace.promote("alone", "--top", 1, "--test")
    outcome = workplace.promoted("alone")
    assert [(f["alias"], f["trial"]) for f in outcome["finalists"]] == [("champion", 0)]
    assert outcome["comparisons"] == []
    assert outcome["finalists"][0]["test"] is not None
    assert alias(workplace, "alone", "champion") == outcome["finalists"][0]["version"]
    assert alias(workplace, "alone", "challenger") is None


def test_test_that_would_compare_nothing_is_refused_before_anything_is_trained(workplace, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweeper", "search", "tiny"])
    workplace.search("lonely", "--trials", 1)
    status = json.loads(workplace.run("status", "lonely", "--store", workplace.store, "--json").stdout)
    InlinePool.made.clear()
    refused = workplace.promote("lonely", "--seeds", 1, "--test", code=2).stderr.splitlines()[-1]
    assert f"(`{status['command']}` with more --trials), or give --top 1" in refused
    assert InlinePool.made == []
    assert looks_of(workplace, "lonely") == []


def test_baseline_that_wins_is_champion_and_the_verdict_says_so(workplace, monkeypatch):
    workplace.search("modest", "--trials", 2)
    ordered = run.final.ordered
    monkeypatch.setattr(
        run.final, "ordered", lambda *arguments: sorted(ordered(*arguments), key=lambda f: not f.is_baseline)
    )
    outcome = workplace.promoted("modest", "--top", 1, "--seeds", 2, "--test")
    assert [(f["alias"], f["trial"]) for f in outcome["finalists"]] == [("champion", 0), ("challenger", 1)]
    assert {(c["part"], c["second"]) for c in outcome["comparisons"]} == {
        ("confirm", "challenger"),
        ("test", "challenger"),
    }
    assert "The baseline wins" in outcome["verdict"]
    assert outcome["shrinkage"] is None


def test_more_finalists_than_trials_are_those_there_are(workplace):
    workplace.search("five")
    outcome = workplace.promoted("five", "--top", 5, "--seeds", 1)
    assert sorted(f["trial"] for f in outcome["finalists"]) == [0, 1, 2]
    assert len(versions_of(workplace, "five")) == 3


def test_without_confirm_part_the_estimate_is_said_to_be_better_than_the_truth(workplace):
    workplace.search("unconfirmed", "--trials", 2, confirm=0)
    outcome = workplace.promoted("unconfirmed", "--top", 1, "--seeds", 2)
    assert all(f["confirm"] == {"accuracy": None, "low": None, "high": None} for f in outcome["finalists"])
    assert {c["part"] for c in outcome["comparisons"]} == {"validation"}
    assert "no confirm part" in outcome["verdict"]
    assert "No choice was made" not in outcome["verdict"]
    assert outcome["shrinkage"] is None


def test_finalist_that_diverges_is_dropped_and_named(workplace, monkeypatch):
    workplace.search("diverging", "--trials", 2)
    monkeypatch.setattr("sweeper.engine.inline.train_trial", _diverging_but_for_the_baseline)
    outcome = workplace.promoted("diverging", "--top", 2, "--seeds", 1)
    assert [f["trial"] for f in outcome["finalists"]] == [0]
    assert "better trials" not in workplace.promote("diverging").stderr
    tested = workplace.promoted("diverging", "--again", "--top", 2, "--seeds", 1, "--test")
    assert "Not tested: only one finalist is left" in tested["verdict"]
    assert looks_of(workplace, "diverging") == []
    [dropped] = outcome["dropped"]
    assert dropped == "trial 1, seed 1 diverged (nan): trial 1 is no longer a finalist"
    assert dropped in outcome["verdict"]


def _diverging_but_for_the_baseline(job, data, **options):
    if job.number:
        raise Diverged("nan")
    yield from train_trial(job, data, **options)


def test_baseline_that_diverges_ends_the_promotion(workplace, monkeypatch):
    workplace.search("hopeless", "--trials", 2)

    def diverging(job, data, **options):
        raise Diverged("nan")
        yield

    monkeypatch.setattr("sweeper.engine.inline.train_trial", diverging)
    refused = workplace.promote("hopeless", "--seeds", 1, code=1)
    assert "without a baseline there is no comparison" in refused.stderr
    assert versions_of(workplace, "hopeless") == {}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it on purpose."""


def kill_once(monkeypatch, owner, name, *, after):
    """Lets the first call of `owner.name` end the process, before or after its work."""
    original = getattr(owner, name)

    def call(*arguments, **options):
        monkeypatch.setattr(owner, name, original)
        if after:
            original(*arguments, **options)
        raise Killed(name)

    monkeypatch.setattr(owner, name, call)


def leave_what_was_not_written(promotion, state, reason):
    """What becomes of a killed process's writes: those that MLflow has not got stay on disk."""
    outbox_worker = promotion.tracker._outbox_worker
    with outbox_worker._changed:
        outbox_worker._closing = True
        outbox_worker._changed.notify_all()
    outbox_worker._thread.join()
    outbox_worker._outbox.close()


STEPS = [
    ("an epoch of a fresh seed", InlinePool, "answer", True),
    ("the end of a fresh seed", run.BatchRunner, "_complete", True),
    ("the order", run.final, "ordered", True),
    ("an epoch of a refit", InlinePool, "answer", False),
    ("the first registration", Registry, "_log_files", True),
    ("the logged model", Registry, "_log", True),
    ("the first version", Registry, "_create_version", True),
    ("the aliases", Registry, "set_aliases", False),
    ("the aliases, set", Registry, "set_aliases", True),
    ("the entry", Ledger, "begin", True),
    ("the evaluation", run.test_evaluation, "measure", True),
    ("the completion", Ledger, "complete", False),
    ("the completion, recorded", Ledger, "complete", True),
]


def test_killed_at_every_step_the_repeated_command_does_nothing_twice(workplace):
    arguments = ("--top", 1, "--seeds", 1, "--test", "--replace")
    workplace.search("undisturbed", "--trials", 2, "--subset", 120)
    expected = workplace.promoted("undisturbed", *arguments)
    workplace.search("killed", "--trials", 2, "--subset", 120)
    for _, owner, name, after in STEPS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run._Promotion, "end", leave_what_was_not_written)
            kill_once(patch, owner, name, after=after)
            with pytest.raises(Killed):
                workplace.promote("killed", *arguments)
    outcome = workplace.promoted("killed", *arguments)

    assert set(versions_of(workplace, "killed")) == {f["version"] for f in outcome["finalists"]}
    assert len(outcome["finalists"]) == len(expected["finalists"])
    aliases = [alias(workplace, "killed", name) for name in ("champion", "challenger")]
    assert aliases == [f["version"] for f in outcome["finalists"]]
    [evaluation] = looks_of(workplace, "killed")
    assert evaluation["complete"]
    for one, other in zip(outcome["finalists"], expected["finalists"], strict=True):
        assert one | {"version": ""} == other | {"version": ""}
    assert outcome["comparisons"] == expected["comparisons"]
    client = client_of(workplace)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    of_promotions = client.search_runs(
        [experiment], "tags.`sweeper.study` = 'killed' AND tags.`sweeper.kind` = 'promotion'"
    )
    assert [run.info.status for run in of_promotions] == ["FINISHED"]
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{of_promotions[0].info.run_id}'")
    assert len(children) == 6
    for child in children:
        steps = [metric.step for metric in client.get_metric_history(child.info.run_id, "train_loss")]
        assert steps == [1, 2]
    [study] = client.search_runs([experiment], "tags.`sweeper.study` = 'killed' AND tags.`sweeper.kind` = 'study'")
    assert study.data.tags["mlflow.note.content"].startswith("### Promotion")


def promote_killed_after_its_test(workplace, study):
    """Searches and promotes the study, until the ledger has its test, and MLflow has nothing of it."""
    workplace.search(study, "--trials", 2, "--subset", 120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run._Promotion, "end", leave_what_was_not_written)
        kill_once(patch, Ledger, "complete", after=True)
        with pytest.raises(Killed):
            workplace.promote(study, "--top", 1, "--seeds", 1, "--test")


@pytest.mark.parametrize("shown_by", [(), ("--replace",)])
def test_next_promote_records_in_mlflow_the_test_of_a_killed_one(workplace, shown_by):
    study = "shown" + "-again" * len(shown_by)
    promote_killed_after_its_test(workplace, study)
    outcome = workplace.promoted(study, *shown_by)

    assert outcome["test_looks"] == 1
    assert "test" in outcome["verdict"]
    verdicts = [version.tags["sweeper.verdict"] for version in versions_of(workplace, study).values()]
    assert verdicts == [outcome["verdict"]] * len(outcome["finalists"])
    client = client_of(workplace)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    [of_study] = client.search_runs([experiment], f"tags.`sweeper.study` = '{study}' AND tags.`sweeper.kind` = 'study'")
    note = of_study.data.tags["mlflow.note.content"]
    assert all(descriptions.escaped(sentence) in note for sentence in outcome["verdict"].splitlines())
    promotion = promotion_of(workplace, study)
    assert promotion.info.status == "FINISHED"
    printed = client.download_artifacts(promotion.info.run_id, "promotion.json")
    assert json.loads(Path(printed).read_text())["test_looks"] == 1


@pytest.fixture
def tested_by_a_killed_command(workplace):
    """The study of a promotion that was killed after the ledger had its test, and before MLflow had anything of it."""
    study = "left"
    promote_killed_after_its_test(workplace, study)
    return study


def promotion_of(workplace, study):
    """The run of the study's promotion."""
    client = client_of(workplace)
    query = f"tags.`sweeper.study` = '{study}' AND tags.`sweeper.kind` = 'promotion'"
    [found] = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], query)
    return found


def test_promotion_that_another_stores_process_works_on_is_only_shown(workplace, tested_by_a_killed_command):
    study = tested_by_a_killed_command
    other = StoreOptions(workplace.folder / "other", f"sqlite:///{workplace.store}/optuna.db").resolve({})
    with claimed(other, find_study(other, study)):
        shown = workplace.promote(study, "--json")
        assert json.loads(shown.stdout)["test_looks"] == 1
        assert "left to a later command" not in shown.stderr
        assert promotion_of(workplace, study).info.status == "RUNNING"
    workplace.promote(study)
    assert promotion_of(workplace, study).info.status == "FINISHED"


def test_last_steps_of_a_killed_promotion_are_taken_by_the_owner_of_the_study_alone(
    workplace, tested_by_a_killed_command, monkeypatch
):
    study, store, seen = tested_by_a_killed_command, StoreOptions(workplace.store).resolve({}), []
    end = promotions.end

    def watched(*arguments):
        seen.append(store.activity_on(study))
        end(*arguments)

    with monkeypatch.context() as patch, store.owning(study):
        patch.setattr(last_steps, "owner_of", lambda store, study: None)  # the other process has only just begun
        shown = workplace.promote(study)
    assert "The promotion's last steps are left to a later command: left is being run by process " in shown.stderr
    assert promotion_of(workplace, study).info.status == "RUNNING"
    monkeypatch.setattr(promotions, "end", watched)
    assert workplace.promote(study).stdout == shown.stdout
    assert seen == ["promotion"]


@pytest.mark.parametrize(("shown_by", "ended"), [((), "KILLED"), (("--replace",), "KILLED"), ((), "RUNNING")])
def test_stopped_promotion_anew_stays_interrupted_beside_the_earlier_one_and_goes_on(
    workplace, monkeypatch, shown_by, ended
):
    study = f"anew-{ended.lower()}" + "-replaced" * len(shown_by)
    workplace.search(study, "--trials", 2, "--subset", 120)
    workplace.promote(study, "--top", 1, "--seeds", 1)
    stop_after_an_epoch(workplace, monkeypatch, study, "--again", "--top", 1, "--seeds", 2)
    [folder] = (workplace.store / "promotions").glob(f"{study}-*")
    begun = folder / "head-start" / "kind" / "trial-1-seed-5-0123456789ab"
    begun.mkdir(parents=True)
    if ended == "RUNNING":  # killed, so that nothing has ended its run
        client_of(workplace).update_run(promotion_of(workplace, study).info.run_id, ended)

    def last_line():
        return workplace.run("promotions", study, "--store", workplace.store).stdout.splitlines()[-1]

    assert last_line().startswith(f"{study}: promotion interrupted; to resume: sweeper")
    shown = workplace.promoted(study, *shown_by)
    assert shown["options"]["seeds"] == 1
    stopped = promotion_of(workplace, study)
    assert stopped.info.status == ended
    assert stopped.data.tags["sweeper.seeds"] == "2"
    assert begun.exists()
    assert "resumes after epoch 1" in workplace.promote(study, "--again", "--top", 1, "--seeds", 2).stderr
    assert promotion_of(workplace, study).info.status == "FINISHED"
    assert "interrupted" not in last_line()


def without(monkeypatch, file, error):
    """Lets MLflow fail with this error whenever it is to take the text file of this name; nothing waits for long."""
    texts = RunWriter._texts

    def failing(self, key, texts_):
        if file in texts_:
            raise error
        texts(self, key, texts_)

    monkeypatch.setattr(RunWriter, "_texts", lambda self, key, texts: failing(self, key, texts))
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outbox_worker, "CLOSING_SECONDS", 0.1)


REFUSED = MlflowException("not that", error_code=INVALID_PARAMETER_VALUE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            MlflowException("away"),
            r"[0-9]+ writes? waits? for MLflow, the first because: away; the same command resumes",
        ),
        (REFUSED, "MLflow refused estimate.json: not that$"),
    ],
)
@pytest.mark.parametrize(("file", "nothing"), [("estimate.json", "registered"), ("found.json", "tested")])
def test_nothing_is_registered_or_tested_without_its_record_in_mlflow(
    workplace, monkeypatch, error, reason, file, nothing
):
    study = f"{nothing}-{len(str(error))}"
    arguments = (study, "--top", 1, "--seeds", 1, "--test")
    workplace.search(study, "--trials", 2, "--subset", 120)
    with monkeypatch.context() as patch:
        without(patch, file, error)
        said = workplace.promote(*arguments, code=1).stderr.splitlines()[-1]
    assert re.search(f"nothing was {nothing}: {reason.replace('estimate.json', file)}", said), said
    assert looks_of(workplace, study) == []
    assert bool(versions_of(workplace, study)) == (nothing == "tested")
    workplace.promote(*arguments)
    assert len(versions_of(workplace, study)) == 2
    assert len(looks_of(workplace, study)) == 1


def test_another_write_that_mlflow_refuses_keeps_no_promotion_from_its_end(workplace, monkeypatch):
    workplace.search("partly", "--trials", 2, "--subset", 120)
    without(monkeypatch, "config.json", REFUSED)
    said = workplace.promote("partly", "--top", 1, "--seeds", 1, "--test", code=1)
    assert "6 writes wait for MLflow, the first because: not that" in said.stderr.splitlines()[-1]
    assert "test images" in said.stdout
    assert len(versions_of(workplace, "partly")) == 2
    assert looks_of(workplace, "partly")[0]["complete"]


def test_test_begun_for_other_networks_is_refused_before_anything_is_trained(workplace):
    arguments = ("--top", 1, "--seeds", 1, "--test")
    workplace.search("begun", "--trials", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run._Promotion, "end", leave_what_was_not_written)
        kill_once(patch, run.test_evaluation, "measure", after=False)
        with pytest.raises(Killed):
            workplace.promote("begun", *arguments)
    InlinePool.made.clear()
    refused = workplace.promote("begun", "--again", "--top", 1, "--seeds", 2, "--test", code=2).stderr.splitlines()[-1]
    assert refused.startswith("Error: a test of study begun was begun before (")
    assert InlinePool.made == []
    resumed = workplace.promote("begun", *arguments)
    assert "is resumed" in resumed.stderr
    [evaluation] = looks_of(workplace, "begun")
    assert evaluation["complete"]


def stop_after_an_epoch(workplace, monkeypatch, *arguments):
    """The result of a promotion that gets a signal in its first epoch."""
    stops = []

    class Stopping(StopRequest):
        def __init__(self):
            super().__init__()
            stops.append(self)

    original = InlinePool.wait

    def wait(self, seconds):
        stops[-1].reason = "SIGINT"
        return original(self, seconds)

    with monkeypatch.context() as patch:
        patch.setattr("sweeper.runs.stop.StopRequest", Stopping)
        patch.setattr(InlinePool, "wait", wait)
        return workplace.promote(*arguments, code=130)


def test_stop_saves_what_is_done_and_names_the_command_that_goes_on(workplace, monkeypatch):
    workplace.search("stopped", "--trials", 2)
    stopped = stop_after_an_epoch(workplace, monkeypatch, "stopped", "--top", 1, "--seeds", 1)
    assert "To resume: sweeper" in stopped.stderr
    assert stopped.stdout == ""
    assert versions_of(workplace, "stopped") == {}
    gone_on = workplace.promote("stopped", "--top", 1, "--seeds", 1)
    assert "resumes after epoch 1" in gone_on.stderr
    assert " 6 trainings, which take less than a minute with 1 worker.\n" in gone_on.stderr
    assert len(versions_of(workplace, "stopped")) == 2


def test_stop_in_the_last_epoch_of_the_last_refit_takes_no_look(workplace, monkeypatch):
    workplace.search("late", "--trials", 2)
    stops = []
    complete = run.BatchRunner._complete

    def stopping_complete(self, task, result):
        complete(self, task, result)
        if "refit" in task.subject.training.key and not task.subject.number:
            stops.append(self.stop)
            self.stop.reason = "SIGINT"

    with monkeypatch.context() as patch:
        patch.setattr(run.BatchRunner, "_complete", stopping_complete)
        workplace.promote("late", "--top", 1, "--seeds", 1, "--test", code=130)
    assert stops
    assert versions_of(workplace, "late") == {}
    assert looks_of(workplace, "late") == []


def test_next_command_is_this_one_with_a_test(workplace, monkeypatch):
    workplace.search("next", "--trials", 2)
    typed = ["sweeper", "promote", "next", "--top", "1", "--seeds", "2", "--prefer", "small"]
    monkeypatch.setattr("sys.argv", typed)
    shown = workplace.promote(*typed[2:])
    assert f"  {' '.join(typed)} --test\n" in shown.stdout
    assert f"sweeper ui --store {workplace.store}" in shown.stdout
    assert f"@champion --store {workplace.store} IMAGE...\n" in shown.stdout


def test_share_of_the_pool_is_that_of_the_whole_pool(workplace):
    workplace.search("part", "--trials", 1, "--subset", 150)
    outcome = workplace.promoted("part", "--seeds", 1)
    assert "trained on 35 % of the training images" in outcome["verdict"]  # 150 less 10 % and 20 % of 300


def test_result_that_mlflow_lost_is_shown_from_the_store_or_named(workplace, monkeypatch):
    workplace.search("lost", "--trials", 2)
    tested = workplace.promoted("lost", "--seeds", 1, "--test")
    [evaluation] = looks_of(workplace, "lost")
    uri = client_of(workplace).get_run(evaluation["run_id"]).info.artifact_uri
    Path(uri.removeprefix("file://"), "result.json").unlink()
    shown = workplace.promoted("lost", "--seeds", 1)
    assert shown["finalists"][0]["test"] == tested["finalists"][0]["test"]

    read = ledger_file.read
    monkeypatch.setattr(ledger_file, "read", lambda path: replace(read(path), results={}))
    outcome = workplace.promoted("lost", "--seeds", 1)
    assert "cannot be read" in outcome["verdict"]
    assert outcome["test_looks"] == 1
    assert outcome["finalists"][0]["test"] is None


def test_deleted_ledger_is_met_before_anything_is_trained(workplace, monkeypatch):
    workplace.search("unledgered", "--trials", 1)
    InlinePool.made.clear()

    def deleted(self):
        raise SweeperError("the MLflow experiment sweeper-ledger was deleted")

    monkeypatch.setattr(Ledger, "prepare", deleted)
    workplace.promote("unledgered", "--seeds", 1, "--test", code=1)
    assert InlinePool.made == []


def test_other_data_than_the_study_had_are_refused(workplace, monkeypatch):
    workplace.search("elsewhere", "--trials", 1)
    monkeypatch.setattr("sweeper.promotion.study_data.splits_of", lambda *a, **options: [_other_split()])
    refused = workplace.promote("elsewhere", "--seeds", 1, code=1)
    assert "split_sha256" in refused.stderr


def _other_split():
    return Split(*(np.arange(3) + 3 * i for i in range(3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-of-that-name"], "no study 'nothing-of-that-name'"),
        (["--allow-retest"], "--allow-retest needs --test"),
        (["--top", "0"], "--top"),
        (["--seeds", "0"], "--seeds"),
        (["--prefer", "luck"], "--prefer"),
        (["--quiet", "--verbose"], "contradict"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(workplace, arguments, message):
    workplace.search("usage", "--trials", 1)
    refused = workplace.promote(*arguments, code=2)
    assert message in refused.stderr
    assert refused.stdout == ""


def test_study_in_use_is_refused_with_its_owner(workplace):
    workplace.search("busy", "--trials", 1)
    with StoreOptions(workplace.store).resolve({}).owning("busy"):
        refused = workplace.promote("busy", code=1)
    assert "busy is being run by process" in refused.stderr


def test_study_that_is_deleted_before_it_is_owned_is_refused_in_one_line(workplace, monkeypatch):
    workplace.search("fleeting", "--trials", 1)
    workplace.search("heir", "--trials", 1)
    store = StoreOptions(workplace.store).resolve({})
    owning = Store.owning

    def late(store, study, **how):
        monkeypatch.undo()
        workplace.run("delete", "fleeting", "--yes", "--store", workplace.store)
        return owning(store, study, **how)

    monkeypatch.setattr(Store, "owning", late)
    refused = workplace.promote("fleeting", code=1)
    assert refused.stderr.splitlines()[-1] == "Error: study fleeting was deleted meanwhile, by another command"
    assert not list(store.outboxes.glob("fleeting-*"))


def test_ledger_is_empty_where_nothing_was_tested(workplace, tmp_path):
    shown = workplace.run("ledger", "--store", tmp_path / "new")
    assert "No test evaluation yet" in shown.stdout
    assert not (tmp_path / "new").exists()
