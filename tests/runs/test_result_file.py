import json
from dataclasses import asdict

import numpy as np
import pytest

from sweeper.engine.job import TrialResult
from sweeper.runs import result_file
from sweeper.runs.result_file import NAME, CompletedTraining
from sweeper.training.epoch_metrics import SoftmaxEpochMetrics
from tests.engine.fakes import metrics


@pytest.fixture
def kept(tmp_path):
    history = [metrics(epoch, 0.1 * epoch) for epoch in (1, 2)]
    result_file.write(
        tmp_path, "identity", "run", CompletedTraining(history, TrialResult(np.eye(2), {"macro_recall": 0.5}))
    )
    return tmp_path


def test_what_was_kept_is_read_again(kept):
    found = result_file.read(kept, "identity", "run")
    assert found.history == [metrics(1, 0.1), metrics(2, 0.2)]
    assert found.result.confusion.tolist() == [[1, 0], [0, 1]]
    assert found.result.metrics == {"macro_recall": 0.5}
    assert [path.name for path in kept.iterdir()] == [NAME]


def test_losses_of_a_network_that_ends_in_a_softmax_are_kept_too(tmp_path):
    both = SoftmaxEpochMetrics(**asdict(metrics(1, 0.1)), train_softmax_loss=1.5, validation_softmax_loss=1.6)
    result_file.write(tmp_path, "identity", "run", CompletedTraining([both], TrialResult(np.eye(2), {})))
    assert result_file.read(tmp_path, "identity", "run").history == [both]


@pytest.mark.parametrize(("identity", "run_id"), [("another", "run"), ("identity", "another")])
def test_what_was_kept_of_another_training_or_run_is_not_taken(kept, identity, run_id):
    assert result_file.read(kept, identity, run_id) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "7", "[" * 10_000])
def test_damaged_file_is_as_good_as_none(kept, content):
    (kept / NAME).write_text(content)
    assert result_file.read(kept, "identity", "run") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"history": []},
        {"history": None},
        {"history": [{"epoch": 1}]},
        {"figures": None},
        {"figures": {"macro_recall": "x"}},
        {"confusion": "x"},
        {"confusion": [[1, 2], [3]]},
    ],
)
def test_file_with_a_value_of_another_kind_is_as_good_as_none(kept, changes):
    (kept / NAME).write_text(json.dumps(json.loads((kept / NAME).read_text()) | changes))
    assert result_file.read(kept, "identity", "run") is None


def test_no_file_is_nothing(tmp_path):
    assert result_file.read(tmp_path / "nowhere", "identity", "run") is None
