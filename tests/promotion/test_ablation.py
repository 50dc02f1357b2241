"""Ablations of real, tiny promotions, with a real MLflow store."""

import csv
import json
from dataclasses import replace

import pytest

from sweeper.engine.job import train_trial
from sweeper.models import precision as rules
from sweeper.process import processor
from sweeper.promotion import ablation, ablation_run
from sweeper.store.options import StoreOptions
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_study
from sweeper.tracking import run_writer
from sweeper.training.epoch_metrics import Diverged
from tests.engine.inline import InlinePool, required_processors
from tests.promotion import conftest


def ablate(workplace, study, *arguments, code=0):
    return workplace.run("ablate", study, "--jobs", 1, *arguments, *workplace.places, code=code)


def ablated(workplace, study, *arguments):
    """The command's --json object."""
    return json.loads(ablate(workplace, study, *arguments, "--json", "-q").stdout)


def recorded(workplace, study):
    store = StoreOptions(workplace.store).resolve({})
    promoted = ablation.promotions_recorded.outcomes(store, study, print)
    return ablation.recorded(store, find_study(store, study), promoted[0] if promoted else None)


def runs_of(client, study, kind):
    [experiment] = [e for e in client.search_experiments() if e.name == "tiny"]
    query = f"tags.`sweeper.study` = '{study}' AND tags.`sweeper.kind` = '{kind}'"
    return client.search_runs([experiment.experiment_id], query)


def trainings_of(client, parent):
    return client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def differing(champion):
    """The fields in which a champion of the space differs from its baseline."""
    usual = {"filters": [2, 4, 8], "activation": "relu", "lr": 1e-5}
    return [name for name, value in usual.items() if champion["params"][name] != value]


STUDY = "ablated"


@pytest.fixture(scope="module")
def first(workplace):
    """A promoted study that is ablated: its champion, what the command printed, and what its workers could see."""
    workplace.search(STUDY)
    champion = workplace.promoted(STUDY, "--top", 1, "--seeds", 2)["finalists"][0]
    assert not champion["is_baseline"]  # which learns nothing
    InlinePool.made.clear()
    printed = ablate(workplace, STUDY)
    return champion, printed, list(InlinePool.made)


@pytest.fixture
def champion(workplace, client, first):
    """The study's champion; the study has been ablated with two seeds."""
    [run] = runs_of(client, STUDY, "ablation")
    if run.data.tags["sweeper.seeds"] != "2":
        ablated(workplace, STUDY, "--seeds", 2, "--again")
    InlinePool.made.clear()
    return first[0]


def test_each_choice_of_the_champion_is_set_back_and_compared(workplace, first):
    champion, shown, [pool] = first
    # Trained like a finalist: neither the confirm part nor the validation part is in the training.
    assert [len(part[1]) for part in (pool.train_part, pool.validation_part)] == [210, 30]
    names = differing(champion)
    assert f"with 2 fresh seeds: {2 * len(names)} trainings, less than a minute with 1 worker" in shown.stderr
    outcome = ablated(workplace, STUDY, "--seeds", 2, "--again")
    assert (outcome["schema_version"], outcome["study"], outcome["trial"]) == (1, STUDY, champion["trial"])
    # The promotion has ordered by the seeds 1 and 2, and estimated with 3 and 4.
    assert (outcome["seeds"], outcome["n_seeds"], outcome["part"], outcome["n_images"]) == ([3, 4], 2, "confirm", 60)
    assert outcome["value"] == champion["confirm"]["accuracy"]
    assert sorted(row["parameter"] for row in outcome["rows"]) == sorted(names)
    for row in outcome["rows"]:
        assert row["difference"] == pytest.approx(outcome["value"] - row["value"])
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["p_adjusted"] >= row["p"]
        assert row["verdict"] in ("worth it", "harmful", "undecided")
        assert row["n_parameters"] > 0
        assert row["sentence"].startswith(row["parameter"])
        assert row["parameter"] in shown.stdout
    differences = [row["difference"] for row in outcome["rows"]]
    assert differences == sorted(differences, reverse=True)
    assert outcome["sentence"] in shown.stdout
    assert any("Neither the champion nor its choices were selected by these images" in n for n in outcome["notes"])


def test_the_champions_networks_are_those_of_the_promotions_estimate(client, champion):
    [run] = runs_of(client, STUDY, "ablation")
    trainings = [t for t in trainings_of(client, run) if "sweeper.set_back" in t.data.tags]
    assert {t.data.tags["sweeper.set_back"] for t in trainings} == set(differing(champion))
    # Their networks are not those of the trial.
    assert all("sweeper.trial" not in t.data.tags for t in trainings)
    assert {t.data.tags["sweeper.champion_trial"] for t in trainings} == {str(champion["trial"])}
    [promotion] = runs_of(client, STUDY, "promotion")
    own = {
        t.data.tags["sweeper.training"].rsplit("-", 1)[0]: t.data.params["seed"]
        for t in trainings_of(client, promotion)
    }
    by_number = {number: own[f"trial-{champion['trial']}-seed-{number}"] for number in (1, 2, 3, 4)}
    seeds = {t.data.params["seed"] for t in trainings}
    assert {by_number[3], by_number[4]} <= seeds
    assert not {by_number[1], by_number[2]} & seeds
    # The promotion has trained the champion itself with them.
    again = [t for t in trainings_of(client, run) if t.data.tags.get("sweeper.trial") == str(champion["trial"])]
    assert not {by_number[3], by_number[4]} & {t.data.params["seed"] for t in again}


def test_an_ablation_is_tracked_below_the_study_with_its_results(workplace, client, champion, monkeypatch):
    drawn = {}
    figures = run_writer.RunWriter._figures

    def remembered(writer, key, **arguments):
        drawn.update(arguments["figures"])
        figures(writer, key, **arguments)

    monkeypatch.setattr(run_writer.RunWriter, "_figures", remembered)
    outcome = ablated(workplace, STUDY, "--again")
    [run] = runs_of(client, STUDY, "ablation")
    [study] = runs_of(client, STUDY, "study")
    assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert (run.info.run_name, run.info.status) == (f"{STUDY} ablation", "FINISHED")
    assert (run.data.tags["sweeper.state"], run.data.tags["sweeper.seeds"]) == ("complete", "2")
    with open(client.download_artifacts(run.info.run_id, "ablation.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(client.download_artifacts(run.info.run_id, "ablation.json"), encoding="utf-8") as file:
        assert json.load(file) == outcome
    differences = [row["difference"] for row in outcome["rows"]]
    assert [row["parameter"] for row in rows] == [row["parameter"] for row in outcome["rows"]]
    assert [float(row["difference"]) for row in rows] == differences
    assert drawn["ablation.png"]["function"] == "ablation"
    assert [row["difference"] for row in drawn["ablation.png"]["arguments"]["rows"]] == differences


def test_a_recorded_ablation_is_shown_without_training(workplace, champion):
    shown = ablate(workplace, STUDY, "--seeds", 3)
    assert InlinePool.made == []
    assert "was ablated before: the recorded result is shown" in shown.stderr
    assert "--seeds 3 does not change a recorded result of 2 seeds; --again ablates anew with it" in shown.stderr
    assert recorded(workplace, STUDY).as_json() == ablated(workplace, STUDY)


def test_only_the_command_ends_the_run_of_an_ablation_that_was_killed_at_its_end(workplace, client, champion):
    [run] = runs_of(client, STUDY, "ablation")
    client.update_run(run.info.run_id, "RUNNING")
    recorded(workplace, STUDY)  # as the report does, perhaps while the command still runs
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
    ablate(workplace, STUDY)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_run_of_an_ablation_on_which_another_stores_process_works_is_left_running(workplace, client, champion):
    [run] = runs_of(client, STUDY, "ablation")
    client.update_run(run.info.run_id, "RUNNING")
    other = StoreOptions(workplace.folder / "other", f"sqlite:///{workplace.store}/optuna.db").resolve({})
    with claimed(other, find_study(other, STUDY)):
        ablate(workplace, STUDY)
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
    ablate(workplace, STUDY)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_champion_that_differs_in_nothing_effective_has_no_choices(workplace, champion, monkeypatch):
    monkeypatch.setattr(ablation.set_back, "each", lambda *sides, follow: [])
    shown = ablate(workplace, STUDY, "--again")
    assert "differs from the baseline only in what changes nothing: there is no choice to set back." in shown.stdout
    assert InlinePool.made == []


def test_more_seeds_are_trained_for_the_champion_too_and_fewer_need_no_training(workplace, client, champion):
    outcome = ablated(workplace, STUDY, "--seeds", 3, "--again")
    assert outcome["seeds"] == [3, 4, 5]
    [run] = runs_of(client, STUDY, "ablation")
    keys = [training.data.tags["sweeper.training"] for training in trainings_of(client, run)]
    assert sum("-seed-5-" in key for key in keys) == len(differing(champion)) + 1
    InlinePool.made.clear()
    single = ablated(workplace, STUDY, "--seeds", 1, "--again")
    assert InlinePool.made == []
    assert (single["seeds"], single["low"]) == ([3], None)
    for row in single["rows"]:
        assert (row["low"], row["p"], row["verdict"]) == (None, None, "undecided")
        assert "undecided, because one seed gives no interval" in row["sentence"]


def test_an_ablation_goes_on_where_it_was_interrupted(workplace, client, champion, monkeypatch):
    before = recorded(workplace, STUDY)
    done = []
    with monkeypatch.context() as patch:
        complete = ablation_run.BatchRunner._complete

        def stops(runner, task, result):
            complete(runner, task, result)
            done.append(task.name)
            runner.stop.reason = "SIGTERM"

        patch.setattr(ablation_run.BatchRunner, "_complete", stops)
        stopped = ablate(workplace, STUDY, "--seeds", 4, "--again", code=143)
    assert "To resume: " in stopped.stderr
    assert len(done) == 1
    [run] = runs_of(client, STUDY, "ablation")
    assert run.data.tags["sweeper.state"] == "interrupted"
    assert recorded(workplace, STUDY) == before
    names = []
    monkeypatch.setattr(
        ablation_run.BatchRunner, "_complete", lambda r, t, x: (names.append(t.name), complete(r, t, x))
    )
    resumed = ablate(workplace, STUDY, "--seeds", 4, "--again")
    assert done[0] not in names
    assert f": {len(names)} training" in resumed.stderr
    assert client.get_run(run.info.run_id).data.tags["sweeper.state"] == "complete"


def test_a_choice_without_which_training_diverges_is_needed(workplace, champion, monkeypatch):
    def diverging(one, data, **options):
        if one.configuration.train.lr == 1e-5:
            raise Diverged("loss is nan in epoch 1")
        yield from train_trial(one, data, **options)

    monkeypatch.setattr("sweeper.engine.inline.train_trial", diverging)
    # More seeds than any other test here: the networks of those would be there already.
    outcome = ablated(workplace, STUDY, "--seeds", 5, "--again")
    rate, *others = outcome["rows"]
    assert (rate["parameter"], rate["verdict"]) == ("lr", "needed")
    assert (rate["difference"], rate["decided"]) == (None, False)
    assert "of 5 trainings diverged (loss is nan in epoch 1)" in rate["sentence"]
    assert len(others) == len(differing(champion)) - 1
    # It counts in the family, which was fixed before.
    assert min(row["level"] for row in others) >= 1 - 0.05 / 2
    assert max(row["level"] for row in others) == pytest.approx(1 - 0.05 / (len(others) + 1))
    assert rate["sentence"] in ablate(workplace, STUDY).stdout


def test_an_ablation_of_an_earlier_champion_or_with_seeds_that_order_now_is_void(workplace, champion, monkeypatch):
    found = ablation.promotions_recorded.outcome_of
    assert recorded(workplace, STUDY) is not None

    def with_changed(**changes):
        def outcome(*arguments):
            promoted = found(*arguments)
            return replace(promoted, entrants=[replace(promoted.entrants[0], **changes), *promoted.entrants[1:]])

        monkeypatch.setattr(ablation.promotions_recorded, "outcome_of", outcome)

    with_changed(trial=77)
    assert recorded(workplace, STUDY) is None
    with_changed(validation={**champion["validation"], "n_seeds": 3})
    assert recorded(workplace, STUDY) is None
    with_changed(version="77")
    assert recorded(workplace, STUDY) is not None


def with_entrants_reversed(monkeypatch, module):
    """The module finds a promotion with another champion, the baseline."""
    found = ablation.promotion_of

    def other(store, study):
        promoted = found(store, study)
        return replace(promoted, entrants=promoted.entrants[::-1])

    monkeypatch.setattr(module, "promotion_of", other)


def test_a_study_that_is_promoted_anew_meanwhile_is_not_ablated(workplace, champion, monkeypatch):
    with_entrants_reversed(monkeypatch, ablation_run)
    assert "was promoted anew meanwhile" in ablate(workplace, STUDY, "--again", code=1).stderr


def test_a_recorded_ablation_that_was_changed_is_refused_and_made_anew(workplace, client, champion):
    [run] = runs_of(client, STUDY, "ablation")
    sound = ablated(workplace, STUDY)
    changed = [json.dumps(sound | change) for change in ({"metric": "price"}, {"seeds": []})]
    for text in ('{"study": "\\u001b[31m"}', *changed):
        client.log_text(run.info.run_id, text, "ablation.json")
        refused = ablate(workplace, STUDY, code=1)
        assert f"the recorded ablation of study {STUDY} cannot be read" in refused.stderr
        assert "--again ablates anew" in refused.stderr
    assert ablated(workplace, STUDY, "--again")["n_seeds"] == 2


def test_without_a_champion_there_is_nothing_to_ablate(workplace, champion, monkeypatch):
    monkeypatch.setattr(ablation.promotions_recorded, "find", lambda store, study: None)
    refused = ablate(workplace, STUDY, code=1)
    assert f"has no champion yet: `sweeper promote {STUDY} --store {workplace.store}` finds one" in refused.stderr
    assert recorded(workplace, STUDY) is None


def test_the_baseline_has_no_choices_to_set_back(workplace, champion, monkeypatch):
    with_entrants_reversed(monkeypatch, ablation)
    shown = ablate(workplace, STUDY)
    assert shown.stdout == f"The champion of study {STUDY} is the baseline: there is no choice to set back.\n"
    assert ablated(workplace, STUDY)["rows"] == []
    assert InlinePool.made == []


def test_of_a_loss_less_is_better_and_validation_images_stand_in_for_a_confirm_part(workplace):
    workplace.search("loss-ablation", "--metric", "loss", "--trials", 2, confirm=0)
    workplace.promoted("loss-ablation", "--top", 1, "--seeds", 1)
    outcome = ablated(workplace, "loss-ablation")
    assert (outcome["metric"], outcome["part"], outcome["n_images"]) == ("loss", "validation", 30)
    assert any("has no confirm part" in note for note in outcome["notes"])
    assert any("Of the loss, less is better." in note for note in outcome["notes"])
    # With the baseline's rate, nothing is learned: the loss is higher.
    [rate] = [row for row in outcome["rows"] if row["parameter"] == "lr"]
    assert rate["difference"] < 0
    assert rate["value"] > outcome["value"]
    assert "nats" in rate["sentence"]
    differences = [row["difference"] for row in outcome["rows"]]
    assert differences == sorted(differences)


def test_ablation_requires_the_kind_of_processor_that_the_promotion_began_on(workplace, monkeypatch):
    workplace.search("kinds")
    required = required_processors(monkeypatch)
    monkeypatch.setattr(processor, "of", lambda devices: "x")
    workplace.promote("kinds", "--top", 1, "--seeds", 2)
    assert required == ["", "x"]
    monkeypatch.setattr(processor, "of", lambda devices: "y")
    assert "Trained on x so far, and on y from now on" in ablate(workplace, "kinds").stderr
    assert required == ["", "x", "x"]


def test_precision_that_only_the_baseline_leaves_open_is_a_choice_like_others(workplace, monkeypatch):
    monkeypatch.setattr(rules, "RULES", (rules.PrecisionRule("avx512_bf16", 1),))
    monkeypatch.setattr(processor, "of", lambda devices: "x86_64 avx512_bf16")
    monkeypatch.setattr(conftest, "SPACE", conftest.SPACE + 'precision = "auto"\n')
    workplace.search("open-baseline")
    workplace.promote("open-baseline", "--top", 1, "--seeds", 2)
    assert "precision" in {row["parameter"] for row in ablated(workplace, "open-baseline")["rows"]}
