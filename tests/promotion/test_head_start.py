"""Trainings of a promotion that a search begins on idle workers: the promotion finds the same numbers."""

import json
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from sweeper.engine import backfill
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialResult
from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.process import processor
from sweeper.promotion import head_start
from sweeper.store.options import StoreOptions
from sweeper.studies import trial_records
from sweeper.studies.queries import find_study
from sweeper.training import checkpoint
from sweeper.training.epoch_metrics import EpochMetrics
from tests.engine.inline import InlinePool

EPOCHS = 2


class TwoWorkers:
    """Two workers in this process, in the place of WorkerPool.

    Jobs of the head start are trained before the search's, for as many epochs as `ahead` says: then they stand still.
    """

    tunes_concurrency = False
    ahead = 0

    def __init__(self, setup, devices, log_folder, per_process=1, tunes_concurrency=False):
        assert len(devices) == 2
        self._pools = [InlinePool(setup, devices[:1], log_folder) for _ in devices]
        self._jobs, self._left = {}, TwoWorkers.ahead
        self.processor = processor.of(devices)

    def __len__(self):
        return 2

    def processes(self):
        return [range(1), range(1, 2)]

    def at_once(self, index):
        return 1

    def train(self, index, job):
        self._jobs[index] = job
        self._pools[index].train(0, job)

    def answer(self, index, *, proceed):
        self._pools[index].answer(0, proceed=proceed)
        if not proceed:
            del self._jobs[index]

    def wait(self, seconds):
        ahead = [index for index, job in self._jobs.items() if "head-start" in job.folder.parts and self._left]
        index = min(ahead or (i for i, job in self._jobs.items() if "head-start" not in job.folder.parts))
        [(_, message)] = self._pools[index].wait(seconds)
        self._left -= bool(ahead) and isinstance(message, EpochMetrics)
        if isinstance(message, TrialResult):
            del self._jobs[index]
        return [(index, message)]

    def place(self, index):
        return ""

    def waiting(self):
        return ""

    def close(self):
        for pool in self._pools:
            pool.close()


@pytest.fixture
def search(workplace, monkeypatch):
    """A search of three trials on two workers, one of which trains so many epochs of the promotion meanwhile."""

    def search(study, ahead, *more, least_free=0):
        with monkeypatch.context() as patch:
            patch.setattr("sweeper.engine.local.pool.WorkerPool", TwoWorkers)
            patch.setattr(backfill, "physical_cores", lambda environment: 2)
            patch.setattr(head_start, "LEAST_FREE", least_free)
            patch.setattr(TwoWorkers, "ahead", ahead)
            workplace.space.write_text(workplace.space.read_text().replace("epochs = 2", f"epochs = {EPOCHS}"))
            arguments = f"--space {workplace.space} --study {study} --trials 3 --pruner none --jobs 2 --seed 2".split()
            return workplace.run("search", "tiny", *arguments, *more, *workplace.places)

    return search


def folder_of(workplace, study):
    [folder] = (workplace.store / "promotions").glob(f"{study}-*")
    return folder


def begun(workplace, study):
    """The epochs of each training of the head start: by trial and seed."""
    found = {}
    with suppress(ValueError):
        for path in folder_of(workplace, study).glob("head-start/*/*/checkpoint.safetensors"):
            _, trial, _, seed, _ = path.parent.name.split("-")
            found[int(trial), int(seed)] = len(checkpoint.read_history(path))
    return found


def weights(workplace, study):
    folders = folder_of(workplace, study).glob("trial-*")
    return {folder.name: (folder / "model.safetensors").read_bytes() for folder in folders}


def next_job(workplace, study, kind="cpu"):
    """What gives another search of the study its trainings, with workers of this kind of processor."""
    store = StoreOptions(workplace.store).resolve({})
    planned = SimpleNamespace(training_set=None, execution=Execution(("cpu",), 1, "channels_last"))
    return head_start.idle_jobs(find_study(store, study), planned, store, kind, lambda event: None)


def trials(workplace, study):
    listed = json.loads(workplace.run("trials", study, "--store", workplace.store, "--json").stdout)["trials"]
    return [{name: trial[name] for name in ("number", "state", "value", "params", "epochs")} for trial in listed]


def curves(client, study):
    """The validation loss after each epoch of each training of the study's promotion, as MLflow has it."""
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = client.search_runs([experiment], f"tags.`sweeper.study` = '{study}' AND tags.`sweeper.part` = 'train'")
    return {
        run.info.run_name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "validation_loss")]
        for run in runs
    }


def result(outcome):
    text = json.dumps({name: value for name, value in outcome.items() if name not in ("time", "study_name")})
    return json.loads(text.replace("filled", "STUDY").replace("plain", "STUDY"))


def test_promotion_after_a_head_start_finds_bitwise_what_it_finds_without(workplace, search, client):
    said = search("filled", 2 * EPOCHS + 1).stderr
    assert said.count("No trial is left to start: idle workers begin the trainings of a promotion") == 1
    search("plain", 0)
    assert trials(workplace, "filled") == trials(workplace, "plain")
    assert begun(workplace, "filled") == {(0, 1): EPOCHS, (0, 2): EPOCHS, (0, 3): 1}
    assert begun(workplace, "plain") == {}

    outcomes = []
    for study in ("filled", "plain"):
        promoted = workplace.promote(study, "--top", 1, "--seeds", 2, "--replace", "--json")
        outcomes.append(json.loads(promoted.stdout))
        assert ("The search has begun 3 of these" in promoted.stderr) == (study == "filled")
    assert result(outcomes[0]) == result(outcomes[1])
    assert len(weights(workplace, "filled")) == len(outcomes[0]["finalists"]) * 5
    assert weights(workplace, "filled") == weights(workplace, "plain")
    assert curves(client, "filled") == curves(client, "plain")
    assert not list(folder_of(workplace, "filled").glob("head-start"))


def test_baseline_is_begun_first_then_the_trial_that_leads_for_certain(workplace, search):
    search("long", 100)
    seeds = range(1, 7)
    [leader] = {trial for trial, _ in begun(workplace, "long")} - {0}
    assert begun(workplace, "long") == {(trial, seed): EPOCHS for trial in (0, leader) for seed in seeds}
    assert trials(workplace, "long")[0]["value"] < trials(workplace, "long")[leader]["value"]
    finished = {path.parent for path in folder_of(workplace, "long").glob("head-start/*/*/model.safetensors")}
    assert len(finished) == 12
    for folder in finished:
        kept = load_file(folder / "checkpoint.safetensors")
        assert not [name for name in kept if name.startswith("optimizer.")], "nothing trains on from there"

    promoted = workplace.promote("long", "--seeds", 2, "--json").stderr
    assert "The search has begun 8 of these" in promoted
    assert not list(folder_of(workplace, "long").glob("head-start")), "nor are those of more seeds kept"


def test_only_of_the_baseline_and_the_best_so_far_is_anything_kept(workplace, search, monkeypatch):
    monkeypatch.setattr(head_start, "LEAST_FREE", 0)
    search("kept", 0)
    ask = next_job(workplace, "kept")
    best = [job.folder for job in iter(lambda: ask(0, 0), None)]
    assert len(best) == 3 * 6
    overtaken = best[0].with_name("trial-9-seed-1-0123456789ab")
    for folder in [*best, overtaken]:
        folder.mkdir(parents=True)
    next_job(workplace, "kept")(1, 0)
    assert {folder for folder in [*best, overtaken] if folder.exists()} == set(best)


def test_search_on_another_kind_of_processor_keeps_what_a_promotion_on_the_first_may_need(
    workplace, search, monkeypatch
):
    monkeypatch.setattr(head_start, "LEAST_FREE", 0)
    search("elsewhere", 0)
    needed = next_job(workplace, "elsewhere")(1, 0).folder
    overtaken = needed.with_name("trial-9-seed-1-0123456789ab")
    for folder in (needed, overtaken):
        folder.mkdir(parents=True)
    begun_here = next_job(workplace, "elsewhere", "another kind")(1, 0).folder
    assert begun_here.parent != needed.parent
    assert needed.exists()
    assert not overtaken.exists()


def test_training_on_a_worker_is_kept_when_the_failed_baseline_is_tried_again_with_success(
    workplace, search, monkeypatch
):
    monkeypatch.setattr(head_start, "LEAST_FREE", 0)
    search("again", 0)
    store = StoreOptions(workplace.store).resolve({})
    baseline, *others = trial_records.records(find_study(store, "again"))
    failed = replace(baseline, state=State.FAILED, value=None)
    found = [failed, *others]
    monkeypatch.setattr(head_start, "trial_records", SimpleNamespace(records=lambda study: found))
    ask = next_job(workplace, "again")
    trains = ask(2, 0)
    trains.folder.mkdir(parents=True)
    assert trains.number == baseline.number

    found.append(replace(baseline, number=len(found)))
    assert ask(1, 1).number == found[-1].number, "no further training of the failed trial is begun"
    assert trains.folder.exists()
    next_job(workplace, "again")(1, 0)
    assert not trains.folder.exists()


def test_each_training_of_the_head_start_needs_free_space_of_its_own(workplace, search, monkeypatch):
    search("space", 0)
    free = SimpleNamespace(free=3 * head_start.LEAST_FREE - 1)
    monkeypatch.setattr(head_start.shutil, "disk_usage", lambda path: free)
    ask = next_job(workplace, "space")
    assert [ask(1, n_running) is not None for n_running in range(4)] == [True, True, False, False]


def test_later_search_goes_on_where_the_head_start_was_and_a_deleted_study_takes_it_along(workplace, search):
    search("later", EPOCHS + 1)
    assert begun(workplace, "later") == {(0, 1): EPOCHS, (0, 2): 1}
    search("later", 2, "--trials", 4)  # the first comes from the checkpoint
    assert begun(workplace, "later") == {(0, 1): EPOCHS, (0, 2): EPOCHS}
    folder = folder_of(workplace, "later")
    workplace.run("delete", "later", "--yes", "--store", workplace.store)
    assert not folder.exists()


def test_training_that_a_promotion_has_begun_is_left_to_it(workplace, search):
    search("promoted", 0)
    workplace.promote("promoted", "--top", 1, "--seeds", 1)
    search("promoted", 1, "--trials", 4)
    assert begun(workplace, "promoted") == {(0, 3): 1}


def test_promotion_on_another_kind_of_processor_trains_anew(workplace, search, monkeypatch):
    search("moved", 1)
    monkeypatch.setattr(processor, "of", lambda devices: "another kind")
    promoted = workplace.promote("moved", "--top", 1, "--seeds", 1)
    assert "The search has begun" not in promoted.stderr
    assert "rounds in another way" not in promoted.stderr
    assert not list(folder_of(workplace, "moved").glob("head-start"))


def test_trainings_of_the_head_start_are_announced_as_done_only_on_their_kind_of_processor(
    workplace, search, monkeypatch
):
    search("counted", EPOCHS + 1)

    def enough(store):
        raise SweeperError("that is enough")

    monkeypatch.setattr("sweeper.promotion.run.Registry", enough)
    here = workplace.promote("counted", "--top", 1, "--seeds", 1, code=1).stderr
    assert " 6 trainings; 5 are left and take less than a minute " in here
    monkeypatch.setattr(processor, "of", lambda devices: "another kind")
    elsewhere = workplace.promote("counted", "--top", 1, "--seeds", 1, code=1).stderr
    assert " 6 trainings, which take less than a minute " in elsewhere


@pytest.mark.parametrize(
    ("more", "least_free"), [(["--trial-timeout", "1h"], 0), (["--timeout", "1h"], 0), ([], 1 << 60)]
)
def test_with_a_limit_of_time_or_on_a_full_disk_workers_stay_idle(workplace, search, more, least_free):
    said = search("limited", 9, *more, least_free=least_free).stderr
    assert "No trial is left to start" not in said
    assert begun(workplace, "limited") == {}
