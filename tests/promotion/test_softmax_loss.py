"""The loss of networks that end in a softmax: one quantity from search to promotion, and that of old studies."""

import json

import optuna
import pytest

from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.attributes import SPEC

SEARCH = ("softmax", "--trials", 2, "--metric", "loss", "--set", "softmax_output=true")


def test_loss_is_one_quantity_from_search_to_promotion_and_an_old_search_is_told_to_have_another(workplace, client):
    best = workplace.search(*SEARCH)["best_trial"]
    run = client.get_run(best["run_id"])
    assert run.data.metrics["validation_loss"] == pytest.approx(best["value"])
    assert run.data.metrics["validation_softmax_loss"] != pytest.approx(best["value"], rel=1e-3)

    outcome = workplace.promoted("softmax", "--top", 1, "--seeds", 1)
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    for finalist in outcome["finalists"]:
        query = f"tags.`sweeper.training` LIKE 'trial-{finalist['trial']}-seed-1%' AND tags.`sweeper.study` = 'softmax'"
        [fresh] = client.search_runs([experiment.experiment_id], query)
        assert fresh.data.metrics["validation_loss"] == pytest.approx(finalist["validation"]["mean"], rel=1e-4)
    assert outcome["search_scores"] == "loss"
    assert outcome["shrinkage"] is not None

    store = StoreOptions(workplace.store).resolve({})
    study = optuna.load_study(study_name="softmax", storage=store.storage)
    study.set_user_attr(SPEC, {name: value for name, value in study.user_attrs[SPEC].items() if name != "loss"})
    refused = workplace.run("search", "tiny", "--space", workplace.space, "--study", *SEARCH, *workplace.places, code=1)
    assert "Error: study softmax was searched by an older sweeper" in refused.stderr
    assert "--new starts another" in refused.stderr
    command = f"sweeper search tiny --space {workplace.space} --store {workplace.store}"
    lifecycle.mark_running(study, 2, command)
    assert (
        refused.stderr.splitlines()[-1]
        == (workplace.run("retry", "softmax", "--failed", "--store", workplace.store, code=1).stderr.splitlines()[-1])
    )
    assert command not in workplace.run("status", "softmax", "--store", workplace.store).stdout
    lifecycle.mark_ended(study, "")
    repeated = workplace.run("train", "--trial", f"softmax:{best['number']}", *workplace.places, "--jobs", 1, "--json")
    assert json.loads(repeated.stdout)["repeats"]["equal"] is False  # its score was -ln p, not what an old one is
    for command in ("status", "promote"):
        shown = workplace.run(command, "softmax", "--store", workplace.store).stdout
        assert "its loss is the cross-entropy of probabilities taken as logits" in shown
    assert "Predicting the class shares" not in workplace.run("status", "softmax", "--store", workplace.store).stdout
    shown = workplace.promoted("softmax")
    assert shown["search_scores"] == "loss of probabilities taken as logits"
    again = workplace.promoted("softmax", "--again", "--top", 1, "--seeds", 1)
    assert again["shrinkage"] is None
    assert {finalist["search_score"] for finalist in again["finalists"]} == {None}
