import csv
import io
import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.data.known import catalog
from sweeper.data.source import DataSource
from sweeper.data.test_set import TestSet, load_test_set
from sweeper.errors import SweeperError, UsageError
from sweeper.events import Note
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from sweeper.promotion import test_evaluation as evaluations
from sweeper.promotion.comparisons import compare_networks
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.test_evaluation import Recorded
from sweeper.promotion.test_metrics import measure
from sweeper.store.options import StoreOptions
from sweeper.tracking.ledger import Ledger, TestEvaluation
from tests.fake_data import write_fake_dataset

CLASSES = ("a", "b", "c")
LABELS = np.arange(60, dtype=np.int64) % 3
IMAGES = np.zeros((60, 1, 2, 2), dtype=np.uint8)
OTHER_SHA256 = "ef" * 32
TINY = DataSource("tiny", offline=True)


def finalist(trial):
    """Trial 0 is the baseline."""
    return Finalist(
        trial=trial,
        configuration=Configuration(ConvNetConfig(), TrainConfig(lr=0.001 * (trial + 1))),
        params={},
        epochs=15,
        is_baseline=trial == 0,
        eligible=True,
        score=0.5,
        n_parameters=10,
        n_multiply_adds=10,
    )


def right_on(n_images):
    """Logits that are right on the first images, and take the next class for the others'."""
    predicted = np.where(np.arange(60) < n_images, LABELS, (LABELS + 1) % 3)
    return np.eye(3, dtype=np.float32)[predicted] * 4


LOGITS = {0: right_on(20), 1: right_on(30), 3: right_on(57), 5: right_on(50)}


class FakeLedger:
    """A ledger in memory; results go through JSON, as they do in MLflow."""

    def __init__(self):
        self.entries, self.results, self.metrics, self.files = [], {}, {}, {}

    def evaluations(self):
        return list(self.entries)

    def begin(self, *, models, networks, **tags):
        number = len(self.entries)
        time = f"2026-05-01T12:{number:02}:00+00:00"
        entry = TestEvaluation(
            f"run-{number}", models=dict(models), networks=dict(networks), time=time, complete=False, **tags
        )
        self.entries.append(entry)
        return entry

    def complete(self, evaluation, result, metrics, texts, figures):
        self.results[evaluation.run_id] = json.dumps(result, allow_nan=False)
        self.metrics[evaluation.run_id] = dict(metrics)
        self.files[evaluation.run_id] = dict(texts) | {name: draw() for name, draw in figures.items()}
        self.entries[self.entries.index(evaluation)] = replace(evaluation, complete=True)

    def result(self, evaluation):
        return json.loads(self.results[evaluation.run_id])


@pytest.fixture
def dataset(monkeypatch, tmp_path):
    """The data set "tiny", known by name, with its files in tmp_path/data."""
    tiny = write_fake_dataset(tmp_path / "data")
    monkeypatch.setitem(catalog.DATASETS, tiny.name, tiny)
    return tiny


@pytest.fixture
def test_set(dataset):
    return TestSet("tiny", IMAGES, LABELS, CLASSES, evaluations.known_sha256(TINY, print, needed=True), "/data")


@pytest.fixture
def ledger():
    return FakeLedger()


def model(trial):
    return f"sweeper-tiny/{trial + 1}"


def network(trial, retrained=0):
    return f"trial-{trial}-refit-{retrained}"


def predictions(trial):
    return Predictions.of("accuracy", LABELS, [LOGITS[trial]])


def take(ledger, test_set, order=(3, 5, 0), *, predict=None, study_id="id-1", allow_retest=False, retrained=0):
    """A look of the study at these trials, in order; `retrained` makes their networks others. The trials predicted."""
    predicted = []

    def from_arrays(finalist, images):
        assert images is test_set.images
        predicted.append(finalist.trial)
        return LOGITS[finalist.trial]

    evaluations.evaluate(
        ledger,
        test_set,
        [finalist(trial) for trial in order],
        {trial: model(trial) for trial in order},
        {trial: network(trial, retrained) for trial in order},
        predict or from_arrays,
        study="fashion",
        study_id=study_id,
        command="sweeper promote --test",
        allow_retest=allow_retest,
        metric="accuracy",
    )
    return predicted


def interrupted(ledger, test_set, **changes):
    """A look that was begun and ended before anything was written."""

    def killed(finalist, images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(ledger, test_set, predict=killed, **changes)


def recorded(ledger, **models):
    return evaluations.recorded(ledger, "id-1", evaluations.known_sha256(TINY, print, needed=True), models)


def state(ledger):
    return [entry.complete for entry in ledger.evaluations()]


def test_entry_is_written_before_the_first_prediction_and_completed_after_the_last(ledger, test_set):
    seen = []

    def predict(finalist, images):
        seen.append(state(ledger))
        return LOGITS[finalist.trial]

    take(ledger, test_set, predict=predict)
    assert seen == [[False]] * 3
    [entry] = ledger.evaluations()
    assert entry.complete
    assert (entry.study, entry.study_id, entry.dataset) == ("fashion", "id-1", "tiny")
    assert (entry.test_sha256, entry.command) == (test_set.sha256, "sweeper promote --test")


@pytest.mark.parametrize(
    ("order", "roles"),
    [
        ((3, 5, 0), {"champion": 3, "challenger": 5, "baseline": 0}),
        ((3, 5, 1, 0), {"champion": 3, "challenger": 5, "baseline": 0}),
        ((3, 5, 0, 1), {"champion": 3, "challenger": 5, "baseline": 0}),
        ((3, 0, 5), {"champion": 3, "challenger": 0}),
        ((0, 3, 5), {"champion": 0, "challenger": 3}),
        ((0,), {"champion": 0}),
    ],
)
def test_champion_challenger_and_baseline_are_looked_at_and_no_other(ledger, test_set, order, roles):
    assert sorted(take(ledger, test_set, order)) == sorted(roles.values())
    [entry] = ledger.evaluations()
    assert entry.models == {role: model(trial) for role, trial in roles.items()}
    accuracies = {role: ledger.metrics[entry.run_id][f"{role}_accuracy"] for role in roles}
    assert accuracies == pytest.approx(
        {role: np.mean(LOGITS[trial].argmax(1) == LABELS) for role, trial in roles.items()}
    )
    assert set(ledger.metrics[entry.run_id]) == {f"{role}_{metric}" for role in roles for metric in evaluations.METRICS}


def test_aliases_are_of_the_first_two():
    assert [evaluations.alias(place) for place in range(3)] == ["champion", "challenger", None]


def test_look_at_fewer_networks_is_of_another_final(ledger, test_set):
    take(ledger, test_set, (0,))
    seen = recorded(ledger, champion=network(0), challenger=network(3))
    assert set(seen.tested) == {network(0)}
    assert len(seen.notes) == 1


def refuse_begun(ledger, test_set, *trials, allow_retest=False):
    """What is noted of the begun looks of a final of these trials."""
    noted = []
    networks = [network(trial) for trial in trials]
    evaluations.refuse_begun(ledger, "id-1", test_set.sha256, networks, allow_retest, noted.append)
    return [note.text for note in noted]


def test_look_begun_by_another_study_or_at_other_data_is_none_of_this_ones(ledger, test_set):
    interrupted(ledger, test_set, study_id="id-2")
    interrupted(ledger, replace(test_set, sha256=OTHER_SHA256))
    assert refuse_begun(ledger, test_set) == []


def test_begun_look_at_the_same_networks_is_resumed_and_at_others_refused_beforehand(ledger, test_set):
    interrupted(ledger, test_set)
    [note] = refuse_begun(ledger, test_set, 0, 1, 3, 5)
    assert note == "The test evaluation begun at 2026-05-01T12:00:00+00:00 is resumed"
    with pytest.raises(UsageError, match=r"fashion was begun before \(2026-05-01T12:00:00.*--allow-retest"):
        refuse_begun(ledger, test_set, 0, 3)
    [note] = refuse_begun(ledger, test_set, 0, 3, allow_retest=True)
    assert "is not resumed, and counts" in note
    take(ledger, test_set)
    assert refuse_begun(ledger, test_set, 0, 3) == []


def test_begun_look_that_was_deleted_is_not_said_to_be_resumed(ledger, test_set):
    interrupted(ledger, test_set)
    ledger.entries = [replace(entry, deleted=True) for entry in ledger.entries]
    with pytest.raises(UsageError, match="of other networks or deleted since, and its result may have been seen"):
        refuse_begun(ledger, test_set, 0, 3, 5)


def test_entry_holds_tables_and_a_confusion_matrix_a_role(ledger, test_set):
    names = tuple(f"test/{number}.png" for number in range(60))
    take(ledger, replace(test_set, files=names))
    files = ledger.files["run-0"]
    assert set(files) == {
        "per_class_accuracy.csv",
        "predictions.csv",
        *(f"confusion/{role}_confusion_matrix.png" for role in ("champion", "challenger", "baseline")),
    }
    rows = list(csv.DictReader(io.StringIO(files["predictions.csv"])))
    assert tuple(row["file"] for row in rows) == names
    predicted = [CLASSES.index(row["champion_prediction"]) for row in rows]
    assert predicted == LOGITS[3].argmax(1).tolist()


def test_what_was_seen_is_read_back_from_the_ledger(ledger, test_set):
    take(ledger, test_set)
    seen = recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0))
    assert set(seen.tested) == {network(3), network(5), network(0)}
    for trial in (3, 5, 0):
        expected = json.loads(json.dumps(asdict(measure(LOGITS[trial], predictions(trial), CLASSES))))
        assert seen.tested[network(trial)] == expected
    assert [(c.other, c.b, c.c) for c in seen.comparisons] == [("baseline", 37, 0), ("challenger", 7, 0)]
    assert seen.evaluations == (1, 1)


def test_comparisons_read_back_are_those_that_were_made(ledger, test_set):
    take(ledger, test_set)
    seen = recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0))
    order = [finalist(trial) for trial in (3, 5, 0)]
    assert seen.comparisons == compare_networks(order, {trial: predictions(trial) for trial in (3, 5, 0)})


def test_baseline_alone_is_compared_with_nothing(ledger, test_set):
    take(ledger, test_set, (0,))
    seen = recorded(ledger, champion=network(0))
    assert set(seen.tested) == {network(0)}
    assert seen.comparisons == []


def test_repeated_command_goes_on_with_the_entry_of_the_same_models(ledger, test_set):
    interrupted(ledger, test_set)
    assert state(ledger) == [False]
    assert take(ledger, test_set) == [3, 5, 0]
    assert state(ledger) == [True]
    assert recorded(ledger).evaluations == (1, 1)


def test_allowed_retest_goes_on_with_its_own_open_entry(ledger, test_set):
    take(ledger, test_set)
    interrupted(ledger, test_set, allow_retest=True, retrained=10)
    take(ledger, test_set, allow_retest=True, retrained=10)
    assert state(ledger) == [True, True]


def test_look_that_fails_while_it_is_written_stays_open_and_is_taken_up_again(ledger, test_set, monkeypatch):
    def away(*arguments):
        raise SweeperError("MLflow cannot be used")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "complete", away)
        with pytest.raises(SweeperError, match="MLflow cannot be used"):
            take(ledger, test_set)
    assert state(ledger) == [False]
    take(ledger, test_set)
    assert state(ledger) == [True]


@pytest.mark.parametrize("changes", [{"retrained": 10}, {"order": (5, 3, 0)}, {"order": (3, 5)}])
def test_entry_begun_for_other_models_may_have_been_seen_and_is_a_look(ledger, test_set, changes):
    interrupted(ledger, test_set)
    predicted = []
    with pytest.raises(SweeperError, match=r"fashion was begun before \(2026-05-01T12:00:00.*--allow-retest"):
        take(ledger, test_set, predict=lambda finalist, images: predicted.append(finalist), **changes)
    assert not predicted
    assert state(ledger) == [False]

    take(ledger, test_set, allow_retest=True, **changes)
    assert state(ledger) == [False, True]
    assert recorded(ledger).evaluations == (2, 2)


def test_look_of_another_study_or_at_other_data_stands_in_nobodys_way(ledger, test_set):
    interrupted(ledger, test_set, study_id="id-2")
    take(ledger, test_set, study_id="id-3")
    take(ledger, replace(test_set, sha256=OTHER_SHA256))
    interrupted(ledger, replace(test_set, sha256="01" * 32), retrained=10)
    assert take(ledger, test_set)
    assert state(ledger) == [False, True, True, False, True]


def test_looks_are_counted_by_study_and_by_store_at_the_same_data_open_ones_too(ledger, test_set):
    assert recorded(ledger) == Recorded({}, [], (0, 0), [])
    take(ledger, test_set, study_id="id-2")
    assert recorded(ledger) == Recorded({}, [], (0, 1), [])
    interrupted(ledger, test_set)
    assert recorded(ledger) == Recorded({}, [], (1, 2), [])
    take(ledger, replace(test_set, sha256=OTHER_SHA256))
    assert recorded(ledger) == Recorded({}, [], (1, 2), [])
    take(ledger, test_set)
    assert recorded(ledger).evaluations == (1, 2)
    take(ledger, test_set, allow_retest=True, retrained=10)
    assert recorded(ledger).evaluations == (2, 3)


def test_result_of_another_study_is_not_this_ones(ledger, test_set):
    take(ledger, test_set, study_id="id-2")
    assert recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0)).tested == {}


def test_comparisons_of_other_models_are_not_shown_and_figures_stay_with_their_version(ledger, test_set):
    take(ledger, test_set)
    seen = recorded(ledger, champion=network(5), challenger=network(3), baseline=network(0))
    assert seen.comparisons == []
    assert seen.tested[network(3)]["accuracy"] == 57 / 60


def test_networks_keep_their_figures_when_another_look_was_taken_since(ledger, test_set):
    take(ledger, test_set)
    take(ledger, test_set, (5, 1, 0), allow_retest=True)
    seen = recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0))
    assert seen.tested[network(3)]["accuracy"] == 57 / 60
    assert [c.trials for c in seen.comparisons] == [(3, 0), (3, 5)]
    assert seen.notes == []
    [note] = recorded(ledger, champion=network(1), challenger=network(3), baseline=network(0)).notes
    assert "was of other networks than these" in note


def test_version_number_that_mlflow_gives_anew_shows_no_other_networks_figures(ledger, test_set):
    take(ledger, test_set)
    retrained = {"champion": network(3, 1), "challenger": network(5, 1), "baseline": network(0, 1)}
    seen = recorded(ledger, **retrained)
    assert not set(seen.tested) & set(retrained.values())
    assert seen.comparisons == []
    interrupted(ledger, test_set, allow_retest=True, retrained=1)
    with pytest.raises(SweeperError, match="was begun before"):
        take(ledger, test_set, retrained=2)


def test_result_that_cannot_be_read_is_noted_and_hides_nothing_else(ledger, test_set, monkeypatch):
    take(ledger, test_set)
    take(ledger, test_set, (3, 5, 0), allow_retest=True, retrained=1)
    original = ledger.result

    def result(evaluation):
        if evaluation is ledger.evaluations()[0]:
            raise SweeperError("MLflow cannot be used: no such artifact")
        return original(evaluation)

    monkeypatch.setattr(ledger, "result", result)
    seen = recorded(ledger, champion=network(3, 1), challenger=network(5, 1), baseline=network(0, 1))
    assert seen.notes == [
        "The result of the test of 2026-05-01T12:00:00+00:00 cannot be read: MLflow cannot be used: no such artifact."
    ]
    assert seen.tested[network(3, 1)]["accuracy"] == 57 / 60
    assert seen.evaluations == (2, 2)


def test_the_last_complete_look_is_what_counts(ledger, test_set):
    take(ledger, test_set)
    take(ledger, test_set, (5, 3, 0), allow_retest=True)
    interrupted(ledger, test_set, allow_retest=True, retrained=10)
    seen = recorded(ledger, champion=network(5), challenger=network(3), baseline=network(0))
    assert [c.trials[0] for c in seen.comparisons] == [5, 5]
    assert seen.evaluations == (3, 3)


def test_second_look_by_the_same_study_at_the_same_data_is_refused(ledger, test_set):
    evaluations.refuse_retest(ledger, "fashion", "id-1", test_set.sha256)
    interrupted(ledger, test_set)
    evaluations.refuse_retest(ledger, "fashion", "id-1", test_set.sha256)  # an open entry can be gone on with
    take(ledger, test_set)
    with pytest.raises(UsageError) as refused:
        evaluations.refuse_retest(ledger, "fashion", "id-1", test_set.sha256, " --store /s")
    message = str(refused.value)
    assert "`sweeper promotions fashion --store /s` shows the result" in message
    assert "study fashion was tested on these test data already (2026-05-01T12:00:00+00:00)" in message
    assert "--allow-retest" in message
    assert "` shows the result, --allow-retest" in message
    evaluations.refuse_retest(ledger, "fashion", "id-2", test_set.sha256)  # a study of the same name
    evaluations.refuse_retest(ledger, "fashion", "id-1", OTHER_SHA256)


def test_second_look_is_refused_even_where_nobody_asked_beforehand(ledger, test_set):
    take(ledger, test_set)
    with pytest.raises(SweeperError, match="--allow-retest tests again and counts it"):
        take(ledger, test_set, predict=lambda finalist, images: pytest.fail("the test set was looked at"))
    assert state(ledger) == [True]


def test_known_hash_is_that_of_the_loaded_test_set_and_opens_no_file(dataset, tmp_path):
    loaded = load_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=PixelFormat((1, 28, 28)))
    for file in dataset.test:
        (tmp_path / "data" / file.name).unlink()
    assert evaluations.known_sha256(TINY, print, needed=True) == loaded.sha256


def test_notes_about_the_test_files_reach_the_listener(dataset, tmp_path, monkeypatch):
    def with_note(source, *, pixel_format, notify):
        notify(f"{source.dataset} {pixel_format.shape} {source.options.resize} {source.data_dir} {source.offline}")
        return SimpleNamespace(name=source.dataset)

    monkeypatch.setattr(evaluations, "load_test_set", with_note)
    events = []
    data = DataSource("tiny", DataOptions(resize=20), tmp_path, True)
    assert evaluations.load(data, PixelFormat((1, 20, 20)), events.append).name == "tiny"
    assert events == [Note(f"tiny (1, 20, 20) 20 {tmp_path} True")]


@pytest.fixture(scope="module")
def real_store(tmp_path_factory):
    """Each test has a study of its own in it: making its tables takes seconds."""
    store = StoreOptions(tmp_path_factory.mktemp("store")).resolve({})
    mlflow.MlflowClient(tracking_uri=store.tracking_uri).search_experiments()
    return store


def test_deleted_look_still_counts_and_is_still_shown(real_store, test_set):
    ledger = Ledger(real_store)
    take(ledger, test_set)
    before = recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0))
    assert before.tested
    assert before.evaluations[0] == 1
    [entry] = [entry for entry in ledger.evaluations() if entry.study_id == "id-1"]
    mlflow.MlflowClient(tracking_uri=real_store.tracking_uri).delete_run(entry.run_id)
    assert recorded(ledger, champion=network(3), challenger=network(5), baseline=network(0)) == before
    with pytest.raises(UsageError, match="was tested on these test data already"):
        evaluations.refuse_retest(ledger, "fashion", "id-1", test_set.sha256)


def test_deleted_open_entry_does_not_bar_the_test_for_good(real_store, test_set):
    ledger, client = Ledger(real_store), mlflow.MlflowClient(tracking_uri=real_store.tracking_uri)
    interrupted(ledger, test_set, study_id="id-deleted")
    [entry] = [entry for entry in ledger.evaluations() if entry.study_id == "id-deleted"]
    client.delete_run(entry.run_id)
    take(ledger, test_set, study_id="id-deleted", allow_retest=True)
    assert evaluations.recorded(ledger, "id-deleted", test_set.sha256, {}).tested
