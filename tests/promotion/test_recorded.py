"""Promotions that are shown after they were recorded, on a real MLflow store."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sweeper.errors import SweeperError
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.store.options import StoreOptions
from sweeper.studies import ownership
from sweeper.studies.queries import find_study
from sweeper.tracking import promotions
from sweeper.tracking.registry import Registry
from tests.engine.inline import InlinePool

MODEL = "sweeper-tiny-tiny_space"


@pytest.fixture(scope="module")
def promoted(workplace, shared_name):
    """The outcome of the promotion of the study `first`, with one seed; `second` and `small` are not promoted yet."""
    for study in ("first", "second"):
        workplace.search(study, "--trials", 2, "--subset", 150)
    workplace.search("small", "--trials", 2, "--subset", 120)
    return workplace.promoted("first", "--seeds", 1)


@pytest.fixture(autouse=True)
def untrained(promoted):
    InlinePool.made.clear()


@pytest.fixture(scope="module", autouse=True)
def shared_name():
    """The name that an older sweeper gave all studies of the data set and space, which then share an alias."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "name_of", lambda registry, study, study_id, data_sha256: MODEL)
        yield


def champion(client):
    version = client.get_model_version_by_alias(MODEL, "champion")
    return version.tags["sweeper.study"]


def test_promoted_study_is_only_shown_whatever_the_options(workplace, promoted, client):
    shown = workplace.promote("first", "--seeds", 2, "--top", 1)
    assert "--top 1 --seeds 2 does not change a recorded result; --again promotes anew with it" in shown.stderr
    assert InlinePool.made == []
    # The answer comes before the statistics.
    assert shown.stdout.startswith(f"{promoted['plain_sentence']}\n\n")
    assert (
        f"  sweeper promote first --data-dir {workplace.folder}/data --store {workplace.store} --test" in shown.stdout
    )
    assert json.loads(workplace.promote("first", "--json", "-q").stdout) == promoted
    runs = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id], "tags.`sweeper.kind` = 'promotion'"
    )
    assert [run.info.status for run in runs] == ["FINISHED"]


def test_description_of_the_study_in_mlflow_begins_with_the_answer(promoted, client):
    experiment = client.get_experiment_by_name("tiny").experiment_id
    [run] = client.search_runs([experiment], "tags.`sweeper.kind` = 'study' AND tags.`sweeper.study` = 'first'")
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("### Promotion\n\n**")
    assert promoted["plain_sentence"].partition(" [")[0] in note.partition("\n- ")[0]
    assert "### Ranking" in note
    assert note.rstrip().endswith("---")


def test_promotions_lists_what_was_recorded_without_the_data(workplace, promoted):
    store = ("--store", workplace.store)
    listed = json.loads(workplace.run("promotions", *store, "--json").stdout)
    assert listed == {"schema_version": 1, "promotions": [promoted]}
    shown = workplace.run("promotions", *store).stdout
    assert "first" in shown
    assert f"({100 * promoted['constant_predictors']['confirm']['score']:.2f}" in shown
    assert "because one seed does not show" in workplace.run("promotions", "first", *store).stdout
    assert (
        "No promotion of second yet: `sweeper promote second --store"
        in workplace.run("promotions", "second", *store).stdout
    )
    assert InlinePool.made == []


def test_a_promotion_that_runs_is_said_to_run(workplace, promoted, monkeypatch):
    store, seen = StoreOptions(workplace.store).resolve({}), []

    def load(study, *_):
        seen.append(store.activity_on(study.study_name))
        raise SweeperError("that is enough")

    monkeypatch.setattr("sweeper.promotion.study_data.load_to_train", load)
    workplace.promote("second", "--top", 1, code=1)
    assert seen == ["promotion"]
    assert store.activity_on("second") == ""
    place = ("--store", workplace.store)
    with store.owning("second", activity="promotion"):
        line = f"second: promotion running, {store.owner('second')}"
        assert workplace.run("status", "second", *place).stdout.startswith(f"{line}\n")
        assert workplace.run("promotions", "second", *place).stdout.splitlines() == [
            f"{line}; what it finds is shown here once it has ended"
        ]
        listed = workplace.run("promotions", *place).stdout
        assert "first" in listed
        assert f"\n{line}; " in listed
    with store.owning("second"):
        assert workplace.run("status", "second", *place).stdout.startswith("second: running, process ")
        assert workplace.run("promotions", "second", *place).stdout.startswith("No promotion of second yet: ")


def test_status_tells_of_a_promotion_that_was_killed(workplace, promoted, monkeypatch):
    store, here = StoreOptions(workplace.store).resolve({}), ownership.this_process()
    with monkeypatch.context() as patch:
        patch.setattr(ownership, "this_process", lambda: replace(here, started=here.started + 1))
        claim = ownership.Ownership(store, find_study(store, "second"), "promotion")
        claim.claim(print)
    line = f"Its promotion was killed: see `sweeper promotions second --store {workplace.store}`\n"
    assert line in workplace.run("status", "second", "--store", workplace.store).stdout
    claim.release()
    assert line not in workplace.run("status", "second", "--store", workplace.store).stdout


def test_test_of_another_promotion_than_the_recorded_one_is_refused(workplace):
    refused = workplace.promote("first", "--seeds", 2, "--test", code=2).stderr.splitlines()[-1]
    assert "was promoted with --top 2 --seeds 1 --prefer accuracy, this command has --seeds 2: leave it out" in refused


def test_recorded_networks_are_tested_without_training(workplace, promoted):
    outcome = workplace.promoted("first", "--test")
    assert InlinePool.made == []
    assert outcome["test_looks"] == 1
    assert [f["version"] for f in outcome["finalists"]] == [f["version"] for f in promoted["finalists"]]
    assert workplace.promoted("first") == outcome
    retested = workplace.promoted("first", "--test", "--allow-retest")
    assert retested["test_looks"] == 2
    assert retested["comparisons"] == outcome["comparisons"]
    assert InlinePool.made == []
    assert outcome["options"] == {"top": 2, "seeds": 1, "prefer": "accuracy"}


def test_smaller_try_leaves_the_champion_and_showing_the_older_promotion_moves_nothing(workplace, promoted, client):
    assert champion(client) == "first"
    outcome = workplace.promoted("small", "--seeds", 1)
    [said] = outcome["registration"]
    assert said.startswith("The registered champion stays version ")
    assert "cannot be compared, because the split" in said
    assert champion(client) == "first"
    shown = workplace.promote("small")
    assert said in shown.stdout
    assert " --replace\n" in shown.stdout
    assert f"  sweeper predict {MODEL}/{outcome['finalists'][0]['version']} " in shown.stdout
    replaced = workplace.promoted("small", "--replace")
    assert champion(client) == "small"
    assert replaced["registered_champion"] == outcome["finalists"][0]["version"]
    assert "as the registered champion" in replaced["registration"][0]
    workplace.promote("first")
    assert champion(client) == "small"


def test_champion_of_the_same_images_is_compared_before_it_is_replaced(workplace, promoted, client):
    workplace.promote("first", "--replace")
    outcome = workplace.promoted("second", "--seeds", 1)
    [said] = outcome["registration"]
    assert "on the same confirm images, new minus registered champion is 0.0 points of accuracy" in said
    assert champion(client) == "second"
    client.set_registered_model_alias(MODEL, "champion", promoted["finalists"][0]["version"])
    [stays] = workplace.promoted("second", "--again", "--seeds", 1)["registration"]
    assert "a person, and not sweeper, gave it the alias" in stays
    assert champion(client) == "first"


def test_test_of_an_older_sweepers_promotion_moves_no_alias(workplace, client, monkeypatch):
    workplace.promote("second", "--seeds", 1)
    workplace.promote("first", "--replace")
    InlinePool.made.clear()
    find = promotions.find
    monkeypatch.setattr(promotions, "find", lambda *which: replace(find(*which), is_printed=True))
    assert workplace.promoted("second", "--test")["test_looks"] == 1
    assert champion(client) == "first"
    assert InlinePool.made == []


def test_again_promotes_anew_with_other_options(workplace):
    workplace.promote("second", "--seeds", 1)
    outcome = workplace.promoted("second", "--again", "--seeds", 1, "--top", 1)
    assert outcome["options"]["top"] == 1
    assert workplace.promoted("second")["options"] == outcome["options"]


def test_better_trials_of_a_search_that_went_on_are_noted(workplace, monkeypatch):
    better = SimpleNamespace(number=9, name="trial 9")
    monkeypatch.setattr("sweeper.promotion.recorded.distinct", lambda trials, metric: [better])
    shown = workplace.promote("first")
    assert "The search has found better trials since then: trial 9; --again promotes anew, with them" in shown.stderr


def test_damaged_record_is_one_line_and_hides_no_other(workplace, client):
    workplace.promote("small", "--seeds", 1)
    [run] = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id],
        "tags.`sweeper.kind` = 'promotion' AND tags.`sweeper.study` = 'small'",
    )
    client.log_text(run.info.run_id, '{"study_name": "small"}', "found.json")
    refused = workplace.promote("small", code=1).stderr.splitlines()[-1]
    assert refused.startswith("Error: the recorded promotion of study small cannot be read (KeyError: ")
    assert refused.endswith("--again promotes anew")
    listed = workplace.run("promotions", "--store", workplace.store)
    assert "Not shown: the recorded promotion of study small" in listed.stderr
    assert "first" in listed.stdout


def test_outcome_is_read_back_as_it_was_recorded_and_one_of_an_older_sweeper_too(promoted):
    found = PromotionOutcome.from_found(promoted)
    assert PromotionOutcome.from_found(json.loads(json.dumps(found.found()))) == found
    new = {"options", "time", "search_scores", "registration", "registered_champion", "test_sha256"}
    older = {name: value for name, value in promoted.items() if name not in new}
    older["finalists"] = [{k: v for k, v in one.items() if k != "network"} for one in older["finalists"]]
    read = PromotionOutcome.from_found(older)
    assert (read.entrants[0].network, read.options, read.time) == (None, {}, "")
    with pytest.raises(ValueError, match="printable"):
        PromotionOutcome.from_found(promoted | {"model_name": "\x1b[2J"})
