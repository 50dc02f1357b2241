"""`search --warm-start`, `spaces around` and `compare`: going on from studies that are there."""

import csv
import io
import json

import optuna
import pytest

from sweeper.spaces import reader
from tests.hostile import error_line
from tests.promotion.conftest import client, workplace  # noqa: F401

N_OLD = 6


@pytest.fixture(scope="module")
def there(workplace):  # noqa: F811
    """The workplace, with a study of six trials of one epoch, called old."""
    workplace.search("old", "--trials", N_OLD, "--epochs", 1)
    return workplace


def trials_of(there, study):
    return json.loads(there.run("trials", study, "--store", there.store, "--json").stdout)["trials"]


def best_of(trials):
    """The best of old's trials after the baseline, the best first."""
    return sorted(trials[1:], key=lambda trial: (-trial["value"], trial["number"]))


def started(there, study, *options, code=0):
    """The command `search --warm-start old` on the study, with four trials of one epoch."""
    usual = f"--space {there.space} --study {study} --trials 4 --epochs 1 --pruner none --keep 0 --jobs 1".split()
    options = (*usual, "--seed", 2, "--warm-start", "old", *options, *there.places)
    return there.run("search", "tiny", *options, code=code)


@pytest.fixture(scope="module")
def warm(there):
    """The command that has started the study warm from old, whose conditions are the same."""
    return started(there, "warm")


def test_scores_of_the_other_study_teach_the_sampler_and_neither_rank_nor_count(there, warm):
    old, trials = trials_of(there, "old"), trials_of(there, "warm")
    taken = [trial for trial in trials if trial["state"] == "warm_start"]
    assert {trial["warm_start"] for trial in taken} == {f"old:{trial['number']}" for trial in old}
    assert all(trial["value"] is None and trial["run_id"] is None and not trial["epochs"] for trial in taken)
    trained = [trial["number"] for trial in trials if trial["state"] == "complete"]
    assert len(trained) == 4
    assert trials[0]["variant"] == "baseline"
    status = json.loads(there.run("status", "warm", "--store", there.store, "--json").stdout)
    assert status["n_trials"] == {"complete": 4, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert status["best_trial"]["number"] in trained
    # Optuna's sampler has the scores and the values of the other study.
    study = optuna.load_study(study_name="warm", storage=f"sqlite:///{there.store}/optuna.db")
    given = {trial.user_attrs["score_of"]: trial for trial in study.trials if "score_of" in trial.user_attrs}
    assert {name: trial.value for name, trial in given.items()} == {f"old:{t['number']}": t["value"] for t in old}
    assert all(trial.params and trial.intermediate_values for trial in given.values())


def test_best_configurations_of_the_other_study_are_tried_first_and_have_scores_of_their_own(there, warm, client):  # noqa: F811
    ranked = best_of(trials_of(there, "old"))[:3]
    first = [trial for trial in trials_of(there, "warm") if trial["state"] == "complete"][1:]
    assert [trial["warm_start"] for trial in first] == [f"old:{trial['number']}" for trial in ranked]
    assert [trial["params"] for trial in first] == [trial["params"] for trial in ranked]
    assert client.get_run(first[0]["run_id"]).data.tags["sweeper.warm_start"] == first[0]["warm_start"]
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], "tags.`sweeper.study` = 'warm'")
    [study] = [run for run in runs if run.data.tags.get("sweeper.kind") == "study"]
    assert study.data.tags["sweeper.warm_start"].startswith("Warm start from old: ")
    assert len(runs) == 1 + 4
    with open(client.download_artifacts(study.info.run_id, "ranking.csv"), encoding="utf-8") as file:
        starts = {int(row["trial"]): row["warm_start"] for row in csv.DictReader(file)}
    assert starts == {0: ""} | {trial["number"]: trial["warm_start"] for trial in first}
    assert f" from {first[0]['warm_start']} " in study.data.tags["mlflow.note.content"].replace("\\", "")


def test_what_comes_from_the_other_study_is_told_apart_in_every_table(there, warm):
    assert "Warm start from old: its best 5 are tried first; the sampler learns from 6 of its scores" in warm.stderr
    assert " from old:" in warm.stdout  # in the ranking
    store = ("--store", there.store)
    listed = there.run("trials", "warm", *store).stdout
    assert listed.count(", for the sampler only") == N_OLD
    assert listed.count("  from old:") >= 3
    assert "Warm start from old: " in listed
    rows = list(csv.DictReader(io.StringIO(there.run("trials", "warm", "--csv", "-", *store).stdout)))
    given = [row for row in rows if row["state"] == "warm_start"]
    assert len(given) == N_OLD
    assert not any(row["value"] for row in given)
    shown = there.run("trials", "warm", "--trial", given[0]["number"], *store).stdout
    assert "warm start" in shown
    assert "sweeper train" not in shown  # which would be refused
    reference = f"warm:{given[0]['number']}"
    assert "was not trained in it" in error_line(there.run("train", "--from", reference, *store, code=2))
    refused = there.promote("warm", "--trial", given[0]["number"], code=2)
    assert "a trial to promote must be complete or pruned" in error_line(refused)
    there.run("report", "warm", "--format", "json", "--output", there.folder / "report.json", *there.places)
    report = json.loads((there.folder / "report.json").read_text())["trials"]
    assert report["warm_start"].startswith("Warm start from old: ")
    assert sum(trial["state"] == "warm_start" for trial in report["trials"]) == N_OLD
    assert json.loads(there.run("frontier", "warm", *store, "--json").stdout)["points"][0]["trial"] not in [
        int(row["number"]) for row in given
    ]


def test_resumed_study_keeps_its_warm_start_and_takes_no_other(there, warm):
    def given(trials):
        return [(trial["number"], trial["warm_start"]) for trial in trials if trial["state"] == "warm_start"]

    before = trials_of(there, "warm")
    started(there, "warm", "--trials", 5)
    after = trials_of(there, "warm")
    assert given(after) == given(before)
    assert sum(trial["state"] == "complete" for trial in after) == 5
    there.search("warm", "--trials", 5, "--epochs", 1)  # without the option
    assert trials_of(there, "warm") == after
    refused = started(there, "warm", "--warm-start", "other", code=2)
    assert "was started with --warm-start old, this command has other" in error_line(refused)


def test_warm_start_from_nothing_is_refused_before_anything_is_written(there):
    assert "no study 'nosuch' in this store" in error_line(started(there, "new", "--warm-start", "nosuch", code=2))
    options = f"--space {there.space} --variants-only --warm-start old".split()
    assert "takes no --warm-start" in error_line(there.run("search", "tiny", *options, *there.places, code=2))
    studies = json.loads(there.run("studies", "--store", there.store, "--json").stdout)["studies"]
    assert "new" not in [study["study_name"] for study in studies]


def test_space_around_the_best_loads_and_is_searched_at_once(there, tmp_path):
    file, store = tmp_path / "around.toml", ("--store", there.store)
    shown = there.run("spaces", "around", "old", "--output", file, *store)
    assert f"sweeper search tiny --space {file} " in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("  sweeper search")  # the images are read without options
    assert there.run("spaces", "around", "old", *store).stdout == file.read_text()
    space, best = reader.load(str(file)), best_of(trials_of(there, "old"))[0]
    assert set(space.variants) == {"baseline", "best"}
    assert space.variants["best"].configuration.values()["lr"] == best["params"]["lr"]
    lr = space.parameters["lr"].distribution
    assert 1e-5 <= lr.low <= best["params"]["lr"] <= lr.high <= 2e-2
    assert lr.high / lr.low == pytest.approx((2e-2 / 1e-5) ** 0.3, rel=0.01)

    options = ["--space", file, "--trials", 3, *there.places, "--jobs", 1, "-q", "--json"]
    assert json.loads(there.run("search", "tiny", *options).stdout)["study_name"] == "tiny-around"
    assert [trial["variant"] for trial in trials_of(there, "tiny-around")] == ["baseline", "best", None]


def test_file_for_a_space_that_cannot_be_written_is_refused_in_one_line(there, tmp_path):
    def refused(path, code=2):
        return error_line(there.run("spaces", "around", "old", "--output", path, "--store", there.store, code=code))

    (tmp_path / "mine.toml").write_text("mine")
    assert "exists already, and is left as it is" in refused(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == "mine"
    assert "must end in .toml" in refused(tmp_path / "around.txt")
    shrunk = there.run("spaces", "around", "old", "--shrink", "nan", "--store", there.store, code=2)
    assert "ranges must shrink to a share above 0 and at most 1, got nan (--shrink)" in error_line(shrunk)
    missing = refused(tmp_path / "none" / "around.toml", code=1)
    assert "cannot be written: No such file or directory (--output)" in missing


def test_studies_are_compared_with_what_their_promotions_estimated(there):
    there.search("more", "--trials", 2, "--epochs", 1)
    promoted = there.promoted("old", "--top", 1, "--seeds", 1)
    store = ("--store", there.store)
    found = json.loads(there.run("compare", "old", "more", *store, "--json").stdout)
    assert (found["comparable"], found["differing"]) == (True, {})
    first, second = found["studies"]
    assert first["best_trial"]["value"] == max(trial["value"] for trial in trials_of(there, "old"))
    assert first["promotion"]["confirm"] == promoted["finalists"][0]["confirm"]
    assert (second["promotion"], second["n_trials"]["complete"]) == (None, 2)
    shown = " ".join(there.run("compare", "old", "more", *store).stdout.split())
    for words in ("not promoted", "sweeper-old version", "[3, 4, 8]", "of the same images, and can be compared"):
        assert words in shown
    assert "The best of more trials is higher by chance alone" in shown


def test_comparison_of_one_study_or_of_a_study_with_itself_is_refused(there):
    for studies, message in (
        (["old"], "at least two studies"),
        (["old", "old"], "named once, got old 2 times"),
        (["old", "nosuch"], "no study 'nosuch'"),
    ):
        assert message in error_line(there.run("compare", *studies, "--store", there.store, code=2))
